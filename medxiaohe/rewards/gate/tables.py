"""The tables of the gate: rows of tab-separated text, each with its source."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from medxiaohe.errors import DataError

FOLDER = Path(__file__).parent
FILES: tuple[str, ...] = (
    "drugs.tsv",
    "doses.tsv",
    "per_kg.tsv",
    "rates.tsv",
    "strengths.tsv",
    "pairs.tsv",
    "states.tsv",
    "conditions.tsv",
    "never.tsv",
)
FILES += ("signs.tsv", "phrases.tsv", "wording.tsv")


@functools.cache
def rows(name: str) -> tuple[tuple[str, ...], ...]:
    """Read the rows of a table of this folder; cached.

    Args:
        name: file name, such as "doses.tsv".

    Returns:
        the cells of each row, without the heading, empty lines and comments (#)

    Raises:
        DataError: a row has another number of columns than the heading.
    """
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    columns = lines[0].count("\t") + 1
    results = [tuple(line.split("\t")) for line in lines[1:] if line and not line.startswith("#")]
    if odd := next((row for row in results if len(row) != columns), None):
        raise DataError(f"{name}: {odd[0]!r} has {len(odd)} columns, and the heading {columns}")
    return tuple(results)


@functools.cache
def either(*patterns: str) -> re.Pattern[str]:
    """Compile one pattern that matches any of several; words of the Latin alphabet match whole words.

    Args:
        patterns: regular expressions; empty ones are left out.

    Returns:
        the compiled pattern, case ignored
    """
    return re.compile("|".join(whole(pattern) for pattern in patterns if pattern), re.IGNORECASE)


def whole(pattern: str) -> str:
    """Add word boundaries to a pattern, if it is ASCII; Chinese has none.

    Args:
        pattern: a regular expression.

    Returns:
        the pattern as a group
    """
    return rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])" if pattern.isascii() else f"(?:{pattern})"


@functools.cache
def phrases(kind: str) -> re.Pattern[str]:
    """Pattern of the phrases of a kind, English and Chinese; cached.

    Args:
        kind: first column of phrases.tsv, such as "urgent".

    Returns:
        the compiled pattern, case ignored
    """
    return either(*(pattern for name, pattern, _ in rows("phrases.tsv") if name == kind))


@functools.cache
def words(kind: str) -> re.Pattern[str]:
    """Pattern of the wording of a kind; cached.

    Args:
        kind: first column of wording.tsv, such as "warning".

    Returns:
        the compiled pattern, case ignored
    """
    return re.compile(
        "|".join(pattern for name, pattern, _ in rows("wording.tsv") if name == kind), re.IGNORECASE
    )
