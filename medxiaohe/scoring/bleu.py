"""Sentence BLEU of a reply and the reference, 0 to 1: words in common, not facts in common."""

from medxiaohe.scoring.rouge_l import EXAMPLE, _score
from medxiaohe.types import Sample, Score, Trace

__all__ = ["EXAMPLE", "bleu"]


def bleu(sample: Sample, trace: Trace) -> Score:
    """Sentence BLEU of the reply against the reference (Papineni et al. 2002), 0 to 1.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.

    Returns:
        the value with the numbers that it is made of in `why`
    """
    return _score("bleu", sample, trace)
