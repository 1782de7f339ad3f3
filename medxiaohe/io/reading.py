"""Reading JSON, lines and rows: what is not what it should be is a DataError that names file and line."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.errors import DataError, Rejected
from medxiaohe.io import bounded_json, packed
from medxiaohe.io.rows import sample_from_json
from medxiaohe.types import Sample

MAX_LINE_BYTES = 64 * 2**20  # a longer JSON line is refused: it would not fit a worker


def read_json(path: Path) -> Any:
    try:
        data = path.read_bytes()
        bounded_json.check(data)
        return json.loads(data)
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error
    except (Rejected, ValueError, RecursionError) as error:  # not JSON, not UTF-8, a number of 5,000 digits
        raise DataError(f"{path}: not JSON: {error}") from error


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"no such file: {path}"
    return f"cannot read {path}: {(error.strerror or str(error)).lower()}"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a UTF-8 file, plain or packed; a byte-order mark is dropped, CRLF is LF.

    Raises:
        DataError: it is missing, damaged or not UTF-8, has a line of more than MAX_LINE_BYTES, or unpacks
            to more than packed.RATIO times its size.
    """
    is_packed = path.suffix in packed.PACKED
    damage = packed.damage() if is_packed else (OSError,)
    try:
        with packed.opened(path) if is_packed else open(path, "rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise DataError(
                        f"{path}:{number}: line longer than {MAX_LINE_BYTES >> 20} MiB: split the row"
                    )
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start})"
                    ) from error
    except Rejected as error:
        cause = error.__cause__
        raise DataError(
            _unreadable(path, cause) if isinstance(cause, OSError) else f"{path}: {error}"
        ) from error
    except DataError:
        raise
    except damage as error:
        if not is_packed and isinstance(error, OSError):
            raise DataError(_unreadable(path, error)) from error
        raise DataError(f"{path}: truncated or not {packed.FORMS[path.suffix]}: {error}") from error


def blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that are not blank, each with the number of its first line."""
    block: list[str] = []
    for number, line in lines(path):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []
    if block:
        yield number - len(block) + 1, block


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a .jsonl file; a bad row is an error that names its file and line."""
    for number, line in lines(path):
        if line.strip():
            try:
                row = parse_row(line)
            except DataError as error:
                raise DataError(f"{path}:{number}: {error}") from error
            yield row


def parse_row(line: str) -> dict[str, Any]:
    """One object of standard JSON: no NaN, no half of a surrogate pair, no number too large to keep."""
    try:
        bounded_json.check(line)
        row = json.loads(line, parse_constant=_finite, parse_float=_finite)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError("the text holds half of a surrogate pair, which no UTF-8 file can") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"a row must be a JSON object, not {type(row).__name__}")
    return row


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def read_samples(path: Path) -> Iterator[Sample]:
    for row in read_jsonl(path):
        yield sample_from_json(row)
