"""Read JSON, lines and rows; bad input is a DataError that names file and line."""

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
    """Parse a JSON file within limits.

    Returns:
        The value.

    Raises:
        DataError: the file cannot be read, is not JSON, or has more lists and objects than its size explains.
    """
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
    """Read the lines of a UTF-8 file, plain or compressed; a byte-order mark is dropped, CRLF is LF.

    Yields:
        (number from 1, line without its end).

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
    """Read runs of lines that are not blank, such as the sentences of a CoNLL file.

    Yields:
        (number of the first line, lines).

    Raises:
        DataError: as `lines`.
    """
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
    """Read the rows of a JSON lines file; blank lines are skipped.

    Yields:
        JSON objects.

    Raises:
        DataError: as `lines`, or a row is not a JSON object; the message names file and line.
    """
    for number, line in lines(path):
        if line.strip():
            try:
                row = parse_row(line)
            except DataError as error:
                raise DataError(f"{path}:{number}: {error}") from error
            yield row


def parse_row(line: str) -> dict[str, Any]:
    """Parse one row: an object of standard JSON, without NaN, half of a surrogate pair or a number too large
    to keep.

    Returns:
        The object.

    Raises:
        DataError: it is something else.
    """
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
    """Read the samples of a JSON lines file.

    Yields:
        Samples, in order.

    Raises:
        DataError: the file cannot be read, or a row is not a Sample.
    """
    for row in read_jsonl(path):
        yield sample_from_json(row)
