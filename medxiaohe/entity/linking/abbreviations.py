"""Abbreviations that a document defines itself: "long form (SF)", "SF (long form)", "SF = long form".

    definitions("Ataxia telangiectasia (A-T) is rare.")  ->  [Definition(short_start=23, short_end=26,
                                                         long_start=0, long_end=21)]

The long form is aligned with the letters of the short one from right to left, as Schwartz and Hearst do (A
simple algorithm for identifying abbreviation definitions in biomedical text, PSB 2003), in rounds: first
every letter must begin a word or a part of one, which rules out most of the wrong alignments; where that
fails, letters may stand inside words, as in the original; where that fails too, the first letters of the
words may be in another order (myotonic dystrophy (DM)). Beyond it: plurals (MIs), Greek letters and their
names, numerals, brackets in brackets, several things in one bracket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from medxiaohe.entity.linking.variants import GREEK_LETTERS, NUMBERED, ROMAN

MAX_SHORT = 10  # characters, as in Schwartz and Hearst
MAX_SHORT_WORDS = 2
BRACKET = re.compile(r"[(\[（［]([^()\[\]（）［］]{1,200})[)\]）］]")
FIRST_PART = re.compile(r"\s*[;,；，]\s*|\s+(?:or|see|formerly)\s+")
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
SENTENCE_END = re.compile(r"[.!?;:]\s+(?=[A-Z0-9(])|[。；！？]|\n\s*\n|[()\[\]（）［］]")
SHORT = re.compile(r"[^\W_][\w\-‐‑/.+'’]*(?:[ ][\w\-‐‑/+]+)?")
BEFORE = re.compile(r"(?<![\w\-‐‑/])([^\W_][\w\-‐‑/]{1,9})\s*$")
EQUALS = re.compile(r"(?<![\w\-‐‑/])([A-Z][\w\-‐‑/]{1,9})\s*=\s*(?=[A-Za-z])")
NOT_SHORT = re.compile(
    r"(?i:fig(?:ure)?s?|tables?|refs?|see|eq|vs|i\.?e|e\.?g|cf|no|nos|p|n|et"
    r" al|sd|mean|ed|eds|age|range|red|blue|left|right|both|[ivx]+|"
    r"[A-H]|m?mim|omim|years?|days?|weeks?|months?|hours?)\.?|[\d.,%:+\-/]+|(?:\d+"
    r" ?)?(?:mg|kg|ml|mm|cm|mL|dL)\b.*"
)
SMALL = frozenset("a an and as at by for from in into of on or per the to via with without de et la".split())
GREEK_FIRST = {letter: name[0] for letter, name in GREEK_LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Definition:
    short_start: int  # text[short_start:short_end] is the short form
    short_end: int
    long_start: int
    long_end: int


def definitions(text: str) -> list[Definition]:
    """Find the abbreviations that a text defines.

    Args:
        text: of a document; offsets count code points.

    Returns:
        in the order of the text; a bracket gives one at most
    """
    result = []
    for bracket in BRACKET.finditer(text):
        start, end = bracket.span(1)
        inner = bracket.group(1)
        cut = FIRST_PART.search(inner)
        short = _stripped(text, start, start + cut.start() if cut else end)
        definition = _long_before(text, short, bracket.start()) or _short_before(
            text, bracket.start(), (start, end)
        )
        if definition:
            result.append(definition)
    if "=" in text:
        result += _with_equals(text)
        result.sort(key=lambda definition: (definition.short_start, definition.long_start))
    return result


def is_short(form: str) -> bool:
    """Whether a form is written like an abbreviation.

    Returns:
        True for 2 to MAX_SHORT characters in one or two words with a capital, which are no reference to a
        figure, no unit and no number
    """
    letters = sum(map(str.isalpha, form))
    if not (2 <= len(form) <= MAX_SHORT and letters and SHORT.fullmatch(form)) or NOT_SHORT.fullmatch(form):
        return False
    if any(len(segment) > 1 for segment in form.split("/")[1:]) and "/" in form:
        return False  # VCFS/DGS are two
    words = form.split()
    capitals = sum(c.isupper() for c in form)
    if len(words) > MAX_SHORT_WORDS or (len(words) == 2 and capitals < 2):
        return False
    return capitals > 0 and (
        capitals > 1 or any(c.isdigit() or c in GREEK_LETTERS for c in form) or len(form) <= 4
    )


def _long_before(text: str, short: tuple[int, int], at: int) -> Definition | None:
    """Pattern "long form (SF)": the fewest words right before the bracket that have the letters of the short
    form.
    """
    form = text[slice(*short)]
    if not is_short(form):
        return None
    begin = max(0, at - 25 * (len(form) + 5))
    for mark in SENTENCE_END.finditer(text, begin, at):
        begin = mark.end()
    words = [mark.span() for mark in WORD.finditer(text, begin, at)]
    letters = _letters(form)
    # Schwartz and Hearst: a long form has at most min(|A| + 5, 2 |A|) words, |A| letters of the short form
    words = words[-min(len(letters) + 5, 2 * len(letters)) :]
    if not words or text[words[-1][1] : at].strip(" \t\n-,"):
        return None
    for variant in _singular(form):
        if (start := _aligned(text, words, _letters(variant))) is not None:
            return _checked(text, short, (start, words[-1][1]))
    return None


def _short_before(text: str, at: int, inside: tuple[int, int]) -> Definition | None:
    """Pattern "SF (long form)": the bracket must begin with the first letter of the long form."""
    mark = BEFORE.search(text, max(0, at - 12), at)
    if not mark or not is_short(mark[1]) or sum(map(str.isupper, mark[1])) < 2:
        return None
    start, end = inside
    if cut := re.search(r"[;；]|,\s", text[start:end]):
        end = start + cut.start()
    return _whole(text, mark.span(1), _stripped(text, start, end))


def _with_equals(text: str) -> list[Definition]:
    """Pattern "SF = long form", as below figures: up to a comma, semicolon or full stop."""
    result = []
    for mark in EQUALS.finditer(text):
        if is_short(mark[1]) and sum(map(str.isupper, mark[1])) >= 2:
            stop = re.compile(r"[,;.:()=]|\n").search(text, mark.end())
            if definition := _whole(
                text, mark.span(1), _stripped(text, mark.end(), stop.start() if stop else len(text))
            ):
                result.append(definition)
    return result


def _whole(text: str, short: tuple[int, int], long: tuple[int, int]) -> Definition | None:
    words = [mark.span() for mark in WORD.finditer(text, *long)]
    for variant in _singular(text[slice(*short)]):
        letters = _letters(variant)
        if (
            words
            and len(words) <= min(len(letters) + 5, 2 * len(letters))
            and _aligned(text, words, letters) == words[0][0] == long[0]
        ):
            return _checked(text, short, long)
    return None


def _aligned(text: str, words: list[tuple[int, int]], letters: str) -> int | None:
    """Start of the shortest long form that ends with the last of the words; None when they do not have the
    letters.
    """
    letters, words = _without_number(text, words, letters)
    for rule in (_by_first_letters, _by_letters, _in_another_order):
        if (start := rule(text, words, letters)) is not None:
            return start
    return None


def _without_number(
    text: str, words: list[tuple[int, int]], letters: str
) -> tuple[str, list[tuple[int, int]]]:
    """Drop an equal number at the end of both forms: SCA3, "spinocerebellar ataxia type III". The rest is
    aligned.
    """
    stem = letters.rstrip("0123456789")
    last = text[slice(*words[-1])].lower()
    if (
        len(stem) < 2
        or len(words) < 2
        or letters[len(stem) :] not in (last, ROMAN.get(last))
        or stem == letters
    ):
        return letters, words
    return stem, words[: -2 if text[slice(*words[-2])].lower() in NUMBERED and len(words) > 2 else -1]


def _by_first_letters(text: str, words: list[tuple[int, int]], letters: str) -> int | None:
    """Align each letter with the beginning of a word; only function words may be skipped, and not the last
    word.
    """
    k = len(letters) - 1
    for start, end in reversed(words):
        word = text[start:end].lower()
        if k >= 0 and _begins(word, letters[k]):
            k -= 1
            if k < 0:
                return start
        elif word not in SMALL:
            return None
    return None


def _by_letters(text: str, words: list[tuple[int, int]], letters: str) -> int | None:
    """Align as Schwartz and Hearst: from right to left, the first letter at the beginning of a word."""
    low, p = text.lower(), words[-1][1] - 1
    beginnings = {start for start, _ in words}
    # k runs over the letters, p over the text, both from the right; the first letter must begin a word
    for k in range(len(letters) - 1, -1, -1):
        while p >= words[0][0] and not (_same(low[p], letters[k]) and (k or p in beginnings)):
            p -= 1
        if p < words[0][0]:
            return None
        p -= 1
    return p + 1


def _in_another_order(text: str, words: list[tuple[int, int]], letters: str) -> int | None:
    """Align in any order, for as many words as letters: myotonic dystrophy (DM)."""
    last = words[-len(letters) :]
    initials = sorted(text[start].lower() for start, _ in last)
    long_enough = all(end - start > 3 for start, end in last)
    return last[0][0] if 2 <= len(letters) <= 5 and initials == sorted(letters) and long_enough else None


def _begins(word: str, letter: str) -> bool:
    return (
        _same(word[0], letter) or ROMAN.get(word, "") == letter or (letter == "x" and word.startswith("ex"))
    )


def _same(in_long: str, letter: str) -> bool:
    return in_long == letter or GREEK_FIRST.get(letter) == in_long or GREEK_FIRST.get(in_long) == letter


def _letters(form: str) -> str:
    return "".join(c for c in form.lower() if c.isalnum())


def _singular(form: str) -> list[str]:
    """Forms to align: without a plural s behind capitals first, then with it as a letter."""
    return [form[:-1], form] if len(form) > 2 and form[-1] == "s" and form[-2].isupper() else [form]


def _checked(text: str, short: tuple[int, int], long: tuple[int, int]) -> Definition | None:
    """Reject a long form that is too short, contains the short form, or is one word with a like beginning."""
    form, meaning = text[slice(*short)], text[slice(*long)]
    words = WORD.findall(meaning)
    if len(meaning) < len(form) + 2 or form in meaning.split():
        return None
    if words[0].lower() in SMALL or (len(words) == 1 and len(_letters(form)) > len(meaning) / 2):
        return None
    if not any(c.islower() for c in meaning) and meaning.isascii() and not form.isascii():
        return None
    return Definition(*short, *long)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and (text[end - 1].isspace() or text[end - 1] in ".,'\"’"):
        end -= 1
    return start, end
