"""Does the order of reinforcement learning matter? The loop of MedXIAOHE beside everything mixed and one
pass in sequence.

    python benchmarks/curriculum.py --tree out/quickstart/tree/1 --out out/curriculum    3 seeds; figures in
    docs/results/curriculum.md
    python benchmarks/curriculum.py --tree out/quickstart/tree/1 --seeds 1 --steps 18 --test 60     a look in
    about two minutes

A real task that a model of 0.13 M random weights can learn on a CPU: what kind of medical term a name of the
tree is, from the letters of names alone. Foundation asks with two options, Specialisation with four, and
general is yes or no about numbers, which medical training may make the model forget. Test names share no name
with training names (tasks/entity_kind.py). Each arm starts from the same fine-tuned model and takes as many
optimizer steps; the loop spends some of its own on rejection sampling.

    mixed        all prompts at once
    sequence     foundation, then specialisation, then general
    loop         twice: distil rare successes, foundation, specialisation, then everything
    loop+bonus   the same, with an entropy bonus while tokens have less than half the entropy that first
                 tokens had at the start
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medxiaohe import io
from medxiaohe.models.backends.transformers import transformers
from medxiaohe.models.render import render_prompt
from medxiaohe.tasks import make
from medxiaohe.tasks.entity_kind import entity_kind
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.rft import RftSettings, rft
from medxiaohe.train.rl import RLSettings, judge, rl
from medxiaohe.train.sft import sft
from medxiaohe.types import Message, Sample

WHOLE = Parts(language="full", projector=False)
SKILLS = ("foundation", "specialisation", "general")
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
ARMS = ("mixed", "sequence", "loop", "loop+bonus")
WARM, PROMPTS = 2000, 240  # questions of each skill
# of RL; at 3e-4 the mixed arm lost accuracy on validation names (--validate --seeds 1 --steps 36), at 1e-4 it
# kept it
RATE = 1e-4


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--tree", type=Path, required=True, help="folder of an entity.build stage")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument(
        "--steps", type=int, default=90, help="optimizer steps of each arm, a multiple of 18"
    )
    options.add_argument("--test", type=int, default=300, help="questions of each skill")
    options.add_argument("--warm", type=int, default=300, help="steps of fine-tuning before any arm")
    options.add_argument("--rate", type=float, default=RATE)
    options.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    options.add_argument("--validate", action="store_true", help="examine on validation names")
    options.add_argument(
        "--out", type=Path, help="keep models and figures here: a run that was killed goes on"
    )
    chosen = options.parse_args()
    if chosen.steps % 18:
        options.error("--steps must be a multiple of 18, so that every arm takes as many")
    out = chosen.out or Path(tempfile.mkdtemp())
    exam = questions(chosen.tree, "validation" if chosen.validate else "test", chosen.test)
    rows = [row for seed in range(chosen.seeds) for row in one_seed(seed, chosen, exam, out / str(seed))]
    print(
        f"\n{chosen.seeds} seeds, {chosen.steps} steps, {chosen.test} questions of each skill, mean and 95 %"
        " interval over seeds"
    )
    print(table(rows))


def one_seed(
    seed: int, chosen: argparse.Namespace, exam: dict[str, list[Sample]], out: Path
) -> list[dict[str, Any]]:
    """Every arm from one start; a row for each with accuracies, entropy and rewards."""
    train = questions(chosen.tree, "train", WARM + PROMPTS)
    warm = shuffled([row for skill in SKILLS for row in train[skill][:WARM]], seed)
    for skill in SKILLS:  # other names than those of the warm start
        io.write_jsonl(out / skill / "prompts.jsonl", train[skill][WARM:])
    io.write_jsonl(
        out / "all" / "prompts.jsonl",
        shuffled([row for skill in SKILLS for row in train[skill][WARM:]], seed),
    )
    io.write_jsonl(out / "all" / "instructions.jsonl", warm)
    start = out / "start"
    done = out / "rows.jsonl"
    rows: list[dict[str, Any]] = list(io.read_jsonl(done)) if done.exists() else []
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import tiny

    if not rows:
        model = tiny.build(out / "tiny", seed)
        _warm(str(model), start, out, chosen, seed)
        rows = [{"arm": "start", "seed": seed, **examined(start, exam, chosen.tree)}]
        io.write_jsonl(done, rows)
    bonus = rows[0]["entropy"] / 2
    arms: dict[str, Callable[[Path], Path]] = {
        "mixed": lambda place: turn(place, [("all", chosen.steps)], start, out, chosen, seed),
        "sequence": lambda place: turn(
            place, [(skill, chosen.steps // 3) for skill in SKILLS], start, out, chosen, seed
        ),
        "loop": lambda place: loop(place, start, out, chosen, seed, 0.0),
        "loop+bonus": lambda place: loop(place, start, out, chosen, seed, bonus),
    }
    for name in chosen.arms:
        if any(row["arm"] == name for row in rows):
            continue
        began = time.monotonic()
        shutil.rmtree(out / name, ignore_errors=True)  # of a run that was killed
        end = arms[name](out / name)
        rewards = [
            row["reward"]
            for file in sorted((out / name).rglob("metrics.jsonl"))
            for row in io.read_jsonl(file)
            if "reward" in row
        ]
        last = rewards[-max(1, len(rewards) // 6) :]
        rows.append({"arm": name, "seed": seed, **examined(end, exam, chosen.tree), "reward": mean(last)})
        io.write_jsonl(done, rows)
        print(f"{time.monotonic() - began:.0f} s {rows[-1]}", file=sys.stderr, flush=True)
    return rows


def _warm(model: str, start: Path, data: Path, chosen: argparse.Namespace, seed: int) -> None:
    settings = FitSettings(
        model=model,
        parts=WHOLE,
        learning_rate=3e-3,
        max_steps=chosen.warm,
        per_device_train_batch_size=32,
        seed=seed,
        allow_contaminated=True,  # names of training and exam are told apart above
    )
    sft(settings, start, data=data / "all")


def turn(
    place: Path,
    phases: Sequence[tuple[str, int]],
    start: Path,
    data: Path,
    chosen: argparse.Namespace,
    seed: int,
    target: float = 0.0,
) -> Path:
    """One phase of reinforcement learning after another; the folder of the last."""
    for number, (skill, steps) in enumerate(phases):
        settings = RLSettings(
            parts=WHOLE, learning_rate=chosen.rate, max_steps=steps, num_generations=8,
            per_device_train_batch_size=32,
            max_completion_length=8, seed=seed, entropy_target=target, entropy_coef_delta=0.01, patience=0,
            allow_contaminated=True,
        )  # fmt: skip
        rl(settings, place / f"{number}_{skill}", data=data / skill, model=start, tree=chosen.tree)
        start = place / f"{number}_{skill}"
    return start


def loop(place: Path, start: Path, data: Path, chosen: argparse.Namespace, seed: int, target: float) -> Path:
    """Two turns; a sixth of each turn's steps is fine-tuning on rare successes."""
    part = chosen.steps // 2
    distil = part // 6
    for number in range(2):
        own = place / str(number)
        draws = RftSettings(draws=8, max_new_tokens=8, rare=0.6, replay=1.0, limit=240, seed=seed + number)
        rft(draws, own / "rft", data=data / "all", model=start, tree=chosen.tree)
        warm = FitSettings(
            parts=WHOLE,
            learning_rate=chosen.rate,
            max_steps=distil,
            per_device_train_batch_size=16,
            warmup_steps=1,
            seed=seed + number,
            allow_contaminated=True,
        )
        sft(warm, own / "sft", data=own / "rft", model=start)
        phases = [("foundation", (part - distil) // 3), ("specialisation", (part - distil) // 3)]
        phases.append(("all", part - distil - 2 * phases[0][1]))
        start = turn(own, phases, own / "sft", data, chosen, seed + number, target)
    return start


# ---- questions ------------------------------------------------------------------------------------------


def questions(tree: Path, split: str, number: int) -> dict[str, list[Sample]]:
    """Of each skill as many as asked for, the same for every seed."""
    four = list(itertools.islice(entity_kind(tree).samples(split), number))
    chance = random.Random(split)
    return {
        "foundation": [with_two(row) for row in four],
        "specialisation": four,
        "general": [compared(chance, i, split) for i in range(number)],
    }


def with_two(sample: Sample) -> Sample:
    """The question with the right kind and one other, the same one for the same name."""
    others = [one for one in sample.choices if one != sample.target]
    other = min(others, key=lambda one: io.unit_interval("other", sample.id, one))
    kept = tuple(one for one in sample.choices if one in (sample.target, other))
    words = sample.messages[0].text.partition(" Answer with one of")[0]
    asked = Message("user", (f"{words} Answer with one of: {', '.join(kept)}.",))
    return replace(sample, id=f"{sample.id}/two", messages=(asked, *sample.messages[1:]), choices=kept)


def compared(chance: random.Random, number: int, split: str) -> Sample:
    a, b = chance.sample(range(10, 100), 2)
    answer = "yes" if a > b else "no"
    messages = (
        Message("user", (f"Is {a} larger than {b}? Answer yes or no.",)),
        Message("assistant", (answer,)),
    )
    return Sample(f"general/{split}/{number}", messages, target=answer, source="held_out", split="")


def shuffled(rows: list[Sample], seed: int) -> list[Sample]:
    random.Random(seed).shuffle(rows)
    return rows


# ---- figures --------------------------------------------------------------------------------------------


def examined(stage: Path, exam: dict[str, list[Sample]], tree: Path) -> dict[str, float]:
    """Accuracy of greedy answers by skill, and the mean entropy in nats of the first token of the answers."""
    engine = transformers(str(stage / "model"), batch_size=64, max_new_tokens=8)
    found = {}
    for skill, rows in exam.items():
        task = make(rows[0].source, tree)
        replies = engine.reply([row.prompt.messages for row in rows])
        found[skill] = mean(
            judge(task, row, reply.text).value or 0.0 for row, reply in zip(rows, replies, strict=True)
        )
    rows = [row for skill in SKILLS for row in exam[skill][:100]]
    return found | {"entropy": mean(entropy(engine, row) for row in rows)}


def entropy(engine: Any, sample: Sample) -> float:
    import torch

    tokens = torch.tensor([render_prompt(sample.prompt.messages, engine.processor).tokens])
    with torch.no_grad():
        chances = engine.model(input_ids=tokens).logits[0, -1].float().log_softmax(-1)
    return float(-(chances.exp() * chances).sum())


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line for each arm, then the paired difference of each arm from mixed."""
    columns = (*SKILLS, "entropy", "reward")
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    lines = [f"| arm | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    values = {
        arm: {c: [row[c] for row in rows if row["arm"] == arm and c in row] for c in columns} for arm in arms
    }
    lines += [f"| {arm} | {' | '.join(interval(values[arm][c]) for c in columns)} |" for arm in arms]
    for arm in arms:
        if arm not in ("start", "mixed") and "mixed" in values:
            apart = [
                [a - b for a, b in zip(values[arm][c], values["mixed"][c], strict=True)] for c in columns
            ]
            lines.append(f"| {arm} - mixed | {' | '.join(map(interval, apart))} |")
    return "\n".join(lines)


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval by t over seeds; one seed has no interval."""
    if len(values) < 2:
        return f"{values[0]:.3f}" if values else ""
    half = T95.get(len(values), 1.96) * stdev(values) / math.sqrt(len(values))
    return f"{mean(values):.3f} ± {half:.3f}"


if __name__ == "__main__":
    main()
