"""Sentence BLEU of a reply and the reference, 0 to 1: words in common, not facts in common."""

from medxiaohe.scoring.rouge_l import EXAMPLE, _score
from medxiaohe.types import Sample, Score, Trace

__all__ = ["EXAMPLE", "bleu"]


def bleu(sample: Sample, trace: Trace) -> Score:
    return _score("bleu", sample, trace)
