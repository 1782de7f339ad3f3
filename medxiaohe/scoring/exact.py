"""The gold answer word for word, after lower-casing and dropping articles and punctuation around words.

The target has one accepted answer a line. "Pneumonia or tuberculosis" is no answer unless the gold says "or"
itself.
"""

from medxiaohe.scoring._text import golds, missing, plain, short
from medxiaohe.types import Message, Sample, Score, Trace


def exact(sample: Sample, trace: Trace) -> Score:
    accepted = golds(sample)
    if not (said := parse(trace.answer, accepted)):
        return missing("exact", trace)
    right = said in {plain(gold) for gold in accepted}
    return Score("exact", float(right), parsed=said, why=f"said {said!r}, gold {' | '.join(accepted)!r}")


def parse(answer: str, accepted: tuple[str, ...] = ()) -> str:
    """The answer as compared, or "" for an empty one, a refusal, or one left open."""
    return plain(short(answer, accepted))


EXAMPLE = Sample(
    "exact/example",
    (Message("user", ("Which organ makes insulin?",)), Message("assistant", ("The pancreas.",))),
    target="pancreas",
)
