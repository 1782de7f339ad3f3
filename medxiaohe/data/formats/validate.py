"""Validate data before anything is trained on it: list every problem with the row that has it.

    report = check(path, "chat_jsonl")

Looked for: rows the reader refuses (placeholders against images, empty answers, encoding, JSON), images that
are missing or do not open, ids that are there twice, and columns whose type changes from row to row, which
Arrow refuses in training.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medxiaohe import images, plugins
from medxiaohe.data.formats import pictures
from medxiaohe.data.formats.records import ENDINGS, Record, records
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.io.packed import PACKED
from medxiaohe.progress import track
from medxiaohe.types import ImageRef, Sample

ROW_READERS = ("chat_jsonl", "sharegpt", "alpaca", "llava", "table")
MAX_PROBLEMS = 1000  # kept with their text; all are counted
# text or a list of parts, one image or several, a prompt as text or messages: both are read
EITHER = ("messages[].content", "conversations[].value", "prompt", "completion", "image", "images")
HINTS = {
    "placeholder": (
        "write one <image> in the text for each entry of `images`, or use content parts, which cannot be"
        " miscounted"
    ),
    "missing": "paths start from the folder of the data file",
    "drift": "write the column with one type in all rows: training tables have one",
    "duplicate": "give each row an id of its own, or leave `id` out",
    "empty": "give the answer, or leave the row out",
    "encoding": "convert the file to UTF-8",
    "surrogate": "replace the broken character (\\\\ud800 to \\\\udfff alone)",
    "not_finite": "write null, or leave the key out",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a row."""

    where: str
    code: str
    reason: str


@dataclass
class Report:
    """Counts and problems of a file or folder."""

    reader: str
    path: str
    read: int = 0
    good: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    with_images: int = 0
    sample: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # of the reader, as guessed or given
    notes: tuple[str, ...] = ()  # what the guess saw

    def add(self, location: str, code: str, reason: str) -> None:
        """Count a problem, and list it if there are fewer than MAX_PROBLEMS.

        Args:
            location: file and row, or the id of the row.
            code: by which problems are counted.
            reason: in words.
        """
        self.counts[code] += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(location, code, reason))


def check(
    path: Path,
    reader: str,
    options: Mapping[str, Any] | None = None,
    limit: int | None = None,
    *,
    read: Callable[..., Iterable[Sample | DeadLetter]] | None = None,
) -> Report:
    """Validate data: read it, decode every image once, and report what is wrong.

    Args:
        path: a file or folder.
        reader: the name of its reader.
        options: of the reader.
        limit: number of rows that are read at most; None: all.
        read: reads the path instead, for rows that no reader of that name reads.

    Returns:
        Problems by code with their rows, and one good sample.

    Raises:
        ConfigError: the reader has no option of a name in `options`.
    """
    read, arguments = read or plugins.load("readers", reader), dict(options or {})
    parameters = inspect.signature(read).parameters
    for key in arguments:
        if key not in parameters:
            raise ConfigError(f"reader {reader} has no option {key!r}{plugins.nearest(key, parameters)}")
    if "bad_rows" in parameters:
        arguments["bad_rows"] = "skip"
    report, ids, opened = Report(reader, str(path)), dict[str, str](), dict[ImageRef, str]()
    for row in track(read(path, **arguments), f"check {path.name}", limit):
        report.read += 1
        if isinstance(row, DeadLetter):
            report.add(row.where, row.code, row.reason)
        else:
            _look(row, report, ids, opened)
        if limit and report.read >= limit:
            break
    if reader in ROW_READERS:
        for location, reason in drift(path, arguments):
            report.add(location, "drift", reason)
    if not report.read:
        report.add(path.name, "empty", "there are no rows")
    return report


def _look(sample: Sample, report: Report, ids: dict[str, str], opened: dict[ImageRef, str]) -> None:
    problems = 0
    if sample.id in ids:
        report.add(sample.id, "duplicate", "a row with this id was read before")
        problems += 1
    ids[sample.id] = sample.id
    if not sample.text.strip() and not sample.images:
        report.add(sample.id, "empty", "the row is empty")
        problems += 1
    elif not sample.is_document and not (sample.messages[-1].text.strip() or sample.target):
        report.add(sample.id, "empty", "the answer is empty")
        problems += 1
    for image in sample.images:
        name = _short(image)
        if image not in opened:  # by frame and box too: a file may have one frame and not another
            opened[image] = _wrong(image)
        if wrong := opened[image]:
            code = "missing" if wrong.startswith("no such image") else "image"
            report.add(sample.id, code, wrong.replace(image.uri, name))
            problems += 1
    report.with_images += bool(sample.images)
    if not problems:
        report.good += 1
        if not report.sample or (sample.images and not report.sample["images"]):
            report.sample = _shown(sample)


def _wrong(image: ImageRef) -> str:
    try:
        pictures.check(_file(image))
        return ""
    except DataError as error:
        return str(error)


def _file(image: ImageRef) -> ImageRef:
    """Resolve the reference to an image; one inside the data file is stored as the read stage does."""
    from medxiaohe.data.formats.embedded_images import unpacked

    return replace(image, uri=unpacked(image.uri)) if image.uri.startswith("data:") else image


def _short(image: ImageRef) -> str:
    return image.uri[:40] + "..." if image.uri.startswith("data:") else image.uri


def _shown(sample: Sample) -> dict[str, Any]:
    """Describe a sample as training sees it: roles, texts cut short, and the size and mean brightness of the
    decoded pixels.
    """
    messages = [
        {
            "role": m.role,
            "parts": [f"<image {_short(p)}>" if isinstance(p, ImageRef) else str(p)[:300] for p in m.parts],
        }
        for m in sample.messages
    ]
    pixels = []
    for image in sample.images[:4]:
        opened = images.open_image(_file(image))
        grey = opened.convert("L").resize((16, 16)).tobytes()
        pixels.append(
            {
                "uri": _short(image),
                "width": opened.width,
                "height": opened.height,
                "mean": round(sum(grey) / 256),
            }
        )
    labels = {"target": sample.target, "license": sample.license, "split": sample.split}
    return {"id": sample.id, "messages": messages, **labels, "images": pixels}


# ---- columns that change their type -------------------------------------------------------------------


def drift(path: Path, options: Mapping[str, Any] | None = None) -> Iterator[tuple[str, str]]:
    """Find columns whose type changes from row to row; those that a chat layout allows in two types (EITHER)
    may.

    Args:
        path: a file of rows, or a folder of them.
        options: of the reader: `delimiter`, `encoding` and `rows` count.

    Yields:
        The row and what changed; each change of a file once.
    """
    options = options or {}
    text = {key: str(options[key]) for key in ("delimiter", "encoding") if options.get(key)}
    if path.is_dir():
        results = [p for p in sorted(path.rglob("*")) if p.is_file() and _is_table(p)]
    else:
        results = [path]
    for file in results:
        types: dict[str, tuple[str, str]] = {}
        reported = set[tuple[str, str]]()
        try:
            for record in records(file, str(options.get("rows", "")), otherwise=".jsonl", **text):
                if isinstance(record, Record):
                    yield from _changes(record, types, reported)
        except DataError:  # the reader has reported it already
            continue


def _is_table(file: Path) -> bool:
    return any(file.name.lower().endswith(e + p) for e in ENDINGS for p in ("", *PACKED))


def _changes(
    record: Record, types: dict[str, tuple[str, str]], reported: set[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    for column, kind in _types(record.row, ""):
        if column.startswith(EITHER):
            continue
        first, location = types.setdefault(column, (kind, record.where))
        if kind != first and (column, kind) not in reported:
            reported.add((column, kind))
            yield record.where, f"{column} is {kind} here, {first} in row {location}"


def _types(value: Any, column: str) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    kind = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        dict: "an object",
        list: "a list",
    }.get(type(value))
    if column:
        yield column, kind or type(value).__name__
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _types(item, f"{column}.{key}" if column else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _types(item, f"{column}[]")
