"""One of the sample's choices, in words: the answer must name exactly one of them, as a whole word or
phrase."""

import re
from collections.abc import Sequence

from medxiaohe.scoring._answer import final
from medxiaohe.scoring._text import plain, verdict
from medxiaohe.types import Message, Sample, Score, Trace

ANNOUNCED = re.compile(
    r"\banswer[\"']?\s*(?:(?:is|would be|should be|must be)\b|[:=])\s*([^\n]+)", re.IGNORECASE
)
RETRACTED = re.compile(
    r"^[^?.\n]{0,60}\?\s*(?:no|nope|wrong)\b\W*|^[^.;\n]{0,60}\b(?:could|may|might|would) (?:look"
    r"|seem|appear|be)\b[^.;\n]{0,40}\bbut\b",
    re.IGNORECASE,
)
# a comparison behind the answer: "; a benign lesion would have smooth margins"
BESIDE = re.compile(
    r"(?<=[;.])\s+[^.;\n]*\b(?:would|should)\s+(?:have|show|be|look|appear)\b[^.;\n]*", re.IGNORECASE
)
NEGATION = re.compile(
    r"\b(?:not|never|neither|nor|non|no|isn't|rather than|instead"
    r" of|without)(?:\s+(?:a|an|the|really|just|kind|type|of))*\s*$"
)


def one_of(sample: Sample, trace: Trace) -> Score:
    """Accuracy of a choice in words: 1 where the answer names the target and no other of the choices.

    Args:
        sample: its choices are the options, its target is one of them in words.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` or `refused` where not exactly one is named
    """
    return verdict("one_of", plain(parse(trace.answer, sample.choices)), plain(sample.target), trace)


def parse(answer: str, choices: Sequence[str]) -> str:
    """Parse the one choice that the answer names and does not deny.

    Args:
        answer: text of a reply, its thinking included.
        choices: the options in words.

    Returns:
        one of the choices, or ""
    """
    text = re.sub(r"^.*\bor not\b.*$", "", final(answer), flags=re.IGNORECASE | re.MULTILINE)
    if retracted := RETRACTED.search(text):  # "CT? No. MRI.", "it could look benign, but it is malignant"
        text = text[retracted.end() :]
    text = BESIDE.sub("", text)
    announced = ANNOUNCED.findall(text)
    chosen = _named(announced[-1], choices) if announced else _named(text, choices)
    return chosen.pop() if len(chosen) == 1 else ""


def _named(text: str, choices: Sequence[str]) -> set[str]:
    words, matches = plain(text), set()
    # "cell line" before "cell", and each word counts once
    for choice in sorted(choices, key=len, reverse=True):
        pattern = re.compile(rf"(?<!\w){re.escape(plain(choice))}(?!\w)")
        if any(not NEGATION.search(words[: m.start()]) for m in pattern.finditer(words)):
            matches.add(choice)
        words = pattern.sub("#", words)
    return matches


EXAMPLE = Sample(
    "one_of/example",
    (
        Message("user", ("Is scurvy a disease or a chemical? Answer with one of: disease, chemical.",)),
        Message("assistant", ("A disease.",)),
    ),
    target="disease",
    choices=("disease", "chemical"),
)
