"""Terms of texts and queries: English words without stop words, stemmed; Chinese characters and pairs of
characters; both in mixed text."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from medxiaohe import plugins

# function words and question words, which say nothing about what a text is about
STOP_WORDS = frozenset(
    "a an and any are as at be been being but by can could did do does for from had has have how if in into"
    " is it its may might no not of on or should such than that the their then there these they this those to"
    " was were what when where which who whose why will with would".split()
)
RUNS = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")


def terms(text: str) -> list[str]:
    """Split a text into what is indexed and searched.

    Args:
        text: of any length and script.

    Returns:
        Terms in order, repeated as in the text: Snowball stems (Porter 2) of words in lower case that are no
        stop words; of a run of Chinese characters each character, then each pair of neighbours.
    """
    found: list[str] = []
    words: list[str] = []
    for run in RUNS.findall(text.casefold()):
        if "\u3400" <= run[0] <= "\u9fff":
            found += run
            found += [run[i : i + 2] for i in range(len(run) - 1)]
        elif run not in STOP_WORDS:
            words.append(run)
    stems: list[str] = _stemmer().stemWords(words)
    return found + stems


@cache
def _stemmer() -> Any:
    plugins.need("Stemmer", why="searching by the stems of words")
    import Stemmer

    return Stemmer.Stemmer("english")
