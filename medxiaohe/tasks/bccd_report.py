"""A report of the white cells of a blood smear with boxes (BCCD): the six measures of RadFact, and pointing.

The reference is written from the boxes that people drew: a sentence with the count and the quarters of the
picture, and the boxes behind it. Pictures without a white cell are left out.
"""

from collections.abc import Iterator
from functools import partial

from medxiaohe.evidence.radfact import MEASURES, radfact
from medxiaohe.evidence.verifiers.measured import statements
from medxiaohe.tasks import _bccd
from medxiaohe.types import Evidence, Locator, Sample, Task

SIZE = (640, 480)
FINGERPRINTS = {"train": "e1cabbc59165cc03", "validation": "206c4ae3c20bdd99", "test": "e840bc65c94eb5f9"}
QUESTION = (
    "Write a report of the white blood cells in this blood smear of 640 x 480 pixels: how many there are and"
    " in which quarters of the picture they lie (upper or lower, left or right). Behind each sentence give"
    " the boxes of the cells as a JSON list, [[left, top, right, bottom], ...] in pixels."
)


def bccd_report(path: str = "") -> Task:
    """BCCD report: describe the white cells of a blood smear with boxes, the measures of RadFact.

    Args:
        path: folder with Annotations/ and JPEGImages/; "" for ${MEDXIAOHE_DATA}/vqa/bccd.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "bccd_report",
        partial(samples, path),
        tuple(partial(radfact, measure_of=name, width=SIZE[0], height=SIZE[1]) for name in MEASURES),
        example(),
        _bccd.LICENSE,
        prompt="own",
        cluster="picture",
        tags=(*_bccd.TAGS, "reports"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each smear with a white cell, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, has no annotations, or an annotation is not of VOC.
    """
    for smear in _bccd.smears(path, split):
        if any(kind == "WBC" for kind, _ in smear.boxes):
            yield _question(smear, split)


def written(smear: _bccd.Smear) -> str:
    """Write the reference report of a smear from its boxes.

    Args:
        smear: with at least one white cell.

    Returns:
        A sentence with count and quarters, and the boxes [left, top, right, bottom] in pixels.
    """
    boxes = [box for kind, box in smear.boxes if kind == "WBC"]
    seen = [
        Evidence(str(n), f"white cell at {list(box)} of {SIZE[0]} x {SIZE[1]} pixels", smear.name,
                 kind="region", at=Locator(box=box))
        for n, box in enumerate(boxes)
    ]  # fmt: skip
    ((sentence, _),) = statements(seen)
    return f"{sentence} {[list(box) for box in boxes]}"


def _question(smear: _bccd.Smear, split: str) -> Sample:
    return _bccd.question("bccd_report", smear, "WBC", QUESTION, written(smear), split)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question(_bccd.EXAMPLE, "test")
