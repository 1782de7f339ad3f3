"""Short forms of clinical notes, and names that the word beside them changes, from tables.

    senses("pt c/o SOB; r/o PE")      -> [Sense(7, 10, ("dyspnea",)), Sense(16, 18, ("pulmonary embolism",))]
    is_other_sense("after a heat stroke", 13, 19)      -> True

short_forms.tsv has a row for each form: which name it stands for, whether it always does or only in a
sentence that looks like a note, and the words that speak for and against it. A form that a text explains
itself is not looked up here (entity/linking/document_rules.py). other_senses.tsv has the words beside a name.
Sense tables with words of the context go back to Schuemie, Kors and Mons (Word sense disambiguation in the
biomedical domain, 2005); the rows are our own.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import NamedTuple

from medxiaohe.entity.linking.link import TOKEN, plain
from medxiaohe.entity.linking.sentences import sentence_ends, sentence_of

FORMS = Path(__file__).with_name("short_forms.tsv")
OTHERS = Path(__file__).with_name("other_senses.tsv")
NEAR = 6  # words on either side in which a word of `against` counts
FEW_WORDS = 4  # a sentence of capitals has more words than that: a heading or a single form has not
WORDS = re.compile(r"\w/\w|\w/|[^\W_]+(?:[-'][^\W_]+)*", re.IGNORECASE)  # c/o and w/ are words of notes


class Sense(NamedTuple):
    """A short form in a text, with the names that it may stand for."""

    start: int
    end: int
    names: tuple[str, ...]  # in English, the likeliest first


class Form(NamedTuple):
    """A row of short_forms.tsv."""

    names: tuple[str, ...]
    when: str  # always, note, for
    any_case: bool
    speaks_for: frozenset[str]
    against: frozenset[str]


def senses(text: str) -> list[Sense]:
    """Find the short forms of clinical notes that stand for a name.

    Args:
        text: of a document.

    Returns:
        in order, each with the names that it may stand for
    """
    forms, _, find = tables()
    marks = [mark for mark in find.finditer(text) if _form(mark.group())]
    if not marks:
        return []
    ends, result = sentence_ends(text), list[Sense]()
    for mark in marks:
        form = forms[_form(mark.group())]
        begin, stop = sentence_of(ends, mark.start())
        others = any(
            neighbour.group() != mark.group() and begin <= neighbour.start() < stop for neighbour in marks
        )
        if _holds(text, mark.span(), (begin, stop), form, others=others):
            result.append(Sense(*mark.span(), form.names))
    return result


def is_other_sense(text: str, start: int, end: int) -> bool:
    """Whether a word beside the name text[start:end] changes its meaning: heat [stroke].

    Args:
        text: of the document.
        start: of the name.
        end: of the name.

    Returns:
        True when other_senses.tsv says so
    """
    row = other_senses().get(text[start:end].lower())
    if row is None:
        return False
    before, behind = row
    return bool(
        (before and before.search(_even(text[max(0, start - 40) : start])))
        or (behind and behind.match(_even(text[end : end + 40])))
    )


def is_in_capitals(text: str, start: int, end: int) -> bool:
    """Whether the sentence around text[start:end] is all in capitals, so that a word in capitals is no
    acronym.

    Args:
        text: of the document.
        start: of the word.
        end: of the word.

    Returns:
        False for sentences of fewer than FEW_WORDS words
    """
    begin = max(text.rfind(mark, 0, start) for mark in "\n.:;") + 1
    stop = min((at for mark in "\n.:;" if (at := text.find(mark, end)) >= 0), default=len(text))
    sentence = text[begin:stop]
    return sentence.isupper() and len(sentence.split()) >= FEW_WORDS


@functools.cache
def tables() -> tuple[dict[str, Form], frozenset[str], re.Pattern[str]]:
    """Read short_forms.tsv, once for each process.

    Returns:
        (short form -> its row, words that show that a text is a note, pattern that finds the forms)
    """
    forms, note = dict[str, Form](), frozenset[str]()
    for line in FORMS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or line.startswith("short\t"):
            continue
        short, names, when, case, speaks_for, against = line.split("\t")
        if short == "NOTE":
            note = frozenset(speaks_for.split())
            continue
        form = Form(
            tuple(names.split("|")), when, case == "any", frozenset(speaks_for.split()),
            frozenset(against.split()),
        )  # fmt: skip
        forms[short] = form
    either = sorted(forms, key=len, reverse=True)
    parts = [
        f"(?i:{re.escape(surface)})" if forms[surface].any_case else re.escape(surface) for surface in either
    ]
    find = re.compile(rf"(?<![\w\-])(?:{'|'.join(parts)})(?![\w]|[-+/'][A-Za-z0-9])")
    return forms, note, find


@functools.cache
def other_senses() -> dict[str, tuple[re.Pattern[str] | None, re.Pattern[str] | None]]:
    """Read other_senses.tsv, once for each process.

    Returns:
        name in lower case -> patterns of the words before it, and of those behind it, that change its
        meaning; None where there are none
    """
    result = dict[str, tuple[re.Pattern[str] | None, re.Pattern[str] | None]]()
    for line in OTHERS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or line.startswith("name\t"):
            continue
        name, before, behind = line.split("\t")
        result[name] = (
            re.compile(rf"(?<!\w)(?:{before}) $") if before else None,
            re.compile(rf" (?:{behind})(?!\w)") if behind else None,
        )
    return result


def _form(surface: str) -> str:
    """Row of a surface: as written, or in the case that the table has; "" where there is none."""
    forms = tables()[0]
    if surface in forms:
        return surface
    return next((short for short in _by_lower().get(surface.lower(), ()) if forms[short].any_case), "")


@functools.cache
def _by_lower() -> dict[str, tuple[str, ...]]:
    result = dict[str, tuple[str, ...]]()
    for short in tables()[0]:
        result[short.lower()] = (*result.get(short.lower(), ()), short)
    return result


def _holds(text: str, span: tuple[int, int], sentence: tuple[int, int], form: Form, *, others: bool) -> bool:
    """Whether the words around a short form allow its meaning."""
    start, end = span
    if ":" in form.against and text[end : end + 1] == ":":
        return False
    before = [mark.group().lower() for mark in WORDS.finditer(text[sentence[0] : start])]
    behind = [mark.group().lower() for mark in WORDS.finditer(text[end : sentence[1]])]
    if not form.against.isdisjoint((*before[-NEAR:], *behind[:NEAR])):
        return False
    around = {*before, *behind}
    if form.when == "always" or not form.speaks_for.isdisjoint(around):
        return True
    return form.when == "note" and (others or not tables()[1].isdisjoint(around))


def _even(text: str) -> str:
    """Normalise text for the patterns of other_senses.tsv: lower-case tokens with one blank between them."""
    words = TOKEN.findall(plain(text).lower())
    return "".join(f" {word}" if word[0].isalnum() else word for word in words) + " "
