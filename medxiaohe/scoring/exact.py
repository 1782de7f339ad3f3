"""The gold answer word for word, after lower-casing and dropping articles and punctuation around words.

The target has one accepted answer a line. "Pneumonia or tuberculosis" is no answer unless the gold says "or"
itself.
"""

from medxiaohe.scoring._text import golds, missing, plain, short
from medxiaohe.types import Message, Sample, Score, Trace


def exact(sample: Sample, trace: Trace) -> Score:
    """Exact match: 1 where the answer is the target word for word, without case, articles and punctuation.

    Args:
        sample: its target is one accepted answer a line.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` or `refused` without an answer
    """
    accepted = golds(sample)
    if not (parsed := parse(trace.answer, accepted)):
        return missing("exact", trace)
    right = parsed in {plain(gold) for gold in accepted}
    return Score("exact", float(right), parsed=parsed, why=f"said {parsed!r}, gold {' | '.join(accepted)!r}")


def parse(answer: str, accepted: tuple[str, ...] = ()) -> str:
    """Normalise a short answer for exact match; "" for an empty one, a refusal, or one left open.

    Args:
        answer: text of a reply, its thinking included.
        accepted: answers that are right.

    Returns:
        lower-case words, or ""
    """
    return plain(short(answer, accepted))


EXAMPLE = Sample(
    "exact/example",
    (Message("user", ("Which organ makes insulin?",)), Message("assistant", ("The pancreas.",))),
    target="pancreas",
)
