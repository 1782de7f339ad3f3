"""Corpora, tasks and pictures for tests of the data stages."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.types import Message, Sample

WORDS = """patient chronic fever cough dyspnea lung heart liver kidney brain lesion tumor biopsy serum plasma
dose trial cohort
median survival risk factor therapy infusion bolus surgery resection margin nodule effusion opacity fracture
onset relapse marker
antigen antibody receptor enzyme pathway mutation variant allele carrier infant adult woman man smoker
diabetic episode admission
discharge ward nurse protocol placebo control arm outcome endpoint score scale index ratio level range limit
baseline follow""".split()


def prose(seed: object, words: int = 60) -> str:
    dice = random.Random(str(seed))
    return " ".join(dice.choice(WORDS) for _ in range(words))


def document(id: str, text: str, **fields: Any) -> Sample:
    return Sample(id, (Message("document", (text,)),), source="docs", license="CC0-1.0", **fields)


def question(id: str, *asked: Any, answer: str = "Yes.", **fields: Any) -> Sample:
    fields = {"source": "qa", "license": "CC0-1.0", **fields}
    return Sample(id, (Message("user", asked), Message("assistant", (answer,))), **fields)


def corpus(folder: Path, samples: list[Sample]) -> Path:
    io.write_jsonl(folder / "corpus" / "samples.jsonl", samples)
    return folder / "corpus"


def out(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def chat(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def asks(text: Any, answer: str = "Yes.", **fields: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}],
        **fields,
    }


def picture(path: Path, seed: int, *, quality: int = 95, size: int = 96) -> Path:
    """A smooth random pattern; the same seed is the same picture, whatever its quality and size."""
    np, image = pytest.importorskip("numpy"), pytest.importorskip("PIL.Image")
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6), np.uint8)
    image.fromarray(coarse).resize((192, 192), 3).resize((size, size), 3).save(path, "JPEG", quality=quality)
    return path


def task_file(
    folder: Path, items: list[Sample], name: str = "mine", train: list[Sample] | None = None
) -> str:
    """A task of a user's own, as a file."""
    io.write_jsonl(folder / f"{name}_test.jsonl", items)
    io.write_jsonl(folder / f"{name}_train.jsonl", train or [])
    (folder / f"{name}.py").write_text(
        "from pathlib import Path\nfrom medxiaohe import io\nfrom medxiaohe.types import Task\n"
        f"def {name}():\n"
        f"    rows = lambda split: io.read_samples(Path({str(folder)!r}) / f'{name}_{{split}}.jsonl')\n"
        f"    return Task({name!r}, rows, (), next(rows('test')), 'CC0-1.0')\n"
    )
    return f"{folder / name}.py:{name}"


def dropped(folder: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in io.read_jsonl(folder / "dropped.jsonl")}
