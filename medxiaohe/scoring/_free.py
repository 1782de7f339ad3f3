"""Free-text answers: extract what is judged of a reply, detect replies with nothing to judge, and read the
reference.
"""

import re

from medxiaohe.scoring._answer import outside_thoughts, refuses, speaks_to_grader, spelt
from medxiaohe.scoring._sentences import sentences
from medxiaohe.scoring._text import missing, plain, short
from medxiaohe.types import Sample, Score, Trace

SHORT = 12  # words: a reply of so many may be no more than "unknown", "A or B" or "I am not sure"
REFUSAL = 40  # words: a longer reply that also says "I cannot diagnose" says something else too
OR = re.compile(r"\s+or\b", re.IGNORECASE)
DENIAL = re.compile(r"\b(?:no|without|denies|negative for|free of)\b(?!,)[^.;:\n]*", re.IGNORECASE)


COPIED = 4  # words: a shorter question may well be in an answer


def said(trace: Trace) -> str:
    """Extract the text of a reply that is judged: without thinking, a copied question, and sentences to a
    grader.

    None of these can help, and none can harm.

    Args:
        trace: a conversation; its last answer is read and its last prompt message is the question.

    Returns:
        The text, "" for an empty reply.
    """
    text = outside_thoughts(trace.answer)
    for message in trace.prompt.messages[-1:]:
        question = outside_thoughts(message.text).strip()
        if len(question.split()) >= COPIED:
            text = text.replace(question, " ")
    if not speaks_to_grader(text):
        return text.strip()
    return "\n".join(sentence for sentence in sentences(text) if not speaks_to_grader(sentence))


def reference(sample: Sample) -> str:
    """Read the gold answer of an item: the last assistant message, else the target.

    Args:
        sample: an item.

    Returns:
        The text, spelt as `said` spells a reply.
    """
    last = sample.messages[-1] if sample.messages else None
    return spelt(last.text if last is not None and last.role == "assistant" else sample.target).strip()


def no_answer(name: str, trace: Trace, gold: str = "") -> Score | None:
    """Score a reply that says nothing or refuses.

    "A or B" leaves the answer open; where the reference itself says "or" it does not, and neither does "no A
    or B".

    Args:
        name: of the scorer.
        trace: a conversation whose last answer is read.
        gold: the reference, "" for none.

    Returns:
        A score of 0 with status `unparsed`, `refused` or `truncated`; None for a reply to be judged.
    """
    text = said(trace)
    words = len(re.findall(r"\w+", text))
    if gold and plain(text) == plain(gold):
        return None
    nothing = words <= SHORT and not short(
        DENIAL.sub(lambda clause: OR.sub(",", clause[0]), text), (gold,) if gold else ()
    )
    if not words or nothing or (words <= REFUSAL and refuses(text)):
        return missing(name, trace, "nothing to judge")
    return None
