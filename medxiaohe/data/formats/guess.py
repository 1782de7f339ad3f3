"""Guess from their content which reader reads a file or folder, and with which options.

    guess(Path("export.csv"))    Guess("table", {"encoding": "cp1252"}, ("';' between the columns", ...))

Names alone decide nothing where the content says more: a .json file may be COCO, LLaVA, ShareGPT, Alpaca, a
phenopacket or a table. What was guessed is printed by `data check`, so that it can be written into a recipe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import plugins
from medxiaohe.data.formats import chat, sniff, volumes
from medxiaohe.data.formats.columns import usual
from medxiaohe.data.formats.records import ENDINGS, Record, records
from medxiaohe.data.readers.dicom import is_dicom
from medxiaohe.data.readers.image_folder import PICTURES
from medxiaohe.data.readers.mimic_cxr import is_mimic
from medxiaohe.data.readers.save_to_disk import is_saved
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.io.packed import PACKED

PUBLISHED = "samples"  # not a reader: rows as medxiaohe writes them
LOOKED_AT, HEAD_ROWS = 50, 20  # files of a folder, and rows of a file, that are read for a guess
ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
# ending -> reader, where the ending is all there is to know
BY_ENDING = {".pdf": "pdf", ".html": "html", ".htm": "html", ".npz": "npz", ".textgrid": "textgrid"}
XML_MARKS = (  # the first mark in the head of an .xml file -> its reader
    (b"<PubmedArticle", "pubmed_xml"),
    (b"<QAPair", "medquad_xml"),
    (b"<Focus>", "medquad_xml"),
    (b"<pmc-articleset", "pmc_xml"),
    (b"<article", "pmc_xml"),
    (b"<annotation", "voc_xml"),
)
ROOT_DEPTH = 2  # folders below the data's parent in which the root of the images is searched for
MAX_FOLDERS = 200  # folders that are searched


@dataclass(frozen=True)
class Guess:
    """What reads a path.

    Attributes:
        reader: its name.
        options: that its content asks for.
        notes: what was seen, a few words each.
    """

    reader: str
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def guess(path: Path) -> Guess:
    """Guess the reader of a file or folder by its content.

    Args:
        path: a file or folder.

    Returns:
        The reader with its options; PUBLISHED for samples.jsonl.

    Raises:
        ConfigError: nothing known is in it; the message lists the readers.
    """
    result = _folder(path) if path.is_dir() else _file(path)
    if result is None:
        raise ConfigError(
            f"{path}: cannot tell what reads it; say --reader with one of"
            f" {', '.join(plugins.available('readers'))}"
        )
    return result


def _folder(folder: Path) -> Guess | None:
    if (folder / "samples.jsonl").is_file():
        return Guess(PUBLISHED)
    if is_saved(folder):
        return Guess("save_to_disk", notes=("written by datasets' save_to_disk",))
    if is_mimic(folder):
        return Guess("mimic_cxr", notes=("the layout of MIMIC-CXR",))
    files = list(islice(_files(folder), LOOKED_AT))
    tables = [file for file in files if file.parent == folder and _is_table(file)]
    if tables and any(_is_picture(file) for file in files):
        return _table_of_images(folder, tables, files)
    if (folder / "README.md").is_file() and any(_is_table(file) for file in files):
        if sniff.head(folder / "README.md", 4).startswith(b"---"):
            return Guess("hub", notes=("a folder as the hub lays it out",))
    for file in files:
        result = _file(file)
        if result is not None:
            return result
    return None


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def _table_of_images(folder: Path, tables: list[Path], files: list[Path]) -> Guess:
    """Guess the reader of a folder with images and a table about them."""
    volume = any(file.name.lower().endswith((*volumes.DICOM, *volumes.NIFTI)) for file in files)
    if not volume:
        return Guess("image_folder", notes=("images with a table of captions",))
    for table in tables:
        for row in _head(table):
            if (name := _named_file(row, folder)) is not None:
                column, ending = name
                columns = {**usual(row), "image": f"{{{column}}}{ending}" if ending else column}
                notes = (f"{table.name} names DICOM or NIfTI files in {column}",)
                return Guess("table", {"columns": columns}, notes)
            break
    reader = "dicom" if any(is_dicom(file) for file in files) else "nifti"
    return Guess(reader)


def _named_file(row: Mapping[str, Any], folder: Path) -> tuple[str, str] | None:
    """Find the column of a row that names a file of the folder, and the ending to add to it."""
    for column, value in row.items():
        for ending in ("", *volumes.DICOM, *volumes.NIFTI):
            if isinstance(value, str) and value.strip() and _exists(folder / f"{value.strip()}{ending}"):
                return str(column), ending
    return None


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a cell that no file can be called
        return False


def _is_table(file: Path) -> bool:
    return file.name.lower().endswith(tuple(e + p for e in ENDINGS for p in ("", *PACKED)))


def _is_picture(file: Path) -> bool:
    return file.name.lower().endswith((*PICTURES, *volumes.DICOM, *volumes.NIFTI))


def _file(file: Path) -> Guess | None:
    name = file.name.lower()
    if name.endswith(ARCHIVES):
        return Guess("archive")
    bare = name.removesuffix(next((end for end in PACKED if name.endswith(end)), ""))
    ending = Path(bare).suffix
    if ending in BY_ENDING:
        return Guess(BY_ENDING[ending])
    if bare.endswith(volumes.NIFTI):
        return Guess("nifti")
    if is_dicom(file):
        return Guess("dicom")
    if ending in PICTURES:
        return Guess("image_folder")
    parsers: dict[str, Callable[[Path, bytes], Guess | None]] = {
        ".xml": _xml,
        ".nxml": _xml,
        ".json": _json,
        ".jsonl": _rows,
        ".csv": _rows,
        ".tsv": _rows,
        ".parquet": _rows,
        ".txt": _text,
        ".pubtator": _text,
    }
    return parsers[ending](file, sniff.head(file)) if ending in parsers else None


def _xml(file: Path, head: bytes) -> Guess | None:
    return next((Guess(reader) for mark, reader in XML_MARKS if mark in head), None)


def _text(file: Path, head: bytes) -> Guess | None:
    if b"|t|" in head.partition(b"\n")[0]:
        return Guess("pubtator")
    return _rows(file, head) if file.suffix.lower() == ".txt" and b"\t" in head.partition(b"\n")[0] else None


def _json(file: Path, head: bytes) -> Guess | None:
    if b'"phenotypicFeatures"' in head:
        return Guess("phenopackets")
    if b'"annotations"' in head or b'"images"' in head:
        rows = _head(file, 1)
        if rows and isinstance(rows[0].get("annotations"), list) and isinstance(rows[0].get("images"), list):
            captions = [item for item in rows[0]["annotations"] if isinstance(item, dict)]
            files = [str(item.get("file_name", "")) for item in rows[0]["images"] if isinstance(item, dict)]
            root = _image_root(file, files[:HEAD_ROWS])
            notes = (f"COCO, {len(captions):,} annotations", *root[1])
            return Guess("coco", root[0], notes)
    return _rows(file, head)


def _rows(file: Path, head: bytes) -> Guess | None:
    """Guess the reader of rows of a table or a chat, with layout, delimiter, encoding and root of images."""
    options: dict[str, Any] = {}
    notes: list[str] = []
    if not file.name.lower().endswith(".parquet") and (encoding := sniff.encoding(file)) != "utf-8":
        options["encoding"] = encoding
        notes.append(f"encoding {encoding}")
    rows = _head(file, encoding=options.get("encoding", "utf-8"))
    if not rows:
        return Guess("chat_jsonl") if file.name.lower().endswith(".jsonl") and head.strip() else None
    first = rows[0]
    ending = Path(file.name.lower().removesuffix(".gz")).suffix
    if ending == ".jsonl" and _is_ours(first):
        return Guess(PUBLISHED)
    if ending in (".csv", ".tsv", ".txt"):
        mark = sniff.delimiter(file, "," if ending == ".csv" else "\t", options.get("encoding", "utf-8"))
        if mark != ("," if ending == ".csv" else "\t"):
            options["delimiter"] = mark
            notes.append(f"{mark!r} between the columns")
    layout = chat.layout(first)
    names = usual(first)
    if ending == ".jsonl" or layout in ("chat", "completion"):
        reader = "chat_jsonl" if ending in (".json", ".jsonl") else "table"
        notes.append({"chat": "messages", "": "columns", "document": "texts"}.get(layout, layout))
    elif layout in ("sharegpt", "llava") and ending == ".json":
        reader = "llava" if any("image" in row for row in rows) else "sharegpt"
        notes.append(reader)
    elif layout == "alpaca" and ending == ".json":
        reader = "alpaca"
        notes.append(reader)
    else:
        reader = "table"
        named = ", ".join(f"{key}: {value}" for key, value in names.items())
        notes.append(f"columns {named}" if names else "no column with a usual name")
    root = _image_root(file, list(_image_names(rows, names)))
    return Guess(reader, {**options, **root[0]}, tuple(notes) + root[1])


def _head(file: Path, limit: int = HEAD_ROWS, encoding: str = "utf-8") -> list[Mapping[str, Any]]:
    """Read the first rows of a file; [] where none can be read."""
    results: list[Mapping[str, Any]] = []
    try:
        for record in islice(records(file, otherwise=".jsonl", encoding=encoding), limit * 2):
            if isinstance(record, Record):
                results.append(record.row)
            if len(results) == limit:
                break
    except DataError:  # the reader says what is wrong
        pass
    return results


def _is_ours(row: Mapping[str, Any]) -> bool:
    """Recognise a row of samples.jsonl: its messages have `parts`, those of the chat layout have
    `content`."""
    messages = row.get("messages")
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(message, Mapping) and "parts" in message for message in messages)
    )


def _image_names(rows: list[Mapping[str, Any]], names: Mapping[str, Any]) -> Iterator[str]:
    """List the paths of images that rows name."""
    for row in rows:
        for key in ("image", "images", names.get("image")):
            value = row.get(key) if key else None
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, str) and item and not item.startswith(("data:", "http:", "https:")):
                    yield item


def _image_root(file: Path, names: list[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Where the images of a file are, when they are not beside it.

    Returns:
        the option `images` of the reader, and what to say about it.
    """
    requested = [name for name in dict.fromkeys(names) if not Path(name).is_absolute()]
    folder = file.parent
    if not requested or any(_exists(folder / name) for name in requested):
        return {}, ()
    roots = [item for item in _folders(folder) if all(_exists(item / name) for name in requested)]
    if len(roots) == 1:
        relative = _relative(roots[0], folder)
        return {"images": relative}, (f"images in {relative}",)
    if roots:
        several = ", ".join(_relative(root, folder) for root in roots[:3])
        return {}, (f"images are in several folders ({several}): choose one with images=FOLDER",)
    return {}, (f"no image {requested[0]} beside the file: say their folder with images=FOLDER",)


def _folders(folder: Path) -> list[Path]:
    """List the folders near a data file: below it, and next to it."""
    results: list[Path] = []
    level = [folder, folder.parent]
    for _ in range(ROOT_DEPTH):
        deeper: list[Path] = []
        for parent in level:
            try:
                deeper += sorted(p for p in parent.iterdir() if p.is_dir() and not p.is_symlink())
            except OSError:
                continue
        results += [item for item in deeper if item not in results]
        level = deeper[:MAX_FOLDERS]
        if len(results) > MAX_FOLDERS:
            break
    return results[:MAX_FOLDERS]


def _relative(path: Path, folder: Path) -> str:
    """Write a path relative to a folder, with `..` where it is outside."""
    import os

    return Path(os.path.relpath(path, folder)).as_posix()


def as_option(value: Mapping[str, Any]) -> str:
    """Write options as one line of YAML, for a recipe or `--set`.

    Args:
        value: name -> value of JSON types.

    Returns:
        "name: value, ..." without braces.
    """
    return ", ".join(f"{key}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items())
