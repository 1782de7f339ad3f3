"""Chunks: parts of a document that are searched one by one, cut where sentences end."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

CHARACTERS, OVERLAP = 1000, 200
ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])\s*|\n+")


def chunks(text: str, characters: int = CHARACTERS, overlap: int = OVERLAP) -> list[tuple[int, int]]:
    """Cut a text into spans that together cover all of it but white space between them.

    Args:
        text: the document.
        characters: the most a chunk may have.
        overlap: the most that a chunk repeats of the one before.

    Returns:
        (start, end) in code points, in order. A chunk ends where a sentence ends; within a longer sentence at
        white space; within a longer word anywhere.
    """
    ends = [match.end() for match in ENDS.finditer(text)]
    spaces = [match.end() for match in re.finditer(r"\s+", text)] if len(text) > characters else []
    spans: list[tuple[int, int]] = []
    start, covered, size = 0, 0, len(text)
    while covered < size:
        limit = min(start + characters, size)
        end = limit if limit == size else _last(ends, start, limit) or _last(spaces, start, limit) or limit
        if end <= covered:  # the overlap alone, before a word that does not fit behind it
            start = covered
            continue
        if stripped := text[start:end].strip():
            left = end - len(text[start:end].lstrip())
            spans.append((left, left + len(stripped)))
        covered = end
        # the next chunk begins with the last whole sentences of this one, or words, that fit the overlap
        low = max(start + 1, end - overlap)
        start = _first(ends, low, end) or _first(spaces, low, end) or (low if end == limit else end)
    return spans


def _last(places: list[int], low: int, high: int) -> int:
    """The last place after `low` and not after `high`, or 0."""
    at = bisect_right(places, high)
    return places[at - 1] if at and places[at - 1] > low else 0


def _first(places: list[int], low: int, high: int) -> int:
    """The first place from `low` and before `high`, or 0."""
    at = bisect_left(places, low)
    return places[at] if at < len(places) and places[at] < high else 0
