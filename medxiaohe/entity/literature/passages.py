"""Passages, and the mentions that an extractor reports in them, each with its span."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Passage:
    id: str
    text: str
    source: str = ""
    license: str = ""


@dataclass(frozen=True)
class Found:
    """A mention of an entity: passage.text[start:end] is its surface."""

    passage: str
    start: int
    end: int
    surface: str
    type: str  # as claimed; "" when nothing is claimed
    by: str  # the model, or `statistics`


@dataclass
class Extraction:
    """Result of an extractor: mentions, counts of its steps, and rows about what it dropped."""

    found: list[Found] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    dropped: list[dict[str, Any]] = field(default_factory=list)  # {passage, surface, type, reason}


def spans_of(surface: str, text: str) -> Iterator[tuple[int, int]]:
    """Find the occurrences of a surface in a text as whole words, ignoring case and differences in white
    space.

    Args:
        surface: a term; blank text matches nothing.
        text: to search.

    Yields:
        (start, end) in code points, in order, without overlap
    """
    words = surface.split()
    if words:
        pattern = r"\s+".join(map(re.escape, words))
        start, end = (
            (r"(?<!\w)" if words[0][0].isalnum() else ""),
            (r"(?!\w)" if words[-1][-1].isalnum() else ""),
        )
        for match in re.finditer(start + pattern + end, text, re.IGNORECASE):
            yield match.span()
