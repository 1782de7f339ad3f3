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
    """BCCD counts: number of red cells, white cells and platelets in a blood smear.

    Args:
        path: folder with Annotations/ and JPEGImages/; "" for ${MEDXIAOHE_DATA}/vqa/bccd.

    Returns:
        The task; data is read when its samples are.
    """
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
    """Score a count that may be off by one.

    Args:
        sample: its target is the number.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` or `refused` without one number
    """
    return replace(count(sample, trace, within=1), name="within_one")


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        Three items for each smear, one for each kind of cell, in an order that depends only on the data set's
        ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, has no annotations, or an annotation is not of VOC.
    """
    for smear in _bccd.smears(path, split):
        for kind in _bccd.CELLS:
            yield _question(smear, kind, split)


def _question(smear: _bccd.Smear, kind: str, split: str) -> Sample:
    answer = str(sum(name == kind for name, _ in smear.boxes))
    wording = f"How many {_bccd.CELLS[kind]} are in this blood smear? Answer with the number."
    return _bccd.question("bccd_count", smear, kind, wording, answer, split)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question(_bccd.EXAMPLE, "RBC", "test")
