"""Guess the delimiter and the character encoding of a text file from its first bytes."""

from __future__ import annotations

import codecs
import csv
from itertools import islice
from pathlib import Path

from medxiaohe.errors import ConfigError
from medxiaohe.io.packed import damage, opened

DELIMITERS = (",", ";", "\t", "|")
# encodings before UTF-8 of the languages that scoring reads, the likeliest first
LEGACY = ("cp1252", "gb18030", "big5", "shift_jis", "cp949", "cp1250", "cp1251")
SAME_CHAOS = 0.02  # charset-normalizer's share of unlikely characters, 0 to 1
HEAD_BYTES, HEAD_ROWS = 64 * 1024, 50  # bytes and rows from which delimiter and encoding are guessed
MARKS = {  # byte-order mark -> encoding
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def head(file: Path, size: int = HEAD_BYTES) -> bytes:
    """Read the first bytes of a file, unpacked.

    Args:
        file: plain or compressed.
        size: number of bytes.

    Returns:
        At most `size` bytes; b"" for a file that cannot be read.
    """
    try:
        with opened(file) as source:
            return source.read(size)
    except damage():  # DataError is a ValueError, which is one of them
        return b""


def delimiter(file: Path, default: str, encoding: str = "utf-8") -> str:
    """Guess the delimiter of a text table.

    The `default` of its ending stays where the first rows have at least two columns with it, all as many.
    Otherwise the delimiter with which they do, the most columns first.

    Args:
        file: a .csv, .tsv or .txt file, compressed or not.
        default: what the ending of its name promises.
        encoding: of the text, as Python names it.

    Returns:
        One of DELIMITERS.
    """
    text = head(file).decode(encoding, "replace").removeprefix("\ufeff")
    lines = text.splitlines()
    if len(text.encode(encoding, "replace")) >= HEAD_BYTES // 2 and len(lines) > 1:
        lines = lines[:-1]  # the last line may be cut
    widths = {mark: _width(lines, mark) for mark in DELIMITERS}
    if widths[default] > 1:
        return default
    best = max(DELIMITERS, key=lambda mark: widths[mark])
    return best if widths[best] > 1 else default


def _width(lines: list[str], mark: str) -> int:
    """Count the columns that all of the first rows have; 0 where they differ."""
    try:
        rows = [row for row in islice(csv.reader(lines, delimiter=mark), HEAD_ROWS) if row]
    except csv.Error:
        return 0
    widths = {len(row) for row in rows[: max(1, len(rows) - 1)]}  # a quoted cell may run on past the head
    return widths.pop() if len(widths) == 1 else 0


def encoding(file: Path) -> str:
    """Guess the character encoding of a text file from its first HEAD_BYTES bytes.

    A byte-order mark decides, then whether the bytes are UTF-8; the rest is left to charset-normalizer, which
    compares how much each encoding's text looks like a language.

    Args:
        file: plain or compressed.

    Returns:
        The name of the encoding, as Python knows it.
    """
    data = head(file)
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(data)  # not final: the last character may be cut
        return "utf-8"
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    result = {match.encoding: match.chaos for match in from_bytes(data, cp_isolation=list(LEGACY))}
    if not result:
        return "utf-8"
    # single-byte encodings of one script decode the same bytes: the first of the list wins what is as likely
    return next(name for name in LEGACY if result.get(name, 1.0) <= min(result.values()) + SAME_CHAOS)


def known(encoding: str) -> str:
    """Check that Python knows a text encoding.

    Args:
        encoding: its name.

    Returns:
        The name.

    Raises:
        ConfigError: Python knows no text encoding of that name.
    """
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ConfigError(f"encoding: Python knows no text encoding {encoding!r}") from error
    return encoding
