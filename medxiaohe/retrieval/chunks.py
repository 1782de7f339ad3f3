"""Split documents into chunks that are searched one by one, at the ends of sentences."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import Literal

Unit = Literal["characters", "tokens"]
CHARACTERS, OVERLAP = 1000, 200
TOKENS, TOKEN_OVERLAP = 300, 60
# a token: a run of letters or digits of at most 6, a Chinese character, or a sign; English text has about 4
# characters a token, as word-piece vocabularies of 30,000 have
TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]{1,6}|[^\w\s]|_")
ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])\s*|\n+")


def chunks(
    text: str, size: int = CHARACTERS, overlap: int = OVERLAP, unit: Unit = "characters"
) -> list[tuple[int, int]]:
    """Split a text into overlapping spans that cover all of it except white space between them.

    Args:
        text: the document.
        size: the most characters, or tokens, a chunk may have.
        overlap: the most that a chunk repeats of the one before.
        unit: characters, or tokens of a rule that needs no model: runs of at most 6 letters or digits,
            Chinese characters, signs.

    Returns:
        (start, end) in code points, in order. A chunk ends where a sentence ends; within a longer sentence at
        white space; within a longer word anywhere.
    """
    if unit == "tokens":
        return _by_tokens(text, size, overlap)
    characters = size
    # offsets behind sentence ends, and behind white space where a sentence may be too long
    ends = [match.end() for match in ENDS.finditer(text)]
    spaces = [match.end() for match in re.finditer(r"\s+", text)] if len(text) > characters else []
    spans: list[tuple[int, int]] = []
    start, covered, size = 0, 0, len(text)
    while covered < size:
        limit = min(start + characters, size)
        # the last sentence end within the limit, or else white space, or else the limit itself
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


def _by_tokens(text: str, size: int, overlap: int) -> list[tuple[int, int]]:
    tokens = [match.span() for match in TOKEN.finditer(text)]
    starts = [start for start, _ in tokens]
    ends = [
        bisect_left(starts, match.end()) for match in ENDS.finditer(text)
    ]  # tokens before a sentence ends
    spans: list[tuple[int, int]] = []
    first, covered = 0, 0
    while covered < len(tokens):
        limit = min(first + size, len(tokens))
        # the last sentence end within the limit, or else the limit
        last = limit if limit == len(tokens) else _last(ends, first, limit) or limit
        if last <= covered:  # the overlap alone, before a sentence that does not fit behind it
            first = covered
            continue
        spans.append((tokens[first][0], tokens[last - 1][1]))
        covered = last
        # the next chunk repeats the last sentences that fit in the overlap
        low = max(first + 1, last - overlap)
        first = _first(ends, low, last) or last
    return spans


def _last(places: list[int], low: int, high: int) -> int:
    """The last place after `low` and not after `high`, or 0."""
    at = bisect_right(places, high)
    return places[at - 1] if at and places[at - 1] > low else 0


def _first(places: list[int], low: int, high: int) -> int:
    """The first place from `low` and before `high`, or 0."""
    at = bisect_left(places, low)
    return places[at] if at < len(places) and places[at] < high else 0
