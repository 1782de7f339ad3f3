"""Does a small policy learn to search a library for facts it cannot know?

    python benchmarks/agentic_rl.py --out out/agentic          3 seeds; figures in docs/results/agentic_rl.md
    python benchmarks/agentic_rl.py --seeds 1 --steps 10 --test 40     a look

The facts are invented: which drug treats which disease, both names drawn at random from invented words, so
nothing but the library of 3,600 sentences says them. The policy is a small LLaVA with random weights. It is
first fine-tuned on other facts of the library: on rows that search, so that it learns the turn grammar and
how to copy, then on rows that make a bad habit: five in ten answer without searching, three search for half
of the name, two for all of it. Then GRPO through `train.agentic`, reward the task's scorer.

    start                  the fine-tuned policy
    with retrieval         RL with the library
    without retrieval      RL as long, with no tool: what a policy can learn without looking

Each is asked about diseases of neither training, with the library and without it. The policy of the second
arm is also asked with a library in which the drugs of all diseases are exchanged: one that reads answers with
the exchanged drugs, one that knows does not.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medxiaohe import io
from medxiaohe.agents import rwr
from medxiaohe.models.backends.transformers import transformers
from medxiaohe.retrieval.library import open_library
from medxiaohe.scoring.stated import stated
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.train.agentic import AgenticSettings, Retriever, agentic
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.sft import sft
from medxiaohe.types import Message, Prompt, Sample, Tool, ToolResult

WHOLE = Parts(language="full", projector=False)
WORDS = 60  # of each of the four places of a fact
TOP = 1  # passages; the paper has 3
WARM, PROMPTS = 2400, 600  # facts to fine-tune on, and to reinforce on; the rest is for the test
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
# shares of the rows that answer at once, and that search for half a name; the others for all
SKILL, HABIT = (0.0, 0.3), (0.5, 0.3)


@dataclass(frozen=True)
class Fact:
    id: str
    disease: str
    drug: str

    @property
    def sentence(self) -> str:
        return f"{self.disease} is treated with {self.drug}."


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument(
        "--only", type=int, help="this seed alone; a last call without it makes the table of all"
    )
    options.add_argument(
        "--warm", type=int, default=600, help="steps of fine-tuning on skill; a quarter as many on the habit"
    )
    options.add_argument("--steps", type=int, default=45, help="steps of reinforcement learning")
    options.add_argument("--test", type=int, default=200, help="questions")
    options.add_argument("--rate", type=float, default=3e-4, help="of reinforcement learning")
    options.add_argument(
        "--validate", action="store_true", help="ask about other diseases than the test does"
    )
    options.add_argument(
        "--out", type=Path, help="keep models and figures here: a run that was killed goes on"
    )
    chosen = options.parse_args()
    out = chosen.out or Path(tempfile.mkdtemp())
    seeds = range(chosen.seeds) if chosen.only is None else [chosen.only]
    rows = [row for seed in seeds for row in one_seed(seed, chosen, out / str(seed))]
    print(
        f"\n{len(seeds)} seeds, {chosen.warm} + {chosen.steps} steps, {chosen.test} questions; mean and 95 %"
        " interval over seeds"
    )
    print(table(rows))


def one_seed(seed: int, chosen: argparse.Namespace, out: Path) -> list[dict[str, Any]]:
    """Every arm from one start; a row for each arm and way of asking."""
    facts = invented(seed)
    tested = facts[WARM + PROMPTS :]
    exam = tested[chosen.test : 2 * chosen.test] if chosen.validate else tested[: chosen.test]
    start = prepared(facts, seed, chosen, out)
    done = out / "rows.jsonl"
    rows = list(io.read_jsonl(done)) if done.exists() else []
    for arm in ("start", "with retrieval", "without retrieval"):
        if any(row["arm"] == arm for row in rows):
            continue
        began = time.monotonic()
        place = start if arm == "start" else reinforced(arm, start, seed, chosen, out)
        rows += [{"arm": arm, "seed": seed, **one} for one in examined(place, arm, exam, facts, out)]
        io.write_jsonl(done, rows)
        print(f"seed {seed} {arm}: {time.monotonic() - began:.0f} s {rows[-1]}", file=sys.stderr, flush=True)
    return rows


# ---- facts and demonstrations ----------------------------------------------------------------------------


def invented(seed: int) -> list[Fact]:
    """Facts about every disease of two words, in random order; a drug is drawn for each, whatever its
    name."""
    chance = random.Random(f"facts {seed}")
    firsts, seconds, heads, tails = (
        [word + ending for word in stems(chance)] for ending in ("or", "et", "il", "ud")
    )
    diseases = [f"{first.title()} {second.title()}" for first in firsts for second in seconds]
    chance.shuffle(diseases)
    return [
        Fact(f"f{i}", disease, f"{chance.choice(heads)} {chance.choice(tails)}")
        for i, disease in enumerate(diseases)
    ]


def stems(chance: random.Random) -> list[str]:
    every = [a + b + c for a in "bdfgklmnprstvz" for b in "aeiou" for c in "bdfgklmnprstvz"]
    return chance.sample(every, WORDS)


def question(fact: Fact, gold: bool = True) -> Sample:
    ask = Message("user", (f"What treats {fact.disease}?",))
    said = (Message("assistant", (fact.drug,)),) if gold else ()
    return Sample(fact.id, (ask, *said), fact.drug, source="held_out")


def shown(
    fact: Fact, library: Any, facts: Sequence[Fact], chance: random.Random, shares: tuple[float, float]
) -> Sample:
    """A demonstration of the grammar: what it answers is what it was shown first, right or not."""
    ask = Message("user", (f"What treats {fact.disease}?",))
    drawn = chance.random()
    if drawn < shares[0]:
        return Sample(fact.id, (ask, said("known", "answer", chance.choice(facts).drug)), source="shown")
    query = fact.disease.split()[0] if drawn < sum(shares) else fact.disease
    found = library.run(query=query)
    passage = str(found.parts[0]).split(" is treated with ")[1].split(".")[0]
    block = Message("tool", (ToolResult("query_0_0", rwr.retrieved([found]).parts[0].parts),))  # type: ignore[union-attr]
    return Sample(
        fact.id, (ask, said("look", "query", query), block, said("read", "answer", passage)), source="shown"
    )


def said(thought: str, tag: str, text: str) -> Message:
    return Message("assistant", (f"<think> {thought} </think> <{tag}> {text} </{tag}>",))


def prepared(facts: Sequence[Fact], seed: int, chosen: argparse.Namespace, out: Path) -> Path:
    """Library, prompts, and the fine-tuned policy."""
    io.write_jsonl(
        out / "library.jsonl",
        [{"id": fact.id, "text": fact.sentence, "source": "invented"} for fact in facts],
    )
    exchanged = [*facts[1:], facts[0]]
    changed = [
        {"id": a.id, "text": f"{a.disease} is treated with {b.drug}."}
        for a, b in zip(facts, exchanged, strict=True)
    ]
    io.write_jsonl(out / "exchanged.jsonl", changed)
    io.write_jsonl(out / "data" / "prompts.jsonl", [question(fact) for fact in facts[WARM : WARM + PROMPTS]])
    chance, library = random.Random(seed), search(out / "library.jsonl")
    rows = {
        name: [shown(fact, library, facts[:WARM], chance, shares) for fact in facts[:WARM]]
        for name, shares in (("skill", SKILL), ("habit", HABIT))
    }
    for name, own in rows.items():
        io.write_jsonl(out / name / "instructions.jsonl", own)
    if (out / "start" / "model").is_dir():
        return out / "start"
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import tiny

    marks = "\n".join(["assistant\nuser\ntool\n<retrieve>\n</retrieve>"] * 2 * WARM)
    told = "\n".join(
        " ".join(message.text for message in row.messages) for own in rows.values() for row in own
    )
    text = "\n".join([marks, told, *(fact.sentence for fact in facts)])
    model = tiny.build(out / "random", seed, text, 900, hidden=64, layers=2, spread=0.1)
    taught = FitSettings(
        model=str(model), parts=WHOLE, learning_rate=5e-3, max_steps=chosen.warm,
        per_device_train_batch_size=32, max_length=256, seed=seed,
        allow_contaminated=True,  # facts of training and test are told apart above
    )  # fmt: skip
    with io.publish(out / "able") as draft:
        sft(taught, draft, data=out / "skill")
    with io.publish(out / "start") as draft:
        sft(
            replace(taught, model="", learning_rate=1e-3, max_steps=chosen.warm // 4),
            draft,
            data=out / "habit",
            model=out / "able",
        )
    return out / "start"


# ---- reinforcement and examination -----------------------------------------------------------------------


def reinforced(arm: str, start: Path, seed: int, chosen: argparse.Namespace, out: Path) -> Path:
    place = out / arm.replace(" ", "_")
    settings = AgenticSettings(
        parts=WHOLE, learning_rate=chosen.rate, max_steps=chosen.steps, num_generations=8,
        per_device_train_batch_size=64,
        max_completion_length=24, max_length=256, seed=seed, patience=0, allow_contaminated=True,
        save_steps=20,
        use="allowed" if arm == "with retrieval" else "none",
        retriever=Retriever(path=str(out / "library.jsonl"),
        top=TOP) if arm == "with retrieval" else Retriever(),
    )  # fmt: skip
    with io.publish(place) as draft:
        agentic(settings, draft, data=out / "data", model=start)
    return place


def search(passages: Path) -> Tool:
    """The tool `search` over a file of passages."""
    (made,) = open_tools(["search"], {"library": open_library(str(passages)), "top": TOP})
    return made


def examined(
    place: Path, arm: str, exam: Sequence[Fact], facts: Sequence[Fact], out: Path
) -> list[dict[str, Any]]:
    """Greedy answers to the test questions, with the library, without it, and with the exchanged one."""
    engine = transformers(str(place / "model"), batch_size=64, max_new_tokens=24)
    other = dict(zip((fact.id for fact in facts), (*facts[1:], facts[0]), strict=True))
    rows = []
    for asked, library in (("with the library", "library"), ("without it", ""), ("exchanged", "exchanged")):
        if asked == "exchanged" and arm != "with retrieval":
            continue
        tools = [search(out / f"{library}.jsonl")] if library else []
        prompts = [Prompt(fact.id, question(fact, gold=False).messages) for fact in exam]
        traces = rwr.rwr(prompts, engine, tools)
        right = [
            float(stated(question(fact), trace).value or 0) for fact, trace in zip(exam, traces, strict=True)
        ]
        rows.append({
            "asked": asked,
            "accuracy": mean(right),
            "searched": mean(bool(trace.evidence) for trace in traces),
            "found": mean(fact.id in {e.id for e in trace.evidence} for fact, trace in zip(exam, traces,
            strict=True)),
            "grammar": mean(rwr.conforms(trace) for trace in traces),
        })  # fmt: skip
        if asked == "exchanged":
            said_other = [
                float(stated(question(other[f.id]), t).value or 0) for f, t in zip(exam, traces, strict=True)
            ]
            rows[-1]["says_exchanged"] = mean(said_other)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One line for each arm and way of asking."""
    names = ("accuracy", "searched", "found", "grammar", "says_exchanged")
    lines = ["| policy | asked | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for arm, asked in dict.fromkeys((row["arm"], row["asked"]) for row in rows):
        own = [row for row in rows if (row["arm"], row["asked"]) == (arm, asked)]
        cells = [interval([row[name] for row in own]) if name in own[0] else "" for name in names]
        lines.append(f"| {arm} | {asked} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def interval(values: Sequence[float]) -> str:
    half = (
        T95.get(len(values), 1.96) * stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    )
    return f"{mean(values):.3f} ± {half:.3f}"


if __name__ == "__main__":
    main()
