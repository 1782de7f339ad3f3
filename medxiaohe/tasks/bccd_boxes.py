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
    """`path` holds Annotations/ and JPEGImages/; by default ${MEDXIAOHE_DATA}/vqa/bccd."""
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
    for smear in _bccd.smears(path, split):
        for kind in KINDS:
            if any(name == kind for name, _ in smear.boxes):
                yield _question(smear, kind, split)


def _question(smear: _bccd.Smear, kind: str, split: str) -> Sample:
    asked = (
        f"Where are the {_bccd.CELLS[kind]} in this blood smear of 640 x 480 pixels? Answer with a JSON list"
        " of boxes, [left, top, right, bottom] in pixels."
    )
    answer = json.dumps([list(box) for name, box in smear.boxes if name == kind])
    return _bccd.question("bccd_boxes", smear, kind, asked, answer, split)


def example() -> Sample:
    return _question(_bccd.EXAMPLE, "WBC", "test")
