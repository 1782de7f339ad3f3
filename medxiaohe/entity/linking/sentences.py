"""Sentence splitting for papers, for notes with one statement a line, and for Chinese."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import pairwise

END = re.compile(
    r"[.!?]+[\"')\]]*(?=\s+[\"'(\[]?[A-Z0-9\-•*?]|\s*\n|\s*$)|(?<=[a-z]{3})\.(?=[A-Z][a-z]|[a-z]{3})"
    r"|[;。！？；]|\n"
)
# A word that no statement ends with: the line is wrapped behind it.
GOES_ON = re.compile(
    r"(?:[,(/\-]|(?<![\w/])(?:a|an|the|of|for|with|without|and|or|nor|no|not|to|in|on|at|by|from|as|than|any|his"
    r"|her|their|its|this|that|these|those|is|are|was|were|be|been|has|have|had|may|might|could|can|will|which|who"
    r"|whose|rule out|rules out|ruled out|r/o|versus|vs|new|acute|chronic|active|recent|recurrent|possible"
    r"|probable|likely|suspected|severe|mild|moderate|large|small|left|right|bilateral|upper|lower|significant|definite"
    r"|obvious|other|further|focal|diffuse|prior|previous|old|known|associated|following|denies|denied|include"
    r"|includes|including|shows|show|suggests|suggest|represents|represent|evaluate|exclude"
    r"|[a-z]{3,}(?:al|ary|ic|ous|oid|ular)))$",
    re.IGNORECASE,
)
# A word that no statement begins with: the line before it continues.
COMES_AFTER = re.compile(
    r"[ \t]*(?:(?:of|or|nor|and|with|without|in|on|at|by|for|from|to|than|as|is|are|was|were|has|have|had"
    r"|which|who|that|but|due|since|seen|noted|present)\b|[),])"
)
NEW_LINE = re.compile(r"[ \t]*(?:[•*\-–]|\d+[.)]|[^\x00-\u2fff]|\n|$)")
LONG_LINE = 40  # letters: a line in small letters that ends sooner is an item of a list
WRAPS = 2  # lines that plainly continue: so many show that a text is hard-wrapped
SITE = re.compile(r"(?:com|org|net|edu|gov|html?|pdf|csv|json|txt)\b")
ABBREVIATED = re.compile(
    r"(?<![\w.])(?:dr|mr|mrs|ms|st|vs|fig|figs|no|approx|e\.g|i\.e|etc|cf|resp|al|ca|pt|hx|dx|wt|b\.i\.d|sp|spp|[A-Z])\.$",
    re.IGNORECASE,
)


def sentence_ends(text: str) -> list[int]:
    """Split a text into sentences.

    Args:
        text: of a document.

    Returns:
        offsets right behind every sentence, ascending; the last is len(text)
    """
    ends, width = [], _width(text)
    for mark in END.finditer(text):
        end = mark.end()
        if mark.group() == "\n" and _is_wrapped(text, mark.start(), width):
            continue
        if mark.group() == "." and _is_of_address(text, end):
            continue
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


def _is_of_address(text: str, end: int) -> bool:
    """Whether the full stop before `end` is inside a file name, a web address or an e-mail address."""
    if text[end : end + 1].isspace() or end == len(text):
        return False
    word = text[max(text.rfind(" ", 0, end), text.rfind("\n", 0, end)) + 1 : end]
    return bool(SITE.match(text, end) or "www." in word or "@" in word or "//" in word)


def _width(text: str) -> int:
    """Width in characters of a text with hard-wrapped lines; 0 for any other text."""
    lines = text.split("\n")
    plain = sum(
        len(line) >= LONG_LINE and line[-1:].islower() and after[:1].islower()
        for line, after in pairwise(lines)
    )
    return max(map(len, lines)) if plain >= WRAPS else 0


def _is_wrapped(text: str, at: int, width: int) -> bool:
    """Whether the sentence continues behind the end of a line."""
    line = text[text.rfind("\n", 0, at) + 1 : at].rstrip()
    if not line or NEW_LINE.match(text, at + 1):
        return False
    if GOES_ON.search(line[-24:]) or COMES_AFTER.match(text, at + 1):
        return True
    # hard-wrapped: the first word of the next line would not have fitted in this one
    after = re.match(r"[ \t]*(\S*)", text[at + 1 :])
    first = after[1] if after else ""
    fits = width and len(line) + 1 + len(first) <= width
    if first[:1].islower():
        return len(line) >= LONG_LINE or bool(width)
    return bool(width and not fits and len(line) >= LONG_LINE)


def sentence_of(ends: list[int], offset: int) -> tuple[int, int]:
    """Find the sentence that a character is in.

    Args:
        ends: from `sentence_ends`.
        offset: of the character, in code points.

    Returns:
        (start, end); the white space before a sentence belongs to it
    """
    at = bisect_right(ends, offset)
    return (ends[at - 1] if at else 0), (ends[at] if at < len(ends) else ends[-1])
