"""An identifier or other string that must be the target to the letter: "S6426560", "Patient not found".

Capitals and punctuation inside count; quotes, brackets and a full stop around do not. The answer is what is
announced, else the whole reply.
"""

import re

from medxiaohe.scoring._answer import final, refuses
from medxiaohe.scoring._text import LEAD, UNKNOWN, golds, missing, plain
from medxiaohe.types import Message, Sample, Score, Trace

ANNOUNCED = re.compile(
    r"\b(?:answer|result)[\"']?\s*(?:is|[:=])+\s*([^\n]+)|答案(?:是|为)?:?\s*([^\n]+)", re.IGNORECASE
)


def string(sample: Sample, trace: Trace) -> Score:
    """1 where the answer is the target to the letter.

    Args:
        sample: its target is one accepted string a line.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` or `refused` without an answer
    """
    accepted = golds(sample)
    said = parse(trace.answer)
    nothing = not plain(said) or refuses(said) or bool(UNKNOWN.fullmatch(said.strip(" .:!")))
    if nothing and said not in accepted:
        return missing("string", trace)
    return Score(
        "string", float(said in accepted), parsed=said, why=f"said {said!r}, gold {' | '.join(accepted)!r}"
    )


def parse(answer: str) -> str:
    """The announced string, or the whole answer; "" when two different ones are announced.

    Args:
        answer: text of a reply, its thinking included.

    Returns:
        the string, or ""
    """
    text = final(answer)
    said = {bare(a or b) for a, b in ANNOUNCED.findall(text)} or {bare(LEAD.sub("", text))}
    return said.pop() if len(said) == 1 else ""


def bare(text: str) -> str:
    """Strip quotes and brackets around a string, and the full stop of its sentence.

    Args:
        text: an answer.

    Returns:
        The string itself.
    """
    text = text.strip().rstrip(".。")
    while len(text) > 1 and (text[0], text[-1]) in (
        ('"', '"'),
        ("'", "'"),
        ("(", ")"),
        ("[", "]"),
        ("“", "”"),
        ("`", "`"),
    ):
        text = text[1:-1].strip()
    return text


CASE_SENSITIVE = True  # the target is compared as it is
EXAMPLE = Sample(
    "string/example",
    (Message("user", ("What is the record number of the patient?",)), Message("assistant", ("S6426560",))),
    target="S6426560",
)
