"""Content words of the gold answer, by which a passage is recognised as stating it."""

from __future__ import annotations

import re

from medxiaohe.retrieval.words import STOP_WORDS
from medxiaohe.scoring._text import golds
from medxiaohe.types import Sample

WORD = re.compile(r"[\u3400-\u9fff]|[^\W\d_]{2,}")
VERDICTS = {"yes", "no", "maybe", "true", "false"}


def gold_words(sample: Sample) -> frozenset[str]:
    """Content words of the gold answer; for a letter those of its option.

    Args:
        sample: with a target.

    Returns:
        words in lower case; empty for yes, no, a verdict or a number, which no passage states by its words
    """
    target = sample.target.strip()
    letter = ord(target.upper()) - ord("A") if len(target) == 1 and target.isascii() else -1
    text = sample.choices[letter] if 0 <= letter < len(sample.choices) else next(iter(golds(sample)), "")
    words = words_of(text)
    return frozenset() if words <= VERDICTS else words


def words_of(text: str) -> frozenset[str]:
    """Content words of a text.

    Args:
        text: any.

    Returns:
        words of two letters or more without stop words, in lower case, and single Chinese characters
    """
    return frozenset(WORD.findall(text.casefold())) - STOP_WORDS
