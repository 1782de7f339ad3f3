"""Where the sentences of a text end: papers, notes with one statement a line, Chinese."""

from __future__ import annotations

import re
from bisect import bisect_right

END = re.compile(
    r"[.!?]+[\"')\]]*(?=\s+[\"'(\[]?[A-Z0-9\-•*?]|\s*\n|\s*$)|[;。！？；]|\n(?=\s*(?:[A-Z0-9•*\-–]|[^\x00-\u2fff]|\n|$))"
)
ABBREVIATED = re.compile(
    r"(?<![\w.])(?:dr|mr|mrs|ms|st|vs|fig|figs|no|approx|e\.g|i\.e|etc|cf|resp|al|ca|pt|hx|dx|wt|b\.i\.d|sp|spp|[A-Z])\.$",
    re.IGNORECASE,
)


def sentence_ends(text: str) -> list[int]:
    """Offsets right behind every sentence, in order; the last is len(text)."""
    ends = []
    for mark in END.finditer(text):
        end = mark.end()
        if (
            mark.group() == "."
            and text[end : end + 1] != "\n"
            and ABBREVIATED.search(text, max(0, end - 8), end)
        ):
            continue
        ends.append(end)
    if not ends or ends[-1] < len(text):
        ends.append(len(text))
    return ends


def sentence_of(ends: list[int], offset: int) -> tuple[int, int]:
    """Start and end of the sentence in which a character is; a sentence has the space in front of it."""
    at = bisect_right(ends, offset)
    return (ends[at - 1] if at else 0), (ends[at] if at < len(ends) else ends[-1])
