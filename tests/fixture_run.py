"""A made-up finished run, written by the contract of ARCHITECTURE.md: data to lay out a page with, and
nothing more."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageDraw

from medxiaohe import images, io
from medxiaohe.evals.statistics.stats import holm
from medxiaohe.types import Entity, ImageRef, Message, Sample, Score, Trace

SKILL = {"base": 0.34, "cpt": 0.38, "sft": 0.62, "rl": 0.63}
BITS = [-0.2, -0.05, -0.11, -0.3, 0.02, -0.09, -0.15, -0.2]  # change of bits per token, document by document
UNPARSED = {"base": 0.16, "cpt": 0.14, "sft": 0.02, "rl": 0.01}
CONSTANT = {
    "chest_xray": {"constant": 0.66, "constant_answer": "yes", "constant_from": "train"},
    "exam": {"constant": 0.25, "constant_answer": "A", "constant_from": "test"},
}
SOURCES = {
    "pubmed_oa": "CC BY 4.0",
    "openi": "CC BY-NC-ND 4.0",
    "textbooks": "CC BY-SA 4.0",
    "case_reports": "CC0 1.0",
}
REASONS = {
    "duplicate": 61,
    "too short": 38,
    "not English": 17,
    "image unreadable": 9,
    "contaminated": 4,
    "names a patient": 3,
}
DOMAINS = {
    "disease": (
        ["infectious", "neoplastic", "vascular", "congenital", "metabolic"],
        ["pneumonia", "abscess", "sarcoma", "stenosis", "ataxia", "fibrosis"],
    ),
    "anatomy": (
        ["thorax", "abdomen", "limb", "head and neck"],
        ["artery", "lobe", "bone", "duct", "ganglion"],
    ),
    "phenotype": (
        ["imaging", "laboratory", "clinical sign"],
        ["opacity", "effusion", "raised level", "tremor", "mass"],
    ),
    "chemical": (["antibiotic", "contrast agent", "hormone"], ["acid", "sodium", "complex"]),
}


def write_run(
    root: Path,
    *,
    stages: tuple[str, ...] = ("base", "cpt", "sft", "rl"),
    name: str = "",
    perplexity: bool = True,
) -> dict[str, Path]:
    """The folders of a run by role, as `report` takes them. `name` replaces names to test escaping."""
    random, folders = Random(7), dict[str, Path]()
    entities = _entities(name)
    folders["tree"] = _tree(root, entities)
    samples = _samples(random, [e.id for e in entities], name)
    folders["corpus"], kept = _corpus(root, samples, len(entities))
    folders["curated"] = _curated(root, samples, kept, name)
    folders["mixture"] = _mixture(root)
    for i, stage in enumerate(stages[1:], start=1):
        folders[stage] = _trained(
            root,
            stage,
            base="HuggingFaceTB/SmolVLM-256M-Instruct" if i == 1 else str(folders[stages[i - 1]] / "model"),
        )
    judged = {stage: _examined(root, stage, folders, name) for stage in stages}
    folders["comparison"] = _compared(root, judged, name, perplexity)
    return folders


def _stage(root: Path, stage: str, uses: str, settings: dict[str, Any], summary: dict[str, Any]) -> Path:
    folder = root / stage / "1"
    code = {"medxiaohe": "0.1.0", "file": io.fingerprint(uses)}
    record = {
        "stage": stage,
        "uses": uses,
        "settings": settings,
        "needs": {},
        "files": {},
        "code": code,
        "summary": summary,
    }
    io.write_json(folder / "stage.json", record)
    return folder


def _entities(name: str) -> list[Entity]:
    found = []
    for kind, (groups, nouns) in DOMAINS.items():
        top = Entity(f"{kind}:0", name or kind, kind, source="mini", license="CC BY 4.0")
        found.append(top)
        for g, group in enumerate(groups):
            parent = (
                Entity(f"{kind}:{g}", f"{group} {kind}", kind, (top.id,))
                if g
                else Entity(f"{kind}:g", f"{group} {kind}", kind, (top.id,))
            )
            found.append(parent)
            for n, noun in enumerate(nouns[: 3 + (g + len(kind)) % 4]):
                child = Entity(f"{parent.id}.{n}", f"{group} {noun}", kind, (parent.id,))
                found.append(child)
                found += [
                    Entity(f"{child.id}.{i}", f"{group} {noun} type {i + 1}", kind, (child.id,))
                    for i in range((n * 5 + g) % 7)
                ]
    return found


def _tree(root: Path, entities: list[Entity]) -> Path:
    sources = [
        {"name": "MONDO", "license": "CC BY 4.0", "entities": len(entities) // 2},
        {"name": "UBERON", "license": "CC BY 3.0", "entities": len(entities) - len(entities) // 2},
    ]
    summary = {
        "entities": len(entities),
        "names": 2 * len(entities),
        "kinds": dict(Counter(e.kind for e in entities)),
        "sources": sources,
    }
    folder = _stage(root, "tree", "entity.build", {"vocabularies": ["mondo", "uberon"]}, summary)
    io.write_jsonl(folder / "entities.jsonl", entities)
    return folder


def _samples(random: Random, ids: list[str], name: str) -> list[Sample]:
    weights = [1 / (i + 1) for i in range(len(ids))]
    order = random.sample(ids[: len(ids) * 4 // 5], len(ids) * 4 // 5)
    samples = []
    for i in range(900):
        about = tuple(dict.fromkeys(random.choices(order, weights[: len(order)], k=random.randint(0, 5))))
        source = random.choices(list(SOURCES), [5, 2, 2, 1])[0]
        words = (
            f"Case {i}. {name} The radiograph shows a patchy opacity in the left lower lobe without effusion."
            " Follow-up was advised."
        )
        samples.append(
            Sample(
                f"{source}-{i:04d}",
                (Message("document", (words,)),),
                entities=about,
                source=source,
                license=SOURCES[source],
            )
        )
    return samples


def _coverage(samples: list[Sample]) -> dict[str, int]:
    return dict(Counter(id for sample in samples for id in sample.entities))


def _corpus(root: Path, samples: list[Sample], num_entities: int) -> tuple[Path, list[Sample]]:
    dead = [
        {"source": "pubmed_oa", "where": f"articles.xml:{40 + 13 * i}", "reason": f"line {i}: no abstract"}
        for i in range(23)
    ]
    dead += [{"source": "openi", "where": f"CXR{i}.png", "reason": "truncated image"} for i in range(6)]
    by_source = Counter(sample.source for sample in samples)
    sources = {}
    for source, license in SOURCES.items():
        n, bad = by_source[source], sum(row["source"] == source for row in dead)
        sources[source] = {
            "read": n + bad,
            "documents": n * 2 // 3,
            "instructions": n - n * 2 // 3,
            "images": n // 2,
            "license": license,
        }
    coverage = _coverage(samples)
    summary = {
        "read": len(samples) + len(dead), "written": len(samples), "dead": len(dead), "sources": sources,
        "mentions": sum(coverage.values()), "entities_covered": len(coverage),
    }  # fmt: skip
    folder = _stage(root, "corpus", "data.read", {"sources": list(SOURCES)}, summary)
    io.write_jsonl(folder / "samples.jsonl", samples)
    io.write_jsonl(folder / "dead.jsonl", dead)
    io.write_json(folder / "coverage.json", coverage)
    return folder, samples[sum(REASONS.values()) :]


def _curated(root: Path, samples: list[Sample], kept: list[Sample], name: str) -> Path:
    reasons = [reason for reason, n in REASONS.items() for _ in range(n)]
    dropped = [
        {
            "id": sample.id,
            "source": sample.source,
            "reason": reason,
            "detail": f"{name} the same words as {samples[-1].id}" if reason == "duplicate" else "",
        }
        for sample, reason in zip(samples, reasons, strict=False)
    ]
    words = f"{name} The radiograph shows a patchy opacity in the left lower lobe."
    asked = "Where is the patchy opacity? The radiograph shows it in the left lower lobe."
    hits = [row["id"] for row in dropped if row["reason"] == "contaminated"]
    pairs = [
        {"id": id, "text": words, "item": f"chest_xray-{i:03d}", "item_text": asked}
        for i, id in enumerate(hits)
    ]
    matches = [{**pair, "task": "chest_xray", "how": "5 words in a row"} for pair in pairs]
    summary = {"read": len(samples), "kept": len(kept), "dropped": REASONS, "contaminated": len(matches)}
    folder = _stage(root, "curated", "data.curate", {"filters": ["length", "language"], "seed": 0}, summary)
    io.write_jsonl(folder / "samples.jsonl", kept)
    io.write_jsonl(folder / "dropped.jsonl", dropped)
    io.write_json(
        folder / "contamination.json", {"checked": {"chest_xray": 160, "exam": 120}, "matches": matches}
    )
    io.write_json(folder / "coverage.json", _coverage(kept))
    return folder


def _mixture(root: Path) -> Path:
    shares = {
        "pubmed_oa": (445, 445),
        "openi": (334, 320),
        "textbooks": (222, 222),
        "case_reports": (111, 111),
    }
    summary = {
        "documents": 612, "instructions": 380, "prompts": 120,
        "by_source": {source: {"intended": a, "realised": b} for source, (a, b) in shares.items()},
        "by_bucket": {
        "head": {"before": 0.503, "after": 0.413}, "torso": {"before": 0.298, "after": 0.312},
        "tail": {"before": 0.199, "after": 0.275}},
    }  # fmt: skip
    folder = _stage(root, "mixture", "data.mixture", {"seed": 0, "temperature": 0.7}, summary)
    io.write_json(folder / "mixture.json", summary)
    return folder


def _trained(root: Path, stage: str, base: str) -> Path:
    random, rows = Random(stage), []
    for step in range(1, 241):
        row = {
            "step": step,
            "learning_rate": 2e-4 * math.sin(math.pi * step / 241),
            "grad_norm": 1 + random.random(),
        }
        if stage == "rl":
            row |= {
                "reward": 0.55 + 0.12 * (1 - math.exp(-step / 90)) + random.gauss(0, 0.05),
                "entropy": 1.4 * math.exp(-step / 300),
                "loss": random.gauss(0, 0.01),
            }
        else:
            row["loss"] = (
                (3.1 if stage == "cpt" else 2.2) * math.exp(-step / 160) + 1.1 + random.gauss(0, 0.08)
            )
        rows.append(row)
    summary = {
        "steps": 240, "tokens": 491_520, "trained_parameters": 4_200_000, "total_parameters": 256_484_928,
        "loss_first": rows[0]["loss"], "loss_last": rows[-1]["loss"], "base": base,
    }  # fmt: skip
    if stage == "rl":
        summary |= {"reward_first": rows[0]["reward"], "reward_last": rows[-1]["reward"]}
    folder = _stage(
        root,
        stage,
        f"train.{stage}",
        {
            "learning_rate": 2e-4,
            "batch_tokens": 2048,
            "steps": 240,
            "model": "/home/someone/models/base",
            "seed": 0,
        },
        summary,
    )
    io.write_jsonl(folder / "metrics.jsonl", rows)
    return folder


def _picture(path: Path, seed: int) -> ImageRef:
    """A grey chest of sorts, with a bright spot somewhere."""
    random, canvas = Random(seed), Image.new("L", (320, 288), 18)
    draw = ImageDraw.Draw(canvas)
    draw.ellipse((30, 20, 290, 300), fill=118)
    for x in (62, 172):
        draw.ellipse((x, 50, x + 88, 240), fill=46)
    for y in range(60, 240, 26):
        draw.arc((40, y - 20, 280, y + 40), 200, 340, fill=140, width=3)
    x, y = random.randint(70, 230), random.randint(80, 220)
    draw.ellipse((x - 16, y - 14, x + 16, y + 14), fill=190)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)
    return images.ref(path)


def _items(root: Path, name: str) -> list[tuple[str, Sample]]:
    items = []
    for i in range(160):
        picture = _picture(root / "pictures" / f"{i:03d}.png", i)
        ask = Message(
            "user", (picture, f"{name} Is there a focal opacity in the left lung on this radiograph?")
        )
        items.append(
            (
                "chest_xray",
                Sample(
                    f"chest_xray-{i:03d}",
                    (ask,),
                    target="yes" if i % 3 else "no",
                    source="chest_xray",
                    license="CC BY 4.0",
                ),
            )
        )
    choices = ("Amoxicillin", "Watchful waiting", "Surgical drainage", "Contrast-enhanced CT")
    for i in range(120):
        ask = Message(
            "user",
            (
                (
                    f"A {30 + i % 50}-year-old has had fever and productive cough for {2 + i % 9} days. What"
                    " is the next step?"
                ),
            ),
        )
        items.append(
            (
                "exam",
                Sample(
                    f"exam-{i:03d}",
                    (ask,),
                    target="ABCD"[i % 4],
                    choices=choices,
                    source="exam",
                    license="CC BY 4.0",
                ),
            )
        )
    return items


def _examined(root: Path, stage: str, folders: dict[str, Path], name: str) -> dict[str, list[Score]]:
    rows, scores = [], dict[str, list[Score]]()
    for i, (task, sample) in enumerate(_items(root, name)):
        chance, luck = Random(f"{task}{i}").random(), Random(f"{stage}{i}").random()
        right = (chance + luck) / 2 < SKILL[stage] * (1.0 if task == "chest_xray" else 0.8)
        wrong = "no" if sample.target == "yes" else "yes" if task == "chest_xray" else "ABCD"[(i + 1) % 4]
        said = sample.target if right else wrong
        answer = (
            f"{name} The image shows the heart, both lungs and the ribs. " * (1 + i % 5) + f"\nAnswer: {said}"
        )
        score = Score("choice" if task == "exam" else "yes_no", float(right), parsed=said)
        if luck < UNPARSED[stage]:
            answer = (
                f"{name} I would look at the borders of the heart first."
                if i % 4
                else "I cannot help with medical questions."
            )
            score = Score(
                score.name, 0.0, "unparsed" if i % 4 else "refused", why="no line starts with 'Answer:'"
            )
        trace = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))
        rows.append({"task": task, "sample": sample, "trace": trace, "scores": [score]})
        scores.setdefault(task, []).append(score)
    summary: dict[str, Any] = {task: _mean(found) for task, found in scores.items()}
    folder = _stage(
        root,
        f"eval_{stage}",
        "evals.run",
        {
            "tasks": list(scores),
            "model": "HuggingFaceTB/SmolVLM-256M-Instruct" if stage == "base" else "",
            "seed": 0,
        },
        summary,
    )
    io.write_jsonl(folder / "traces.jsonl", rows)
    folders[f"eval_{stage}"] = folder
    return scores


def _mean(scores: list[Score]) -> dict[str, Any]:
    n = len(scores)
    mean = sum(score.value or 0 for score in scores) / n if n else None
    half = 1.96 * math.sqrt(mean * (1 - mean) / n) if mean is not None else 0.0
    faults = Counter(score.status for score in scores)
    counts = {key: faults[key] for key in ("unparsed", "refused", "unjudged")}
    return {
        "n": n,
        "mean": mean,
        "low": None if mean is None else mean - half,
        "high": None if mean is None else mean + half,
        "clusters": n,
        **counts,
    }


def _difference(steps: list[float]) -> dict[str, Any]:
    mean = sum(steps) / len(steps)
    error = math.sqrt(sum((s - mean) ** 2 for s in steps)) / len(steps) or 1.0
    p = math.erfc(abs(mean / error) / math.sqrt(2))
    row = {
        "difference": mean,
        "low": mean - 1.96 * error,
        "high": mean + 1.96 * error,
        "p": p,
        "n": len(steps),
    }
    return row | {"test": "normal", "minimum_detectable": 2.8 * error}


def _compared(root: Path, judged: dict[str, dict[str, list[Score]]], name: str, perplexity: bool) -> Path:
    stages = list(judged)
    shown = {task: name + task for task in judged[stages[0]]}
    tasks = {
        shown[task]: [{"stage": f"eval_{s}", **_mean(judged[s][task]), **CONSTANT[task]} for s in stages]
        for task in shown
    }
    paired = []
    for task in shown:
        for a, b in dict.fromkeys([*((stages[0], later) for later in stages[1:]), *pairwise(stages)]):
            steps = [
                (y.value or 0) - (x.value or 0) for x, y in zip(judged[a][task], judged[b][task], strict=True)
            ]
            paired.append({"task": shown[task], "a": f"eval_{a}", "b": f"eval_{b}", **_difference(steps)})
    bits = [
        {
            "stage": f"eval_{s}",
            "documents": 40,
            "tokens": 8_190,
            "bits_per_token": 3.9 - SKILL[s],
            "bits_per_byte": 1.1,
        }
        for s in stages
    ]
    tests = [
        {"task": "bits per token", "a": f"eval_{a}", "b": f"eval_{b}", **_difference(BITS)}
        for a, b in pairwise(stages)
    ]
    measured = {"stages": bits, "paired": tests} if perplexity else {"stages": [], "paired": []}
    for row, p in zip(
        [*paired, *measured["paired"]],
        holm([row["p"] for row in [*paired, *measured["paired"]]]),
        strict=True,
    ):
        row["p_holm"] = p
    cut = {"head": slice(0, None, 2), "torso": slice(1, None, 4), "tail": slice(3, None, 4)}
    buckets = {
        shown[t]: {f"eval_{s}": {b: _mean(judged[s][t][part]) for b, part in cut.items()} for s in stages}
        for t in shown
    }
    folder = _stage(root, "comparison", "evals.compare", {"seed": 0}, {})
    found = {
        "stages": [f"eval_{s}" for s in stages],
        "tasks": tasks,
        "paired": paired,
        "buckets": buckets,
        "perplexity": measured,
    }
    io.write_json(folder / "comparison.json", found)
    return folder


def break_image(sample: Sample) -> Sample:
    """The same sample with an image that is not there."""
    parts = tuple(
        replace(p, uri="/nowhere/lost.png") if isinstance(p, ImageRef) else p
        for m in sample.messages
        for p in m.parts
    )
    return replace(sample, messages=(Message("user", parts),))
