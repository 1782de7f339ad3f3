"""Rewards of form: one thought and one answer where the model thinks, and no more words than needed.

Continuous, and never decisive: hybrid.py bounds what they may move.
"""

from __future__ import annotations

import re

from medxiaohe.types import Trace

THOUGHT = re.compile(r"<think>(.*?)</think>", re.DOTALL)
ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
WORD = re.compile(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+")


def parts(trace: Trace, target_words: int) -> dict[str, float]:
    """Form and length of an answer.

    Args:
        trace: with the answer, thought included.
        target_words: words up to which the length is worth 1.

    Returns:
        {"format", "length"}, each from 0 to 1
    """
    return {"format": form(trace.answer), "length": length(trace.answer, target_words)}


def form(answer: str) -> float:
    """Score the tags of an answer: one non-empty thought, then one non-empty answer.

    Args:
        answer: text with or without <think> and <answer> tags.

    Returns:
        1 for the full form and for plain words without tags; less a quarter for each fault, at least 0
    """
    opened = [answer.count(tag) for tag in ("<think>", "</think>", "<answer>", "</answer>")]
    if not any(opened):
        return 1.0
    # missing and repeated tags
    faults = sum(abs(count - 1) for count in opened)
    thoughts, answers = THOUGHT.findall(answer), ANSWER.findall(answer)
    # empty thoughts and answers, an answer before the thought, text outside both
    faults += sum(not text.strip() for text in (*thoughts, *answers))
    if opened == [1, 1, 1, 1] and answer.index("</think>") > answer.index("<answer>"):
        faults += 2
    outside = ANSWER.sub("", THOUGHT.sub("", answer)).strip()
    return max(0.0, 1 - (faults + bool(outside)) / 4)


def length(answer: str, target_words: int) -> float:
    """Length reward: 1 up to the target, linear to 0 at twice as many words.

    Args:
        answer: text of the answer, thought included; a Chinese character counts as a word.
        target_words: words up to which the value is 1.

    Returns:
        from 0 to 1
    """
    return max(0.0, min(1.0, 2 - len(WORD.findall(answer)) / target_words))
