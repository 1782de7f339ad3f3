"""Read the rows of .jsonl, .json, .csv, .tsv (compressed or not) and .parquet files as plain objects, each
with its place.

A row that is not one is a DeadLetter; what comes after it is still read. JSON is the standard one: no NaN, no
number too large to keep, no key twice, no half of a surrogate pair.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.formats import files, sniff
from medxiaohe.data.formats.sandbox import decode
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.io import bounded_json
from medxiaohe.io.packed import PACKED
from medxiaohe.plugins import nearest

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
MAX_JSON = 64 * 2**20  # bytes of a .json file, which is parsed whole
PARQUET_MIB = ARROW_MIB = 1024  # memory of the child process that decodes


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a file with its place."""

    where: str  # "name:3"; rows of JSON and CSV are numbered by their line
    row: Mapping[str, Any]
    offset: int | None = None
    raw: str = ""


def records(
    file: Path, rows: str = "", otherwise: str = "", *, delimiter: str = "", encoding: str = "utf-8"
) -> Iterator[Record | DeadLetter]:
    """Read the rows of a file as plain objects.

    Args:
        file: .jsonl, .json, .csv, .tsv, .txt (plain or compressed) or .parquet.
        rows: key of the rows in a .json file, such as "questions" or "data.items"; "" where it is a list
            or an object of rows.
        otherwise: ending to assume when the name has none that is known.
        delimiter: between the columns of a text table; "": guessed from its first lines.
        encoding: of the text, as Python names it.

    Yields:
        Records; a row that is damaged is a DeadLetter.

    Raises:
        Rejected: a file that cannot be read as a whole, or of a format that is not known.
        ConfigError: Python knows no such encoding.
    """
    kind = Path(file.name.removesuffix(file.suffix)).suffix if file.suffix in PACKED else file.suffix
    if kind.lower() not in (*ENDINGS, ".txt"):
        kind = otherwise
    encoding = sniff.known(encoding)
    if kind.lower() == ".jsonl":
        yield from _jsonl(file, encoding)
    elif kind.lower() == ".json":
        yield from _json(file, rows, encoding)
    elif kind.lower() in (".csv", ".tsv", ".txt"):
        default = "," if kind.lower() == ".csv" else "\t"
        yield from _csv(file, delimiter or sniff.delimiter(file, default, encoding), encoding)
    elif kind.lower() == ".parquet":
        for number, row in enumerate(
            decode("medxiaohe.data.formats.decode_parquet:rows", file, memory_mib=PARQUET_MIB, seconds=30.0),
            start=1,
        ):
            yield Record(f"{file.stem}:{number}", row)
    else:
        raise Rejected("format", f"{file.name}: its name must end in {', '.join(ENDINGS)}")


def parsed(text: str, most: int = 0) -> Any:
    """Parse standard JSON (RFC 8259): no NaN, no infinite number, no key twice, no half of a surrogate pair.

    Args:
        text: JSON.
        most: number of lists and objects, as io.bounded_json.check takes it.

    Returns:
        The value.

    Raises:
        Rejected: json, not_finite, surrogate, too_deep or bomb.
    """
    try:
        bounded_json.check(text, most)
        value = json.loads(text, parse_constant=_constant, parse_float=_float, object_pairs_hook=_once)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except Rejected:
        raise
    except UnicodeEncodeError as error:
        raise Rejected(
            "surrogate", "the text holds half of a surrogate pair, which no UTF-8 file can"
        ) from error
    except RecursionError as error:
        raise Rejected("too_deep", "not JSON: nested deeper than any real file") from error
    except ValueError as error:  # not JSON; a number of 5,000 digits
        raise Rejected("json", f"not JSON: {error}", getattr(error, "pos", None)) from error


def _constant(text: str) -> float:
    raise Rejected("not_finite", f"not JSON: {text} is not a finite number")


def _float(text: str) -> float:
    number = float(text)
    return number if abs(number) != float("inf") else _constant(text[:20])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise Rejected("json", f"the key {twice[:80]!r} appears twice")
    return result


def _jsonl(file: Path, encoding: str) -> Iterator[Record | DeadLetter]:
    for line in files.lines(file, encoding):
        if isinstance(line, DeadLetter):
            yield line
        elif line.text.strip():
            location = f"{file.name.partition('.')[0]}:{line.number}"
            try:
                row = parsed(line.text, bounded_json.FEW)
                if not isinstance(row, dict):
                    raise Rejected("json", f"a row must be a JSON object, not {type(row).__name__}")
                yield Record(location, row, line.offset, line.text)
            except Rejected as error:
                offset = line.offset + (error.offset or 0)
                yield files.rejected(location, Rejected(error.code, str(error), offset), line.text)


def _json(file: Path, rows: str, encoding: str) -> Iterator[Record | DeadLetter]:
    data = files.content(file, MAX_JSON)
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise Rejected(
            "encoding", f"{file.name}: not {encoding.upper()}: {error.reason}", error.start
        ) from error
    try:
        value = parsed(text)
    except Rejected as error:
        raise Rejected(error.code, f"{file.name}: {error}", error.offset) from error
    if rows:
        value = at(value, rows)
    name = file.name.partition(".")[0]
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
        for key, item in value.items():
            yield Record(f"{name}:{key}", {"_key": key, **item})
    elif isinstance(value, dict):
        yield Record(f"{name}:1", value)
    elif isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield Record(f"{name}:{number}", item if isinstance(item, dict) else {"item": item})
    else:
        raise Rejected("json", f"{file.name}: rows must be a list or an object, not {type(value).__name__}")


def _csv(file: Path, delimiter: str, encoding: str) -> Iterator[Record | DeadLetter]:
    letters: list[DeadLetter] = []
    position = {"number": 1, "offset": 0}

    def texts() -> Iterator[str]:
        """Read the lines of the table and note the place of the last one.

        Yields:
            Lines with their line breaks; damaged ones are appended to `letters`.
        """
        for line in files.lines(file, encoding):
            if isinstance(line, DeadLetter):
                letters.append(line)
                continue
            position.update(number=line.number, offset=line.offset)
            yield line.text + "\n"

    csv.field_size_limit(files.MAX_LINES_LONG)
    table, header, name = (
        csv.reader(texts(), delimiter=delimiter, strict=True),
        list[str](),
        file.name.partition(".")[0],
    )
    while True:
        before = dict(position)
        try:
            row = next(table, None)
        except csv.Error as error:
            yield DeadLetter(
                f"{name}:{position['number']}",
                f"not a row of the table: {error}",
                "row",
                offset=before["offset"],
            )
            continue
        yield from letters
        letters.clear()
        if row is None:
            return
        if not header:
            header = [column.strip() for column in row]
            if len(set(header)) != len(header):
                raise Rejected(
                    "format", f"{file.name}: two columns have the same name: {', '.join(header)[:200]}"
                )
        elif row and len(row) != len(header):
            text = f"{len(row)} columns, but the head of the table has {len(header)}"
            yield DeadLetter(f"{name}:{position['number']}", text, "row", offset=before["offset"])
        elif row:
            yield Record(
                f"{name}:{position['number']}",
                dict(zip(header, row, strict=True)),
                before["offset"],
                delimiter.join(row),
            )


def at(value: Any, path: str) -> Any:
    """Look up a value by its path: keys of objects, and indices of lists from 0.

    Args:
        value: a JSON value.
        path: such as "a.b.0".

    Returns:
        The value there.

    Raises:
        Rejected: row, with the nearest key, for a path that does not exist.
    """
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, (list, tuple)) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            keys = list(map(str, value))[:40] if isinstance(value, Mapping) else []
            seen = f": the columns are {', '.join(keys)[:200]}" if keys else ""
            raise Rejected("row", f"no column {step!r} (of {path!r}){nearest(step, keys)}{seen}")
    return value


def as_text(value: Any) -> str:
    """Convert a cell to text.

    Args:
        value: a JSON value; an object becomes JSON, a list one entry a line.

    Returns:
        The text; "" for None.
    """
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "\n".join(filter(None, map(as_text, value)))
    if isinstance(value, Mapping):
        return json.dumps(io.to_json(value), ensure_ascii=False)
    return str(value)
