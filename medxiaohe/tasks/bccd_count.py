"""How many red cells, white cells and platelets a blood smear shows (BCCD); exactly, and beside it within
one.

The annotators left out some cells at the border and in clumps, so an exact count of red cells is hard for
anybody.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from medxiaohe.scoring.count import count
from medxiaohe.tasks import _bccd
from medxiaohe.types import Sample, Score, Task, Trace

FINGERPRINTS = {"train": "c6ed76083f29b4d9", "validation": "52ec6d68a2534530", "test": "df1668c6f3e0e6a8"}


def bccd_count(path: str = "") -> Task:
    """`path` holds Annotations/ and JPEGImages/; by default ${MEDXIAOHE_DATA}/vqa/bccd."""
    return Task(
        "bccd_count",
        partial(samples, path),
        (count, within_one),
        example(),
        _bccd.LICENSE,
        prompt="number",
        cluster="picture",
        tags=_bccd.TAGS,
        fingerprints={} if path else FINGERPRINTS,
    )


def within_one(sample: Sample, trace: Trace) -> Score:
    return replace(count(sample, trace, within=1), name="within_one")


def samples(path: str, split: str) -> Iterator[Sample]:
    for smear in _bccd.smears(path, split):
        for kind in _bccd.CELLS:
            yield _question(smear, kind, split)


def _question(smear: _bccd.Smear, kind: str, split: str) -> Sample:
    answer = str(sum(name == kind for name, _ in smear.boxes))
    asked = f"How many {_bccd.CELLS[kind]} are in this blood smear? Answer with the number."
    return _bccd.question("bccd_count", smear, kind, asked, answer, split)


def example() -> Sample:
    return _question(_bccd.EXAMPLE, "RBC", "test")
