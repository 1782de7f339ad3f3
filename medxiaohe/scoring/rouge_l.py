"""ROUGE of a reply and the reference: words in common, not facts in common. `rouge_l.rouge_1`,
`rouge_l.rouge_2` are the others."""

from medxiaohe.scoring import _overlap
from medxiaohe.scoring._free import no_answer, reference, said
from medxiaohe.types import Message, Sample, Score, Trace


def rouge_l(sample: Sample, trace: Trace) -> Score:
    """ROUGE-L F1: longest common subsequence of words of reply and reference (Lin 2004).

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.

    Returns:
        from 0 to 1
    """
    return _score("rouge_l", sample, trace)


def rouge_1(sample: Sample, trace: Trace) -> Score:
    """ROUGE-1 F1: common words of reply and reference (Lin 2004).

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.

    Returns:
        from 0 to 1
    """
    return _score("rouge_1", sample, trace)


def rouge_2(sample: Sample, trace: Trace) -> Score:
    """ROUGE-2 F1: common pairs of adjacent words of reply and reference (Lin 2004).

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.

    Returns:
        from 0 to 1
    """
    return _score("rouge_2", sample, trace)


MEASURES = {
    "rouge_l": _overlap.rouge_l,
    "rouge_1": lambda a, b: _overlap.rouge_n(a, b, 1),
    "rouge_2": lambda a, b: _overlap.rouge_n(a, b, 2),
    "bleu": _overlap.bleu,
}


def _score(name: str, sample: Sample, trace: Trace) -> Score:
    gold, reply = reference(sample), said(trace)
    if nothing := no_answer(name, trace, gold):
        return nothing
    return Score(name, MEASURES[name](reply, gold), parsed=reply, why="lexical overlap with the reference")


EXAMPLE = Sample(
    "rouge_l/example",
    (
        Message("user", ("Summarise the visit in one sentence.",)),
        Message("assistant", ("The patient has had low back pain for eight years.",)),
    ),
)
