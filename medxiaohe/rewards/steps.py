"""The steps that correctness goes in: what form may move must be less than half of one, so they have to be
known exactly.

A choice is right or wrong: one step. A rubric goes in shares of its points. Whatever may say any number (an
F1, an overlap of boxes) goes in hundredths, and so does a mixture whose steps would be finer than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

from medxiaohe.scoring.rubric import criteria
from medxiaohe.types import Sample, Score

RUBRICS = ("rubric", "rubric.clipped", "rubric.normalised")
ALL_OR_NOTHING = frozenset(
    "choice choices yes_no exact one_of stated numeric dose string regex code count entity".split()
)
FINEST = Fraction(1, 100)


def step(samples: Sequence[Sample], scores: Sequence[Score], shares: Sequence[float]) -> Fraction:
    """The difference that all values of the weighted mean are whole multiples of, 1 / n; at least FINEST.

    `samples` are the sample as each scorer saw it: a rubric has its own criteria as the target.

    Args:
        samples: for each scorer the sample as it saw it.
        scores: of each scorer.
        shares: weight of each scorer.

    Returns:
        1 / n
    """
    exact = [exactly(share) for share in shares]
    parts = [
        _step_of(sample, score) * share for sample, score, share in zip(samples, scores, exact, strict=True)
    ]
    return max(FINEST, common(parts) / sum(exact))


def whole_steps(values: Sequence[float], shares: Sequence[float], size: Fraction) -> Fraction:
    """The weighted mean of values, each clipped to [0, 1], in whole steps: 0 only where every value is, 1
    only where every value is.

    Args:
        values: of each scorer.
        shares: weight of each scorer.
        size: what `step` returned.

    Returns:
        a multiple of `size`, from 0 to 1
    """
    exact = [exactly(share) for share in shares]
    mean = sum(
        Fraction(min(1.0, max(0.0, value))) * share for value, share in zip(values, exact, strict=True)
    ) / sum(exact)
    steps, most = round(mean / size), round(1 / size)
    return (min(max(1, steps), most - 1) if 0 < mean < 1 else steps) * size


def common(parts: Sequence[Fraction]) -> Fraction:
    """The greatest fraction that all of them are whole multiples of."""
    scale = lcm(*(part.denominator for part in parts))
    return Fraction(gcd(*(int(part * scale) for part in parts)), scale)


def exactly(number: float) -> Fraction:
    """The decimal as it was written: 0.1 is 1/10."""
    return Fraction(repr(float(number)))


def _step_of(sample: Sample, score: Score) -> Fraction:
    if score.name in ALL_OR_NOTHING:
        return Fraction(1)
    if score.name not in RUBRICS:
        return FINEST
    points = [exactly(one.points) for one in criteria(sample)]
    total = (
        sum(abs(p) for p in points) if score.name == "rubric.normalised" else sum(p for p in points if p > 0)
    )
    return common(points) / Fraction(total)
