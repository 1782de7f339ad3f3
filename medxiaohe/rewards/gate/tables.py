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
    """Read the rows of a table of this folder; DataError names a row with another number of columns than
    the heading."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    columns = lines[0].count("\t") + 1
    found = [tuple(line.split("\t")) for line in lines[1:] if line and not line.startswith("#")]
    if odd := next((row for row in found if len(row) != columns), None):
        raise DataError(f"{name}: {odd[0]!r} has {len(odd)} columns, and the heading {columns}")
    return tuple(found)


@functools.cache
def either(*patterns: str) -> re.Pattern[str]:
    """Compile one pattern that finds any of these; words of the Latin alphabet are whole words."""
    return re.compile("|".join(whole(one) for one in patterns if one), re.IGNORECASE)


def whole(pattern: str) -> str:
    """The pattern between ends of words, which Chinese does not have."""
    return rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])" if pattern.isascii() else f"(?:{pattern})"


@functools.cache
def phrases(kind: str) -> re.Pattern[str]:
    """One pattern for the phrases of a kind, English and Chinese."""
    return either(*(pattern for name, pattern, _ in rows("phrases.tsv") if name == kind))


@functools.cache
def words(kind: str) -> re.Pattern[str]:
    """One pattern for how replies say what a kind of wording.tsv is."""
    return re.compile(
        "|".join(pattern for name, pattern, _ in rows("wording.tsv") if name == kind), re.IGNORECASE
    )
