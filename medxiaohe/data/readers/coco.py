"""COCO captions: {"images": [{id, file_name}], "annotations": [{id, image_id, caption}]}, a sample a caption.

    {reader: coco, path: annotations/captions_train.json, options: {images: ../train}}

Captions of one image have one study_id, so they never straddle a split. An annotation without `caption`
(boxes, key points) is listed as a rejected row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import files
from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.formats.records import Record, parsed
from medxiaohe.data.formats.rows import RowOptions, sample_of
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.types import Sample

MAX_JSON = 512 * 2**20  # bytes; captions of 118,000 images of COCO 2017 are 92 MB
EXAMPLE = {
    "captions.json": '{"images": [{"id": 1, "file_name": "a.png", "license": 1}],'
    ' "licenses": [{"id": 1, "name": "CC0-1.0"}],'
    ' "annotations": [{"id": 7, "image_id": 1, "caption": "Frontal view of the chest."}]}',
    "a.png": png(8, 6),
}


def coco(
    path: Path,
    *,
    images: str = "",
    question: str = "",
    split: str = "",
    license: str = "",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """Read COCO captions, one sample for each caption.

    Args:
        path: a .json file of annotations, or a folder of them.
        images: folder of the images, from the file's folder.
        question: text that asks for the caption, for fine-tuning; "": a caption is a document.
        split: of rows that state none.
        license: of rows that state none.
        allow_outside: folders beside the data's own from which rows may name images.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    columns: dict[str, Any] = {"image": "file_name", "id": "id", "study_id": "image_id", "license": "license"}
    if question:
        columns |= {"user": {"constant": question}, "assistant": "caption"}
    else:
        columns |= {"text": "caption"}
    options = RowOptions(columns, images, "", 0, split, license, (), allow_outside)
    within = options.confined(path)

    def read(file: Path) -> Iterator[Sample | DeadLetter]:
        """Read the annotations of one file.

        Yields:
            A Sample for each caption, or why there is none.
        """
        value = parsed(files.words(file, MAX_JSON))
        pictures, licenses = _by_id(value, "images", file), _by_id(value, "licenses", file)
        for number, annotation in enumerate(_list(value, "annotations", file), start=1):
            location = f"{file.stem}:{number}"
            try:
                row = _row(annotation, pictures, licenses)
            except Rejected as error:
                yield files.rejected(location, error)
                continue
            yield sample_of(Record(location, row), file.parent, options, within)

    yield from files.each(files.files(path, ".json"), read, path)


def _row(annotation: Any, pictures: dict[str, Any], licenses: dict[str, Any]) -> dict[str, Any]:
    """Join an annotation with the file name and licence of its image."""
    if not isinstance(annotation, dict) or not annotation.get("caption"):
        raise Rejected("empty", "the annotation has no caption")
    picture = pictures.get(str(annotation.get("image_id")))
    if picture is None:
        raise Rejected("missing", f"no image with the id {str(annotation.get('image_id'))[:40]!r}")
    terms = licenses.get(str(picture.get("license")), {}).get("name", "")
    return {**annotation, "file_name": picture.get("file_name"), "license": terms or ""} | {
        "id": annotation.get("id")
    }


def _by_id(value: Any, key: str, file: Path) -> dict[str, Any]:
    entries = (
        _list(value, key, file) if key == "images" or (isinstance(value, dict) and value.get(key)) else []
    )
    return {str(entry.get("id")): entry for entry in entries if isinstance(entry, dict)}


def _list(value: Any, key: str, file: Path) -> list[Any]:
    entries = value.get(key) if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise Rejected("row", f"{file.name}: not COCO: no list `{key}`")
    return entries
