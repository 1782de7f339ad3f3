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
    """Exact string match: 1 where the answer is the target to the letter.

    Args:
        sample: its target is one accepted string a line.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` or `refused` without an answer
    """
    accepted = golds(sample)
    parsed = parse(trace.answer)
    nothing = not plain(parsed) or refuses(parsed) or bool(UNKNOWN.fullmatch(parsed.strip(" .:!")))
    if nothing and parsed not in accepted:
        return missing("string", trace)
    return Score(
        "string",
        float(parsed in accepted),
        parsed=parsed,
        why=f"said {parsed!r}, gold {' | '.join(accepted)!r}",
    )


def parse(answer: str) -> str:
    """Parse the announced string, or take the whole answer; "" when two different ones are announced.

    Args:
        answer: text of a reply, its thinking included.

    Returns:
        the string, or ""
    """
    text = final(answer)
    candidates = {bare(a or b) for a, b in ANNOUNCED.findall(text)} or {bare(LEAD.sub("", text))}
    return candidates.pop() if len(candidates) == 1 else ""


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
