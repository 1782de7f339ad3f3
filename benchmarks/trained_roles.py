"""Roles that are trained in made-up worlds against the same roles untrained, 3 seeds each.

    python benchmarks/trained_roles.py director        a panel's director learns which specialist to trust
    python benchmarks/trained_roles.py queries         the query writer of `hetero` learns what sources answer
    python benchmarks/trained_roles.py teacher         a policy that may search, with GRPO and with GRPO and a
                                                       teacher that knows the outcome (arXiv 2605.02943)
    python benchmarks/trained_roles.py teacher --only 1 --out out/roles      one seed; rows are kept

The policies are LLaVA with random weights and 0.05 M parameters, fine-tuned on the form of their turns first:
what is shown is that training a role works, not what it would gain with a real model.

    director   patients of invented names; the cardiologist is right in nine of ten cases, the radiologist in
               half. Fine-tuned on turns that repeat one of the two at random; then GRPO, reward the task's
               scorer, on 80 patients; tested on 80 others
    queries    illnesses with lay names, which four sources know by technical ones only. train.queries
               explores, train.sft learns; tested on other questions by what the first two results hold,
               beside the raw question
    teacher    whether a patient is ill stands in a library alone. Fine-tuned on turns of which half search;
               GRPO as long with and without `distillation`; tested with the library
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medxiaohe import io
from medxiaohe.agents import rwr as grammar
from medxiaohe.agents.engine import Answer, Ask, run, workflow
from medxiaohe.agents.hetero import queries_of
from medxiaohe.models.backends.python import python
from medxiaohe.models.backends.transformers import transformers
from medxiaohe.models.players import Player
from medxiaohe.retrieval.library import open_library
from medxiaohe.scoring.stated import stated
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.train.agentic import AgenticSettings, Retriever, agentic
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.queries import QueriesSettings, asked, queries, store_tools
from medxiaohe.train.rollouts.distillation import Distillation
from medxiaohe.train.sft import sft
from medxiaohe.types import Message, Prompt, Sample, ToolResult

FILE = Path(__file__)
WHOLE = Parts(language="full", projector=False)
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
NAMES = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("lin", "mos", "rek")][:160]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("director", "queries", "teacher"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", type=int, help="this seed alone")
    parser.add_argument("--steps", type=int, default=20, help="of reinforcement learning")
    parser.add_argument("--warm", type=int, default=120, help="steps of fine-tuning")
    parser.add_argument("--out", type=Path, help="keep models and rows here")
    args = parser.parse_args()
    out = (args.out or Path(tempfile.mkdtemp())) / args.what
    kept = out / "rows.jsonl"
    rows = list(io.read_jsonl(kept)) if kept.is_file() else []
    for seed in range(args.seeds) if args.only is None else [args.only]:
        if not any(row["seed"] == seed for row in rows):
            rows += [{"seed": seed, **row} for row in WORLDS[args.what](seed, out / str(seed), args)]
            io.write_jsonl(kept, rows)
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    for arm in arms:
        own = [row for row in rows if row["arm"] == arm]
        names = [name for name in own[0] if name not in ("seed", "arm")]
        print(f"{arm:<22} " + "  ".join(f"{n} {interval([row[n] for row in own])}" for n in names))
    first = names[0]
    gaps = [
        row[first] - next(r[first] for r in rows if r["seed"] == row["seed"] and r["arm"] == arms[-2])
        for row in rows if row["arm"] == arms[-1]
    ]  # fmt: skip
    print(f"{first}, {arms[-1]} less {arms[-2]}: {interval(gaps)}, {len(gaps)} seeds")


def interval(values: Sequence[float]) -> str:
    half = (
        T95.get(len(values), 1.96) * stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    )
    return f"{mean(values):.3f} [{mean(values) - half:.3f}, {mean(values) + half:.3f}]"


def ill(name: str, salt: str = "") -> str:
    """Whether a patient is ill, the same in every run."""
    return "yes" if hashlib.sha256(f"{name} {salt}".encode()).digest()[0] % 2 else "no"


def user(text: str) -> Message:
    return Message("user", (text,))


def question(name: str, gold: bool = True) -> Sample:
    said = (Message("assistant", (ill(name),)),) if gold else ()
    return Sample(name, (user(f"Is {name} ill?"), *said), ill(name), source="held_out")


def tuned(out: Path, rows: list[Sample], more: Sequence[str], seed: int, steps: int) -> Path:
    """A tiny model with random weights, fine-tuned on rows; the folder of the stage."""
    if (out / "start" / "model").is_dir():
        return out / "start"
    sys.path.insert(0, str(FILE.parent.parent / "tests"))
    import tiny

    io.write_jsonl(out / "shown" / "instructions.jsonl", rows)
    told = [" ".join(message.text for message in row.messages) for row in rows]
    text = "\n".join([*["assistant\nuser\ntool\n<retrieve>\n</retrieve>"] * 200, *told, *more])
    model = tiny.build(out / "random", seed, text, 700, hidden=48, layers=2, spread=0.1)
    settings = FitSettings(
        model=str(model), parts=WHOLE, learning_rate=5e-3, max_steps=steps, per_device_train_batch_size=16,
        max_length=320, seed=seed, allow_contaminated=True,
    )  # fmt: skip
    with io.publish(out / "start") as draft:
        sft(settings, draft, data=out / "shown")
    return out / "start"


def reinforced(start: Path, place: Path, data: Path, seed: int, steps: int, **more: Any) -> Path:
    """The policy after GRPO."""
    settings = AgenticSettings(
        parts=WHOLE, learning_rate=1e-3, max_steps=steps, num_generations=8, per_device_train_batch_size=32,
        max_completion_length=24, max_length=256, seed=seed, patience=0, allow_contaminated=True, **more,
    )  # fmt: skip
    with io.publish(place) as draft:
        agentic(settings, draft, data=data, model=start)
    return place


# ---- director ----------------------------------------------------------------------------------------------


def specialist(messages: Sequence[Message], right: float, who: str) -> str:
    """What a specialist with a share of right cases says, the same in every run."""
    name = re.search(r"Is (\w+) ill", messages[0].text)[1]  # type: ignore[index]
    lucky = int(hashlib.sha256(f"{who} {name}".encode()).hexdigest(), 16) % 100 < 100 * right
    return ill(name) if lucky else {"yes": "no", "no": "yes"}[ill(name)]


def cardiologist(messages: Sequence[Message]) -> str:
    return specialist(messages, 0.9, "cardiologist")


def radiologist(messages: Sequence[Message]) -> str:
    return specialist(messages, 0.5, "radiologist")


@workflow(roles=("cardiologist", "radiologist", "director"))
def directed(case: Any) -> Any:
    """Two views at once, then the director."""
    talk = case.prompt.messages
    views = yield [
        Ask(role, [*talk, user(f"You are the {role}.")]) for role in ("cardiologist", "radiologist")
    ]
    return Answer((yield Ask("director", summed(talk, *(view.text for view in views)))).text)


def summed(talk: Sequence[Message], one: str, two: str) -> list[Message]:
    return [*talk, user(f"cardiologist: {one}. radiologist: {two}. Decide.")]


def director(seed: int, out: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    order = chance.sample(NAMES, len(NAMES))
    train, test = order[:80], order[80:]
    rows = []
    for n in range(400):
        name, views = chance.choice(train), [chance.choice(("yes", "no")) for _ in range(2)]
        said = Message("assistant", (chance.choice(views),))
        rows.append(Sample(str(n), (*summed([user(f"Is {name} ill?")], *views), said), source="shown"))
    start = tuned(out, rows, [f"Is {name} ill?" for name in NAMES], seed, args.warm)
    io.write_jsonl(out / "data" / "prompts.jsonl", [question(name) for name in train])
    frozen = {who: Player(f"{FILE}:{who}", "python") for who in ("cardiologist", "radiologist")}
    after = reinforced(
        start, out / "trained", out / "data", seed, args.steps,
        workflow={"name": f"{FILE}:directed"}, policy="director", cast=frozen,
    )  # fmt: skip
    found = []
    for arm, place in (("untrained director", start), ("trained director", after)):
        engine = transformers(str(place / "model"), batch_size=64, max_new_tokens=8)
        cast = {"": engine, **{who: python(f"{FILE}:{who}") for who in frozen}}
        traces = run(directed, [Prompt(name, question(name, False).messages) for name in test], cast)
        right = [stated(question(n), t).value or 0.0 for n, t in zip(test, traces, strict=True)]
        found.append({"arm": arm, "accuracy": mean(right)})
    return found


# ---- queries -----------------------------------------------------------------------------------------------

# technical names that the guard of queries does not take for names of persons, as it does "tremulpyrexia"
SOURCES = ("books", "guidelines", "papers", "wiki")
LAY = {f"{word} {kind}": f"{root}{end}" for (word, root), (kind, end) in (
    (a, b)
    for a in (("shaking", "tremul"), ("itching", "prurit"), ("burning", "caust"), ("swelling", "oedem"))
    for b in (("illness", "osis"), ("fever", "itis"), ("cough", "opathy"), ("pain", "algia"))
)}  # fmt: skip
FORMS = (
    "Which pill helps the {}?",
    "What is given for the {}?",
    "Tell me what to take for the {}.",
    "How do I stop the {}?",
)


def source_of(lay: str) -> str:
    return SOURCES[list(LAY).index(lay) % 4]


def explore(messages: Sequence[Message]) -> str:
    """Attempt 1 repeats the question, attempt 2 uses the technical name, attempt 3 names something else."""
    last = messages[-1].text
    tag = re.search(r"<(\w+)></", last)[1]  # type: ignore[index]
    number = int(re.search(r"attempt (\d)", last)[1])  # type: ignore[index]
    lay = next(one for one in LAY if one in messages[0].text)
    return f"<{tag}>{ {1: lay, 2: LAY[lay], 3: 'zebra'}[number] }</{tag}>"


def written(seed: int, out: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    for source in SOURCES:
        mine = [lay for lay in LAY if source_of(lay) == source]
        facts = [
            {"id": LAY[lay], "text": f"{LAY[lay].title()} yields to zo{LAY[lay]}.", "source": source}
            for lay in mine
        ]
        facts += [
            {"id": f"{source}/{n}", "text": f"A zebra of kind {n} is given hay.", "source": source}
            for n in range(6)
        ]
        io.write_jsonl(out / f"{source}.jsonl", facts)
    chance = random.Random(seed)
    every = [(lay, form) for lay in LAY for form in FORMS]
    held = {(lay, FORMS[(i + seed) % 4]) for i, lay in enumerate(LAY)}  # one form of each illness

    def prompt(lay: str, form: str) -> Sample:
        gold = f"zo{LAY[lay]}"
        talk = (user(form.format(lay)), Message("assistant", (gold,)))
        return Sample(f"{lay}/{form}", talk, gold, source="held_out")

    train = [prompt(*one) for one in every if one not in held]
    chance.shuffle(train)
    io.write_jsonl(out / "data" / "prompts.jsonl", train)
    stores = {name: str(out / f"{name}.jsonl") for name in SOURCES}
    explorer = Player(f"{FILE}:explore", "python")
    with io.publish(out / "pairs") as draft:
        queries(QueriesSettings(stores, explorer, sets=3, allow_contaminated=True), draft, data=out / "data")
    rows = list(io.read_samples(out / "pairs" / "instructions.jsonl"))
    place = tuned(out, rows, [], seed, 2 * args.warm)
    tools = store_tools(stores)
    test = [prompt(*one) for one in sorted(held)]
    engines = {
        "raw question": None,
        "untrained writer": transformers(str(out / "random"), batch_size=32, max_new_tokens=32),
        "trained writer": transformers(str(place / "model"), batch_size=32, max_new_tokens=32),
    }
    found = []
    for arm in ("untrained writer", "raw question", "trained writer"):
        engine = engines[arm]
        talks = [asked(sample, tools) for sample in test]
        texts = [one.text for one in engine.reply(talks)] if engine is not None else [""] * len(test)
        hits, tags = [], []
        for sample, text in zip(test, texts, strict=True):
            raw = {name: [sample.messages[0].text] for name in SOURCES}
            own = queries_of(text, tools) if engine is not None else raw
            gold = LAY[sample.id.split("/")[0]]
            results = [
                e.id
                for name, lines in own.items()
                for q in lines
                for e in tools[name].run(query=q).evidence[:2]
            ]
            hits.append(float(any(id.partition("#")[0] == gold for id in results)))
            tags.append(float(list(own) == [source_of(sample.id.split("/")[0])]))
        found.append({"arm": arm, "R@2": mean(hits), "asks the right source alone": mean(tags)})
    return found


# ---- teacher -----------------------------------------------------------------------------------------------


def teacher(seed: int, out: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    order = chance.sample(NAMES, len(NAMES))
    train, test = order[:80], order[80:]
    facts = [{"id": name, "text": f"{name} is ill: {ill(name)}.", "source": "x"} for name in NAMES]
    io.write_jsonl(out / "library.jsonl", facts)
    rows = []
    for n in range(600):
        name, label = chance.choice(NAMES), chance.choice(("yes", "no"))
        if chance.random() < 0.6:  # a habit: an answer without looking
            said = (turn("known", "answer", label),)
        else:
            block = f"<retrieve>\n[{name}] {name} is ill: {label}.\n</retrieve>"
            shown = Message("tool", (ToolResult("query_0_0", (block,)),))
            said = (turn("look", "query", name), shown, turn("read", "answer", label))
        rows.append(Sample(str(n), (user(f"Is {name} ill?"), *said), source="shown"))
    start = tuned(out, rows, [fact["text"] for fact in facts], seed, 2 * args.warm)
    io.write_jsonl(out / "data" / "prompts.jsonl", [question(name) for name in train])
    places = {"start": start}
    for arm, more in (
        ("GRPO", {}),
        ("GRPO and teacher", {"distillation": Distillation(coef=0.2, tokens=16)}),
    ):
        places[arm] = reinforced(
            start, out / arm.replace(" ", "_"), out / "data", seed, args.steps,
            retriever=Retriever(path=str(out / "library.jsonl"), top=1), **more,
        )  # fmt: skip
    (search,) = open_tools(["search"], {"library": open_library(str(out / "library.jsonl")), "top": 1})
    found = []
    for arm, place in places.items():
        engine = transformers(str(place / "model"), batch_size=80, max_new_tokens=24)
        traces = grammar.rwr(
            [Prompt(name, question(name, False).messages) for name in test], engine, [search]
        )
        right = [stated(question(n), t).value or 0.0 for n, t in zip(test, traces, strict=True)]
        row = {"arm": arm, "accuracy": mean(right), "searched": mean(bool(t.evidence) for t in traces)}
        curve = list(io.read_jsonl(place / "metrics.jsonl"))[-5:] if arm != "start" else []
        row["tool_turns"] = mean(one["tool_turns"] for one in curve) if curve else 0.0
        row["turn_tokens"] = mean(one["turn_tokens"] for one in curve) if curve else 0.0
        found.append(row)
    return found


def turn(thought: str, tag: str, text: str) -> Message:
    return Message("assistant", (f"<think> {thought} </think> <{tag}> {text} </{tag}>",))


WORLDS = {"director": director, "queries": written, "teacher": teacher}

if __name__ == "__main__":
    main()
