"""Do rationales help the specialist of MedCoT, and are they lost when they are shuffled? (arXiv 2412.13736)

    python benchmarks/medcot_experts.py --world --out out/experts                 made-up world, 5 seeds
    MEDXIAOHE_DATA=pack python benchmarks/medcot_experts.py --out out/experts     VQA-RAD, closed questions
    python benchmarks/medcot_experts.py --world --seeds 0 --out out/experts       one seed; rows are kept

Each seed trains `train.moe` three times on the same rows: with rationales, without, and with those of other
rows. The checkpoint is chosen on validation; accuracy is that of the test rows, by the gate, by the vote of
the experts, and of the best expert alone (chosen on validation). Intervals are over seeds (t).

    made-up world   image and question say nothing; the rationale names a sign that is right in 9 of 10
    VQA-RAD         no model that sees is among the package files, so rationales are retrieved: what training
                    questions about the most similar training image are answered with. Splits share no image.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from medxiaohe import io
from medxiaohe.models.experts import specialist
from medxiaohe.models.experts.features import patches_of
from medxiaohe.tasks import make
from medxiaohe.train.moe import MoeSettings, moe, question_of, read_rationales, scores
from medxiaohe.types import Message, Sample

USES = ("with", "without", "shuffled")
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
SIGNS = ("effusion", "fracture", "nodule", "oedema", "mass", "cyst", "plaque", "stone")
SIMILAR = 3  # questions about the most similar image that a rationale quotes


def world(folder: Path) -> dict[str, list[Sample]]:
    """Rows of the made-up world by split, and their rationales."""
    chance, told = random.Random("world"), []
    rows: dict[str, list[Sample]] = {"train": [], "validation": [], "test": []}
    for split, count in (("train", 300), ("validation", 100), ("test", 300)):
        for number in range(count):
            sign = chance.choice(SIGNS)
            right = "yes" if SIGNS.index(sign) % 2 else "no"
            target = right if chance.random() < 0.9 else {"yes": "no", "no": "yes"}[right]
            asked = Message("user", (f"Is case {number} ill? Answer yes or no.",))
            sample = Sample(f"{split}/{number}", (asked,), target, source="held_out", split=split)  # type: ignore[arg-type]
            rows[split].append(sample)
            told.append({"id": sample.id, "rationale": f"The left side shows a {sign}."})
    io.write_jsonl(folder / "rationales.jsonl", told)
    return rows


def vqa_rad(folder: Path, tower: str) -> dict[str, list[Sample]]:
    """Closed questions by split, and rationales from the most similar training image."""
    task = make("vqa_rad")
    rows = {split: list(task.samples(split)) for split in ("train", "validation", "test")}
    every = [row for own in rows.values() for row in own]
    images = {row.id: next(i for m in row.messages for i in m.images) for row in every}
    features = {image: patch.ravel() for image, patch in patches_of(list(images.values()), tower).items()}
    by_image: dict[Any, list[Sample]] = {}
    for row in rows["train"]:
        by_image.setdefault(images[row.id], []).append(row)
    library = list(by_image)
    vectors = np.stack([features[image] for image in library])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    told = []
    for row in every:
        own = images[row.id]
        near = vectors @ (features[own] / np.linalg.norm(features[own]))
        order = [i for i in np.argsort(-near) if library[i] != own]  # never its own image
        similar = by_image[library[order[0]]][:SIMILAR]
        words = " ".join(f"{one.messages[0].text.split(' Answer')[0]} {one.target}." for one in similar)
        told.append({"id": row.id, "rationale": f"In a similar image: {words}"})
    io.write_jsonl(folder / "rationales.jsonl", told)
    return rows


def one_run(
    rows: dict[str, list[Sample]], folder: Path, use: str, seed: int, base: MoeSettings
) -> dict[str, Any]:
    """Train once, and answer the test rows with the checkpoint of validation."""
    settings = replace(base, use=use, seed=seed, rationales=str(folder / "rationales.jsonl"))  # type: ignore[arg-type]
    out = folder / f"{use}-{seed}"
    with io.publish(out) as draft:
        found = moe(settings, draft, data=folder / "train", validation=folder / "validation")
    network, facts = specialist.load(out / "model")
    test = rows["test"]
    told = read_rationales(settings, test)
    arrays = specialist.prepared([question_of(row, told) for row in test], facts)
    said = specialist.answers(network, arrays, facts.candidates)
    by = scores(said, [row.target for row in test])
    best = max(range(len(found["experts"])), key=lambda e: found["experts"][e])
    return {
        "use": use,
        "seed": seed,
        "gate": by["gate"],
        "vote": by["vote"],
        "best expert": by["experts"][best],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--world", action="store_true", help="the made-up world instead of VQA-RAD")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tower", default="colours", help="colours, dinov2, or a folder")
    parser.add_argument("--text", default="ngrams", help="ngrams, minilm, or a folder")
    parser.add_argument("--out", type=Path, help="keep models and rows here")
    args = parser.parse_args()
    folder = (args.out or Path(tempfile.mkdtemp())) / ("world" if args.world else "vqa_rad")
    folder.mkdir(parents=True, exist_ok=True)
    rows = world(folder) if args.world else vqa_rad(folder, args.tower)
    for split in ("train", "validation"):
        io.write_jsonl(folder / split / "prompts.jsonl", rows[split])
    base = MoeSettings(
        text=args.text, tower=args.tower, epochs=args.epochs, width=32, learning_rate=3e-3, longest=64,
        allow_contaminated=True,  # the splits of the task share no image
    )  # fmt: skip
    kept = folder / "rows.jsonl"
    done = list(io.read_jsonl(kept)) if kept.is_file() else []
    for seed in args.seeds:
        for use in USES:
            if not any(row["use"] == use and row["seed"] == seed for row in done):
                done.append(one_run(rows, folder, use, seed, base))
                io.write_jsonl(kept, done)
    test = rows["test"]
    most = max(sum(row.target == one for row in test) for one in {row.target for row in test}) / len(test)
    seeds = sorted({row["seed"] for row in done})
    print(f"{len(test)} test questions, majority answer {most:.3f}, {len(seeds)} seeds")
    for name in ("gate", "vote", "best expert"):
        for use in USES:
            print(f"{name:<12} {use:<9} {interval([r[name] for r in done if r['use'] == use])}")
    for other in ("without", "shuffled"):
        gaps = [
            one["gate"] - two["gate"]
            for one in done for two in done
            if one["use"] == "with" and two["use"] == other and one["seed"] == two["seed"]
        ]  # fmt: skip
        print(f"gate, with less {other}: {interval(gaps)}")


def interval(values: Sequence[float]) -> str:
    half = (
        T95.get(len(values), 1.96) * stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    )
    return f"{mean(values):+.3f} [{mean(values) - half:+.3f}, {mean(values) + half:+.3f}]"


if __name__ == "__main__":
    main()
