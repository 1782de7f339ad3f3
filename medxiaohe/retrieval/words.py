"""Tokenise texts and queries for search: stemmed English words without stop words; Chinese characters and
bigrams; both in mixed text.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Any

from medxiaohe import plugins

# function words and question words, which say nothing about what a text is about
STOP_WORDS = frozenset(
    "a an and any are as at be been being but by can could did do does for from had has have how if in into"
    " is it its may might no not of on or should such than that the their then there these they this those to"
    " was were what when where which who whose why will with would".split()
)
CHINESE = re.compile(r"[\u3400-\u9fff]+")


def terms(text: str) -> list[str]:
    """Tokenise a text into the terms that are indexed and searched.

    Args:
        text: of any length and script.

    Returns:
        Terms in order, repeated as in the text: Snowball stems (Porter 2) of words in lower case that are no
        stop words; of a run of Chinese characters each character, then each pair of neighbours.
    """
    tokens: list[str] = analyzer().analyze(spaced(text))
    return tokens


def spaced(text: str) -> str:
    """Separate Chinese characters and pairs of neighbours by blanks, so that a word tokeniser takes them as
    terms.

    Returns:
        the text; runs of Chinese become their characters followed by their pairs, the remainder is
        unchanged.
    """
    if text.isascii():
        return text
    return CHINESE.sub(lambda run: f" {' '.join([*run[0], *map(''.join, pairwise(run[0]))])} ", text)


@cache
def analyzer() -> Any:
    """Build tantivy's tokeniser: split at signs, lower case, remove stop words, stem.

    Returns:
        a tantivy TextAnalyzer

    Raises:
        MissingExtra: tantivy is not installed.
    """
    plugins.need("tantivy", why="searching by the stems of words")
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    steps = (Filter.lowercase(), Filter.custom_stopword(sorted(STOP_WORDS)), Filter.stemmer("english"))
    builder = TextAnalyzerBuilder(Tokenizer.simple())
    for step in steps:
        builder = builder.filter(step)
    return builder.build()
