"""Form: exactly one thought and one answer where the model thinks, and no more words than needed. Continuous,
never decisive."""

from __future__ import annotations

import re

from medxiaohe.types import Trace

THOUGHT = re.compile(r"<think>(.*?)</think>", re.DOTALL)
ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
WORD = re.compile(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+")


def parts(trace: Trace, target_words: int) -> dict[str, float]:
    """Form and length of an answer, each from 0 to 1."""
    return {"format": form(trace.answer), "length": length(trace.answer, target_words)}


def form(answer: str) -> float:
    """1 for one thought, then one answer, neither empty; 1 for plain words without tags; less for every tag
    out of place."""
    opened = [answer.count(tag) for tag in ("<think>", "</think>", "<answer>", "</answer>")]
    if not any(opened):
        return 1.0
    faults = sum(abs(count - 1) for count in opened)
    thoughts, answers = THOUGHT.findall(answer), ANSWER.findall(answer)
    faults += sum(not text.strip() for text in (*thoughts, *answers))
    if opened == [1, 1, 1, 1] and answer.index("</think>") > answer.index("<answer>"):
        faults += 2
    outside = ANSWER.sub("", THOUGHT.sub("", answer)).strip()
    return max(0.0, 1 - (faults + bool(outside)) / 4)


def length(answer: str, target_words: int) -> float:
    """1 up to the target, falling in a straight line to 0 at twice as many words; a Chinese character counts
    as a word.

    Args:
        answer: text of the answer, thought included.
        target_words: words up to which the value is 1.

    Returns:
        from 0 to 1
    """
    return max(0.0, min(1.0, 2 - len(WORD.findall(answer)) / target_words))
