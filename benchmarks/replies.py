"""Measure the answer parsers on real replies: python benchmarks/replies.py [--by kind,lang] [--half] [--ours]

Reads `replies/replies.jsonl` in the folder that MEDXIAOHE_DATA names: one JSON object a line with id, kind
(choice, choices, yes_no, yes_no_maybe, numeric), choices, reply and said, what the reply chose ("" for
nothing). Prints, of our parsers and of three short re-implementations of published behaviour (MedEvalKit: the
most similar option; an "answer is (X)" pattern as in lm-evaluation-harness; the last letter), the shares of
replies that are read as they say, unread, and read as something else. `--half` leaves out the half of the ids
that was used in development; `--ours` leaves out the other parsers, which take minutes.
"""

import argparse
import collections
import difflib
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medxiaohe.scoring import choice, choices, numeric, yes_no
from medxiaohe.types import Message, Sample, Trace

Row = Mapping[str, Any]


def ours(row: Row) -> str | None:
    kind, reply = row["kind"], row["reply"]
    if kind in ("choice", "choices"):
        return (choice if kind == "choice" else choices).parse(reply, row["choices"])
    if kind != "numeric":
        return yes_no.parse(reply, kind.endswith("maybe"))
    if not row["said"]:
        found = numeric.parse(reply)
        return "" if found is None else str(found.value)
    said = row["said"].strip().strip("()")
    number = re.search(r"[-+]?\d[\d,.]*(?:\s*(?:%|[A-Za-zµμ]+(?:/[\w.²^]+)*))?", said)
    whole = re.search(r"weeks?", said) or re.match(r"\d+/\d+/\d+$", said) or not number
    target = said if whole or number is None else number[0].rstrip(".,")
    sample = Sample(row["id"], (Message("user", ("?",)),), target=target)
    trace = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (reply,))))
    score = numeric.numeric(sample, trace, relative=0.006)
    return row["said"] if score.value == 1 else "" if score.status != "judged" else score.parsed or "?"


def most_similar(row: Row) -> str | None:
    """Like MedEvalKit: a letter or an option in front, else the option most similar to the reply."""
    if row["kind"] != "choice":
        return None
    options = [option.lower() for option in row["choices"]]
    text = row["reply"].lower()
    for mark in ("<answer>", "answer is", "answer:", "答案:", "final answer"):
        text = text.split(mark)[-1]
    head = text.strip().split(".")[0].strip(" :*()")
    if len(head) == 1 and head.upper() in choice.LETTERS[: len(options)]:
        return head.upper()
    ratios = [difflib.SequenceMatcher(None, option, text[:4000]).ratio() for option in options]
    return choice.LETTERS[ratios.index(max(ratios))]


def answer_is(row: Row) -> str | None:
    if row["kind"] == "choice":
        letters = choice.LETTERS[: len(row["choices"])]
        match = re.search(rf"answer is:?\s*\(?([{letters}])\b\)?", row["reply"], re.IGNORECASE)
        return match[1].upper() if match else ""
    if row["kind"].startswith("yes"):
        match = re.search(
            r"answer is:?\s*\(?(yes|no|maybe)\b|^\W*(yes|no|maybe)\b", row["reply"], re.IGNORECASE
        )
        return (match[1] or match[2]).lower() if match else ""
    return None


def last_letter(row: Row) -> str | None:
    if row["kind"] == "choice":
        letters = choice.LETTERS[: len(row["choices"])]
        found = re.findall(rf"(?<![A-Za-z])([{letters}])(?![A-Za-z])", row["reply"])
        return found[-1] if found else ""
    if row["kind"].startswith("yes"):
        found = re.findall(r"\b(yes|no|maybe)\b", row["reply"].lower())
        return found[-1] if found else ""
    return None


PARSERS: dict[str, Callable[[Row], str | None]] = {
    "medxiaohe": ours, "MedEvalKit-like": most_similar, "lm-eval-like": answer_is, "last letter": last_letter,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--by", default="kind,lang")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--ours", action="store_true")
    args = parser.parse_args()
    parsers = {"medxiaohe": ours} if args.ours else PARSERS
    file = Path(os.environ["MEDXIAOHE_DATA"]) / "replies" / "replies.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if args.half:
        rows = [row for row in rows if int(hashlib.sha256(row["id"].encode()).hexdigest(), 16) % 2]
    groups: dict[str, list[Row]] = collections.defaultdict(list)
    for row in rows:
        groups[" ".join(str(row.get(key, "")) for key in args.by.split(","))].append(row)
    print("| replies | n | parser | right % | unparsed % | wrong % |\n| --- | --- | --- | --- | --- | --- |")
    for name, some in [*sorted(groups.items()), ("all", rows)]:
        for label, read in parsers.items():
            got = [(row["said"], said) for row in some if (said := read(row)) is not None]
            if not got:
                continue
            shares = (
                sum(want == said for want, said in got), sum(bool(want) and not said for want, said in got),
                sum(bool(said) and want != said for want, said in got),
            )  # fmt: skip
            print(
                f"| {name} | {len(got)} | {label} | "
                + " | ".join(f"{100 * s / len(got):.2f}" for s in shares)
                + " |"
            )


if __name__ == "__main__":
    main()
