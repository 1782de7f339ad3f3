"""The words of the right answer, by which a passage is seen to say it."""

from __future__ import annotations

import re

from medxiaohe.retrieval.words import STOP_WORDS
from medxiaohe.scoring._text import golds
from medxiaohe.types import Sample

WORD = re.compile(r"[\u3400-\u9fff]|[^\W\d_]{2,}")
VERDICTS = {"yes", "no", "maybe", "true", "false"}


def gold_words(sample: Sample) -> frozenset[str]:
    """The words of the right answer, that of an option where its letter is the gold; none where it is yes, no
    or a number, which no passage says or fails to say.

    Args:
        sample: with a target.

    Returns:
        words in lower case; empty where no passage can state the answer
    """
    target = sample.target.strip()
    letter = ord(target.upper()) - ord("A") if len(target) == 1 and target.isascii() else -1
    text = sample.choices[letter] if 0 <= letter < len(sample.choices) else next(iter(golds(sample)), "")
    found = words_of(text)
    return frozenset() if found <= VERDICTS else found


def words_of(text: str) -> frozenset[str]:
    """The words of a text that say what it is about, in lower case; Chinese characters one by one."""
    return frozenset(WORD.findall(text.casefold())) - STOP_WORDS
