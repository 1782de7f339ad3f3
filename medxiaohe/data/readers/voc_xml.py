"""Boxes in the Pascal VOC layout (Annotations/*.xml beside JPEGImages/): each image with what is in it and
where.

The answer is JSON, [{"label": ..., "box": [left, top, right, bottom]}, ...] in pixels; the counts are in
`meta.counts`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medxiaohe.data.formats import files
from medxiaohe.data.formats.markup import local, parsed
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.types import ImageRef, Message, Sample

APART = (".xml",)  # no file of a folder says anything about another
EXAMPLE = {
    "Annotations/a.xml": (
        """<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>RBC</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation>
"""
    )
}
ASK = (
    'Find every object. Answer with JSON: [{"label": ..., "box": [left, top, right, bottom]}, ...], in'
    " pixels."
)


def voc_xml(
    path: Path, *, images: str = "JPEGImages", ask: str = ASK, license: str = "not stated"
) -> Iterator[Sample | DeadLetter]:
    """Read images with boxes as questions whose answer is JSON.

    Args:
        path: an .xml file of annotations, or a folder of them.
        images: folder of the images, beside that of the annotations.
        ask: the question.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    base = path if path.is_dir() else path.parent

    def read(file: Path) -> Iterator[Sample | DeadLetter]:
        """Read the boxes of one image.

        Yields:
            One Sample.

        Raises:
            Rejected: the file has another format, no objects, or a box outside of the image.
        """
        root = parsed(file)
        if local(root) != "annotation":
            raise Rejected("format", f"{file.name}: the root must be annotation, not {local(root)[:40]}", 0)
        folder = file.parent.parent / images if (file.parent.parent / images).is_dir() else base / images
        name = (root.findtext("filename") or "").strip() or f"{file.stem}.jpg"
        width, height = (_number(root.findtext(f"size/{side}")) for side in ("width", "height"))
        boxes = []
        for element in root.iter("object"):
            box = [_number(element.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")]
            if not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
                raise Rejected("lie", f"{file.name}: the box {box} is not inside {width} x {height} pixels")
            boxes.append({"label": (element.findtext("name") or "").strip(), "box": box})
        if not boxes:
            raise Rejected("empty", f"{file.name}: no objects")
        answer = json.dumps(boxes)
        picture = ImageRef(str(files.inside(name, folder, base)))
        yield Sample(
            id=file.stem,
            messages=(Message("user", (picture, ask)), Message("assistant", (answer,))),
            target=answer,
            source="voc",
            license=license,
            study_id=file.stem,
            meta={
                "boxes": boxes,
                "counts": dict(Counter(str(box["label"]) for box in boxes)),
                "width": width,
                "height": height,
            },
        )

    yield from files.each(files.files(path, *APART), read, path)


def _number(value: str | None) -> int:
    try:
        return round(float(value or ""))
    except (ValueError, OverflowError) as error:
        raise Rejected("row", f"{value!r} is not a number of pixels") from error
