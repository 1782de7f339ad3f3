"""Where the white cells and platelets of a blood smear are (BCCD): F1 of boxes at an overlap of 0.5, in
pixels of the picture.

Red cells, a dozen and more in a picture and partly left out by the annotators, are not asked for. A picture
without the kind asked for is left out.
"""

import json
from collections.abc import Iterator
from functools import partial

from medxiaohe.scoring.boxes import boxes
from medxiaohe.tasks import _bccd
from medxiaohe.types import Sample, Task

KINDS = ("WBC", "Platelets")

FINGERPRINTS = {"train": "1e10fb5bd5a7ca58", "validation": "02c078732bdaaf8d", "test": "8e861ee3c424e52b"}


def bccd_boxes(path: str = "") -> Task:
    """BCCD boxes: locate white cells and platelets in a blood smear, F1 at IoU 0.5.

    Args:
        path: folder with Annotations/ and JPEGImages/; "" for ${MEDXIAOHE_DATA}/vqa/bccd.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "bccd_boxes",
        partial(samples, path),
        (boxes,),
        example(),
        _bccd.LICENSE,
        prompt="boxes",
        cluster="picture",
        tags=_bccd.TAGS,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each smear and kind of cell that it shows, in an order that depends only on the data
        set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, has no annotations, or an annotation is not of VOC.
    """
    for smear in _bccd.smears(path, split):
        for kind in KINDS:
            if any(name == kind for name, _ in smear.boxes):
                yield _question(smear, kind, split)


def _question(smear: _bccd.Smear, kind: str, split: str) -> Sample:
    wording = (
        f"Where are the {_bccd.CELLS[kind]} in this blood smear of 640 x 480 pixels? Answer with a JSON list"
        " of boxes, [left, top, right, bottom] in pixels."
    )
    answer = json.dumps([list(box) for name, box in smear.boxes if name == kind])
    return _bccd.question("bccd_boxes", smear, kind, wording, answer, split)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question(_bccd.EXAMPLE, "WBC", "test")
