"""How many dangerous replies the safety gate stops, and how many safe ones.

    MEDXIAOHE_DATA=... python benchmarks/safety_gate.py            half a minute; figures in docs/rewards.md

Dangerous: benchmarks/safety_replies.jsonl, replies by kind, English and Chinese, written from labels and
guidelines by the author of the rules. Those of the set `first` were written before the rules, those of `read`
were tuned on, those of `last` were written after the rules, those of `blind` by somebody who had not read
them; misses of the half `unread` of `blind` stay unread. `broad` was written before the rules of its kinds,
by somebody who knew the tables, and was read while they were made. The figures that count are in
docs/rewards.md, taken before a miss of a set was read: today's are better.
Safe: what MedSafetyBench calls safe, replies of models to HealthBench (graded, and the earlier turns of its
conversations), answers of physicians and models to K-QA, and other answers and notes of the data pack. Its
halves are by the digest of the question, or the splits: alarms of the first were read while the rules were
written, those of the second were not.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.evals.statistics.stats import proportion
from medxiaohe.rewards import safety
from medxiaohe.rewards.hybrid import answered
from medxiaohe.tasks import make
from medxiaohe.types import Message, Role, Sample

DANGEROUS = Path(__file__).with_name("safety_replies.jsonl")
SETS = ("first", "read", "last", "blind", "broad")
LIMIT = 1000  # replies of a set of other text


class Reply(NamedTuple):
    set: str
    messages: tuple[Message, ...]
    text: str
    side: str = ""  # "read" or "unread", where a set has splits

    @property
    def half(self) -> str:
        if self.side:
            return self.side
        digest = io.fingerprint([message.text for message in self.messages])
        return "read" if int(digest, 16) % 2 else "unread"


def safe(data: Path) -> Iterator[Reply]:
    """Replies that should pass, of the folder of the data pack."""
    for file in sorted((data / "safety/medsafetybench").glob("*.csv")):
        for row in _table(file):
            yield _asked("MedSafetyBench", row["harmful_medical_request"], row["safe_response"])
    for conversation in io.read_json(data / "rubric/healthbench_srh/graded_responses_gpt4.json"):
        yield from _turns("HealthBench", conversation["conversations"])
    for conversation in io.read_json(data / "rubric/healthbench_srh/prompts_rubrics.json"):
        yield from _turns("HealthBench, earlier turns", conversation["prompt"])
    for row in io.read_jsonl(data / "rubric/kqa/questions_w_answers.jsonl"):
        yield _asked("K-QA, physicians", row["Question"], row["Free_form_answer"])
    models = {
        (row["Question"], row["answer"]) for row in _table(data / "rubric/kqa/nli_medical_annotator.csv")
    }
    for question, answer in sorted(models):
        yield _asked("K-QA, models", question, answer)
    for row in io.read_json(data / "zh/cmb_clin.json"):
        for turn in row["QA_pairs"]:
            yield _asked("CMB-Clin (Chinese)", f"{row['description']}\n{turn['question']}", turn["answer"])
    for row in list(_table(data / "zh/toyhom_internal_medicine.csv"))[:LIMIT]:
        yield _asked("Toyhom, doctors (Chinese)", row["ask"], row["answer"])
    for name, (split, side) in itertools.product(
        ("medquad", "aci_bench", "mts_dialog"), (("train", "read"), ("validation", "unread"))
    ):
        task = make(name)
        rows = task.samples(split) if split in task.splits else ()
        for sample in itertools.islice(rows, LIMIT):
            yield Reply(name, sample.prompt.messages, sample.messages[-1].text, side)


def _asked(name: str, question: str, answer: str) -> Reply:
    return Reply(name, (Message("user", (question,)),), answer)


def _turns(name: str, turns: list[dict[str, str]]) -> Iterator[Reply]:
    messages = tuple(Message(cast(Role, turn["role"]), (turn["content"],)) for turn in turns)
    for number, message in enumerate(messages):
        if message.role == "assistant":
            yield Reply(name, messages[:number], message.text)


def _table(file: Path) -> Iterator[dict[str, str]]:
    with open(file, encoding="utf-8", newline="") as rows:
        yield from csv.DictReader(rows)


def stopped(messages: tuple[Message, ...], text: str) -> tuple[str, ...]:
    """The violations of a reply."""
    sample = Sample("reply", messages)
    return safety.violations(sample, answered(sample, text))


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--data", default=os.environ.get("MEDXIAOHE_DATA", ""), help="folder of the data pack"
    )
    options.add_argument(
        "--show", choices=("read", "unread", "dangerous"), help="print the alarms, or the misses"
    )
    args = options.parse_args()
    if not args.data:
        raise ConfigError("give the folder of the data pack: --data, or MEDXIAOHE_DATA")
    report_dangerous(args.show == "dangerous")
    report_safe(Path(args.data), args.show)


def report_dangerous(show: bool) -> None:
    seen: Counter[tuple[str, str, bool]] = Counter()
    caught: Counter[tuple[str, str, bool]] = Counter()
    unread: Counter[tuple[str, bool, bool]] = Counter()
    for row in io.read_jsonl(DANGEROUS):
        found = stopped((Message("user", (row["question"],)),), row["reply"])
        if row.get("half") == "unread":
            for group in (row["language"], "all"):
                unread[group, row["dangerous"], bool(found)] += 1
        for group in (row["language"], row["kind"], "all"):
            seen[row["set"], group, row["dangerous"]] += 1
            caught[row["set"], group, row["dangerous"]] += bool(found)
        if show and bool(found) != row["dangerous"] and row.get("half") != "unread":
            print(f"    {row['id']}: {row['reply'][:100]} {found}")
    columns = [(name, side) for name in SETS for side in (True, False)]
    heads = [f"{name}: {'caught' if side else 'safe alarmed'}" for name, side in columns]
    print(f"{'written replies':<18}" + "".join(f"{head:>19}" for head in heads))
    groups = {group for _, group, _ in seen}
    for group in sorted(groups, key=lambda name: (name not in ("all", "en", "zh"), name)):
        cells = [f"{caught[name, group, side]} of {seen[name, group, side]}" for name, side in columns]
        print(f"{group:<18}" + "".join(f"{cell:>19}" for cell in cells))
    print("\nblind, the half that nobody reads; 95 % intervals, exact")
    for group, side in itertools.product(("en", "zh", "all"), (True, False)):
        hits, n = unread[group, side, True], unread[group, side, True] + unread[group, side, False]
        low, high = proportion(hits, n)
        kind = "dangerous" if side else "safe"
        print(f"{group} {kind}: {hits} of {n} stopped, {hits / n:.0%} ({low:.0%} to {high:.0%})")


def report_safe(data: Path, show: str | None) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    alarms: Counter[tuple[str, str]] = Counter()
    for reply in safe(data):
        found = stopped(reply.messages, reply.text)
        seen[reply.set, reply.half] += 1
        alarms[reply.set, reply.half] += bool(found)
        if found and show == reply.half:
            print(f"    {reply.set}: {reply.messages[-1].text[-250:]!r}\n      -> {found}")
            print(f"      {reply.text[:600]!r}")
    print(f"\n{'safe replies':<28} {'read: alarmed':>18} {'unread: alarmed':>18}")
    for name in dict.fromkeys(name for name, _ in seen):
        halves = [f"{alarms[name, half]} of {seen[name, half]}" for half in ("read", "unread")]
        print(f"{name:<28} {halves[0]:>18} {halves[1]:>18}")


if __name__ == "__main__":
    main()
