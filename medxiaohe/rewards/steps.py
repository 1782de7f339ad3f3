"""Step size of correctness, as an exact fraction: form may move the reward by less than half a step.

A choice is right or wrong: one step. A rubric goes in shares of its points. A score that may be any number
(an F1, an overlap of boxes) goes in hundredths, and so does a mixture whose steps would be finer than that.
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
FINEST = Fraction(1, 100)  # hundredths: step of scores that may be any number


def step(samples: Sequence[Sample], scores: Sequence[Score], shares: Sequence[float]) -> Fraction:
    """Step size of the weighted mean of scores: the largest 1/n of which all its values are multiples.

    Args:
        samples: for each scorer the sample as it saw it: a rubric has its own criteria as the target.
        scores: of each scorer.
        shares: weight of each scorer, above 0.

    Returns:
        at least FINEST

    Raises:
        DataError: the target of a rubric's sample is no rubric.
    """
    exact = [exactly(share) for share in shares]
    # step of each scorer times its weight; their greatest common divisor over the sum of weights
    parts = [
        _step_of(sample, score) * share for sample, score, share in zip(samples, scores, exact, strict=True)
    ]
    return max(FINEST, common(parts) / sum(exact))


def whole_steps(values: Sequence[float], shares: Sequence[float], size: Fraction) -> Fraction:
    """Weighted mean of values, rounded to whole steps.

    Args:
        values: of each scorer, each clipped to [0, 1].
        shares: weight of each scorer, above 0.
        size: step size, as `step` returned it.

    Returns:
        a multiple of `size`: 0 only if every value is 0, 1 only if every value is 1
    """
    exact = [exactly(share) for share in shares]
    mean = sum(
        Fraction(min(1.0, max(0.0, value))) * share for value, share in zip(values, exact, strict=True)
    ) / sum(exact)
    # a mean strictly between 0 and 1 stays strictly between them after rounding
    steps, most = round(mean / size), round(1 / size)
    return (min(max(1, steps), most - 1) if 0 < mean < 1 else steps) * size


def common(parts: Sequence[Fraction]) -> Fraction:
    """Greatest common divisor of fractions.

    Args:
        parts: fractions, at least one of them.

    Returns:
        the greatest fraction that all of them are whole multiples of
    """
    scale = lcm(*(fraction.denominator for fraction in parts))
    return Fraction(gcd(*(int(fraction * scale) for fraction in parts)), scale)


def exactly(number: float) -> Fraction:
    """Convert a number to the fraction of its shortest decimal: 0.1 is 1/10.

    Args:
        number: a finite float.

    Returns:
        the exact decimal
    """
    return Fraction(repr(float(number)))


def _step_of(sample: Sample, score: Score) -> Fraction:
    """Step of one scorer: 1 for a verdict, FINEST for a number.

    For a rubric it is the common divisor of its points over the sum of its points.
    """
    if score.name in ALL_OR_NOTHING:
        return Fraction(1)
    if score.name not in RUBRICS:
        return FINEST
    points = [exactly(criterion.points) for criterion in criteria(sample)]
    # denominator of the rubric's formula: absolute points, or the positive ones
    total = (
        sum(abs(p) for p in points) if score.name == "rubric.normalised" else sum(p for p in points if p > 0)
    )
    return common(points) / Fraction(total)
