"""Classify the statements of a reply: advice, warning, past or question.

A reply is split into statements at the ends of sentences, at lines, and before "but" and "however". A
statement warns if it has words of warning when words that take a warning away ("no interaction", "does not
matter", "互不影响") are removed; the items of a list warn if the line above it does.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from medxiaohe.rewards.gate.tables import words
from medxiaohe.scoring._answer import outside_thoughts

# Words that deny a danger; they are removed before warnings are searched.
CALMING = words("calming")
# Limits ("no more than"), which are no warning of the drug itself.
LIMIT = words("limit")
WARNING = words("warning")
PAST = words("past")
# Marks of advice: an order, a judgement, a dose.
ADVICE = words("advice")
# Definitions of a drug, which are no advice.
DEFINES = words("definition")
APPROVED = words("approval")
ENDS = words("statement end")
HEADING = re.compile(r"[:：]\W*$|^\s*#{1,6}\s|^\s*\*\*[^*]{3,80}\*\*\W*$")
CAPITALS = re.compile(r"^\s*[A-Z][A-Z /&-]{3,40}\s*$")  # the heading of a note
ITEM = re.compile(r"^\s*(?:[-*•–+]|\d{1,2}[.)、]|[(（]?\d{1,2}[)）])\s*")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a reply, and whether it warns, advises, reports or asks."""

    text: str
    warns: bool  # of the drugs that it names
    advises: bool
    past: bool  # about drugs taken before, or by habit
    asks: bool


def normal(text: str) -> str:
    """Normalise a text: NFKC (full-width signs as ASCII, but keep 。), straight quotes, no zero-width spaces.

    Args:
        text: any.

    Returns:
        the text in normal form
    """
    text = unicodedata.normalize("NFKC", text.replace("。", "\ue000")).replace("\ue000", "。")
    return re.sub(r"[’‘`]", "'", text).replace("\u200b", "")


def said(answer: str) -> str:
    """Text of a reply outside its thoughts, in normal form, without Markdown emphasis.

    Args:
        answer: the reply, with or without <think> tags.

    Returns:
        the text that the user reads
    """
    return re.sub(r"\*\*|__|`", "", normal(outside_thoughts(answer)))


def statements(text: str) -> tuple[Statement, ...]:
    """Split a reply into statements and classify each: warning, advice, past, question.

    Args:
        text: the reply in normal form.

    Returns:
        in the order of the reply, without empty ones
    """
    results: list[Statement] = []
    under, until_heading = False, False
    for line in text.splitlines():
        if not line.strip():
            continue
        # a heading that warns applies to the list below it; one in capitals applies up to the next heading
        item = bool(ITEM.match(line)) or line.startswith((" ", "\t"))
        heading = bool(HEADING.search(line) or CAPITALS.match(line))
        if heading or not (item or until_heading):
            under, until_heading = False, False
        pieces = [text_piece for text_piece in cut(line) if text_piece.strip()]
        for piece in pieces:
            # a warning: its words remain when limits and words that take a warning away are removed
            warns = under or bool(WARNING.search(LIMIT.sub(" ", CALMING.sub(" ", piece))))
            advises = bool(ADVICE.search(piece)) and not DEFINES.search(piece)
            asks = piece.rstrip().endswith(("?", "？"))
            results.append(Statement(piece, warns, advises, bool(PAST.search(piece)), asks))
        if heading:
            under = any(WARNING.search(CALMING.sub(" ", piece)) for piece in pieces)
            until_heading = under and bool(CAPITALS.match(line))
    return tuple(results)


def cut(line: str) -> list[str]:
    """Split a line into statements at the ends of sentences and at "but" or "however".

    Args:
        line: of the reply.

    Returns:
        pieces that add up to the line; the mark that ends one stays with it
    """
    pieces, first = [], 0
    for mark in ENDS.finditer(line):
        end = mark.end() if not mark.group().strip(" ,;.\n。！!？；") else mark.start()
        pieces.append(line[first:end])
        first = end
    return [*pieces, line[first:]]
