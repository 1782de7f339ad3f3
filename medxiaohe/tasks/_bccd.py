"""BCCD (Shenggan 2019, github.com/Shenggan/BCCD_Dataset): blood smears of 640 x 480 pixels with boxes around
cells.

Split by picture, 60 % train, 10 % validation. The data set states no patients, and neighbouring pictures may
be of one smear, so an interval over pictures is too narrow.
"""

from __future__ import annotations

import xml.etree.ElementTree as xml
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medxiaohe.errors import DataError
from medxiaohe.tasks._common import hash_split, item, known_split, pictured, place, shuffled
from medxiaohe.types import ImageRef, Sample

LICENSE = "MIT"
TAGS = ("image", "english", "microscopy")
CELLS = {"RBC": "red blood cells", "WBC": "white blood cells", "Platelets": "platelets"}


@dataclass(frozen=True, slots=True)
class Smear:
    """Blood smear with the boxes of its cells."""

    name: str
    image: ImageRef
    # kind of cell; left, top, right, bottom in pixels
    boxes: tuple[tuple[str, tuple[int, int, int, int]], ...]


EXAMPLE = Smear(
    "example",
    ImageRef("example.jpg"),
    (("RBC", (10, 10, 60, 60)), ("RBC", (70, 15, 120, 70)), ("WBC", (200, 90, 330, 220))),
)


def smears(path: str, split: str) -> Iterator[Smear]:
    """Read the smears of a split.

    Args:
        path: folder with Annotations/ and JPEGImages/; "" for ${MEDXIAOHE_DATA}/vqa/bccd.
        split: train, validation or test.

    Yields:
        Smears with their boxes in pixels, in an order that depends only on the file names.

    Raises:
        ConfigError: there is no such split.
        DataError: the folder is missing, has no annotations, or an annotation is not of VOC.
    """
    known_split(split)
    folder = place(path, "vqa/bccd")
    files = sorted((folder / "Annotations").glob("*.xml"))
    if not files:
        raise DataError(f"{folder}: no Annotations/*.xml")
    for file in shuffled(files, key=lambda file: file.stem):
        if hash_split("bccd", file.stem, train=0.6, validation=0.1) == split:
            yield Smear(file.stem, pictured(f"{file.stem}.jpg", folder / "JPEGImages"), _boxes(file))


def question(task: str, smear: Smear, kind: str, wording: str, answer: str, split: str) -> Sample:
    """Build an item about one kind of cell in a smear.

    Args:
        task: name of the task, for id and source.
        smear: the picture.
        kind: of cell: RBC, WBC or Platelets.
        wording: words of the question.
        answer: gold, target and last message.
        split: of the item.

    Returns:
        The item.
    """
    return item(
        f"{task}/{smear.name}-{kind}",
        (smear.image, wording),
        answer,
        license=LICENSE,
        study_id=smear.name,
        split=split,
        meta={"cell": kind},
    )


def _boxes(file: Path) -> tuple[tuple[str, tuple[int, int, int, int]], ...]:
    try:
        results = []
        for thing in xml.parse(file).iter("object"):
            box = {side.tag: int(float(side.text or "")) for side in thing.find("bndbox") or ()}
            results.append(
                (str(thing.findtext("name")), (box["xmin"], box["ymin"], box["xmax"], box["ymax"]))
            )
        return tuple(results)
    except (xml.ParseError, KeyError, ValueError) as error:
        raise DataError(f"{file}: not a VOC annotation: {error!r}") from error
