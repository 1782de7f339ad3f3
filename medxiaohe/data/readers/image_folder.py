"""A folder of PNG, JPEG, TIFF, WebP, BMP or GIF images, with a table of captions or a text file beside each
image.

    {reader: image_folder, path: scans, options: {captions: labels.csv, file: image_id, columns: {text:
    "Finding: {label}"}}}

`captions` is a .csv, .tsv, .jsonl, .json or .parquet file, from the folder (default: the only one there is);
`file` its column with the name of the image, with or without folder and ending. `columns` is that of the
reader `table`; what it says may also be a question and its answer. Images without a caption, and rows whose
image is missing or has a name that two images have, are rejected rows. A column named `sha256` is held
against the bytes of the image, which is how damage on the way here is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.formats import chat, files
from medxiaohe.data.formats.columns import chat_row, normalised, usual
from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.formats.records import ENDINGS, as_text, at, records
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import DataError
from medxiaohe.types import ImageRef, Message, Sample

EXAMPLE = {
    "a.png": png(8, 6),
    "b/c.png": png(6, 8, 1),
    "b/c.txt": "Lateral view of the knee.",
    "captions.csv": "file,caption\na.png,Frontal view of the chest.\n",
}
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif")
FILE_COLUMNS = ("file", "filename", "file_name", "image", "image_name", "image_id", "path", "id")
MAX_CAPTION = 2**20


def image_folder(
    path: Path,
    *,
    captions: str = "",
    file: str = "",
    columns: Mapping[str, Any] | None = None,
    text: str = "",
    meta: Sequence[str] = (),
    split: str = "",
    license: str = "not stated",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """Read images with captions from a table or from a text file beside each.

    Args:
        path: a folder, or an image.
        captions: a table, from the folder; "": the only one there is.
        file: column of the table with the name of the image.
        columns: which other column is what (data/formats/columns.py).
        text: caption of every image that has none of its own.
        meta: columns to keep in `Sample.meta`.
        split: of rows that state none.
        license: of rows that state none.
        allow_outside: folders beside the data's own from which rows may name images.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    within = io.confined(path, allow_outside)
    pictures = files.files(path, *PICTURES)
    folder = path if path.is_dir() else path.parent
    extra = {key: value for key, value in (("split", split), ("license", license)) if value}
    table, columns = _table(folder, captions), dict(columns or {})
    seen = set[Path]()
    if table:
        places = _places(pictures, folder)
        for record in records(table):
            if isinstance(record, DeadLetter):
                yield record
                continue
            try:
                picture = _picture(record.row, file, places, folder)
                seen.add(picture)
                named = normalised(columns) or usual(record.row)
                chat_values = chat_row(record.row, {k: v for k, v in named.items() if k != "image"})
                id = chat_values.get("id") or picture.relative_to(folder).as_posix()
                sample = chat.sample({**extra, **chat_values, "id": id}, folder, record.where, within)
                image = ImageRef(str(picture), sha256=as_text(record.row.get("sha256")))
                beside = {key: at(record.row, key) for key in meta}
                yield io.lifted(replace(_with(sample, image), source="image_folder", meta=beside))
            except DataError as error:
                yield files.rejected(record.where, error, record.raw, record.offset)
    for picture in pictures:
        if picture not in seen:
            yield _beside(picture, folder, text, extra, within)


def _table(folder: Path, captions: str) -> Path | None:
    if captions:
        if not (folder / captions).is_file():
            raise DataError(f"no such file: {folder / captions}")
        return folder / captions
    tables = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in ENDINGS]
    if len(tables) > 1:
        raise DataError(
            f"{folder} has {len(tables)} tables: name one in `captions`:"
            f" {', '.join(p.name for p in tables)[:200]}"
        )
    return tables[0] if tables else None


def _places(pictures: list[Path], folder: Path) -> dict[str, list[Path]]:
    """Map every name under which a table may refer to an image to the images of that name. A path in the
    folder takes precedence over a bare name.
    """
    places: dict[str, list[Path]] = {}
    for names in (_full, _short):
        named: dict[str, list[Path]] = {}
        for picture in pictures:
            for name in names(picture, folder):
                named.setdefault(name, []).append(picture)
        places = named | places
    return places


def _full(picture: Path, folder: Path) -> set[str]:
    return {picture.relative_to(folder).as_posix()}


def _short(picture: Path, folder: Path) -> set[str]:
    return {picture.relative_to(folder).with_suffix("").as_posix(), picture.name, picture.stem}


def _picture(row: Mapping[str, Any], column: str, places: Mapping[str, list[Path]], folder: Path) -> Path:
    name = column or next((c for c in row if str(c).lower() in FILE_COLUMNS), "")
    if not name:
        raise Rejected(
            "row",
            f"no column with the name of the image: say which in `file`; there are {', '.join(row)[:200]}",
        )
    stated = as_text(at(row, name)).strip()
    if stated not in places:
        raise Rejected("missing", f"no such image: {stated[:120]!r}")
    if len(same := places[stated]) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in same[:3])
        raise Rejected(
            "row",
            f"{len(same)} images are called {stated[:120]!r} ({names}): write the folder and the ending in"
            " the table",
        )
    return places[stated][0]


def _with(sample: Sample, image: ImageRef) -> Sample:
    """Insert the image before the first words of the document or the question."""
    first = next(n for n, message in enumerate(sample.messages) if message.role != "system")
    messages = list(sample.messages)
    messages[first] = replace(messages[first], parts=(image, *messages[first].parts))
    return replace(sample, messages=tuple(messages))


def _beside(
    picture: Path, folder: Path, text: str, extra: Mapping[str, Any], within: io.Confined
) -> Sample | DeadLetter:
    name = picture.relative_to(folder).as_posix()
    try:
        note = within.path(picture.with_suffix(".txt").name, picture.parent)
        caption = files.words(note, MAX_CAPTION).strip() if note.is_file() else text
    except ValueError as error:  # Rejected is one
        return files.rejected(name, error)
    if not caption:
        return DeadLetter(
            name, "no caption in a table or a .txt file beside it", "empty", files.digest_of(picture)
        )
    message = Message("document", (ImageRef(str(picture)), caption))
    return Sample(id=name, messages=(message,), source="image_folder", study_id=name, **extra)
