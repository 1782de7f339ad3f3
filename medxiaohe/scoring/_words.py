"""Words of content and numbers, for rules that compare texts: crude, and the same on both sides."""

import re

NUMBER = re.compile(r"(?<![\w.])(\d+(?:[.,]\d+)?)\s*-?\s*([a-zµ%]+(?:/[a-z]+)?)?", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
EMPTY = frozenset(
    """a an the and or of in on at to for from by with as is are was were be been being it its this that
    these those there their they them
    you your he she his her i we our can may might could should would will do does did has have had not no
    nor also such than then if
    when which who whom what how about into over more most very other some any each both so because due
    include includes including
    usually often typically generally commonly likely called known used use patient patients person
    people""".split()
)
SUFFIX = re.compile(r"(?:ations?|ments?|ings?|edly|ness|ies|ied|ers?|ed|es|ly|al|s|e|y)$")


def content(text: str) -> list[re.Match[str]]:
    """Find the content words of a text: no function words, no single ASCII letters.

    Args:
        text: any text.

    Returns:
        Matches in order, with their offsets.
    """
    return [
        mark
        for mark in WORD.finditer(text)
        if mark.group().lower() not in EMPTY and (len(mark.group()) > 1 or not mark.group().isascii())
    ]


def stem(word: str) -> str:
    """Strip the usual English endings of a word, at most two: a crude stemmer that is the same on both sides
    of a comparison.

    Args:
        word: one word.

    Returns:
        Lower case, three letters at least where an ending was cut.
    """
    low = word.lower().removesuffix("'s")
    for _ in range(2):
        cut = SUFFIX.sub("", low)
        low = cut if len(cut) >= 3 else low  # shorter stems would merge unrelated words
    return low
