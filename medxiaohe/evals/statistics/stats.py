"""Intervals and paired tests for scores, in plain Python.

Every interval is at 95 %. Items of one patient or study are one cluster: they are not independent, and
intervals and tests say so (Miller 2024, arXiv:2411.00640). `tests/evals/test_stats.py` simulates the
coverage.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

LEVEL, POWER = 0.95, 0.8
PERMUTATIONS = 9_999


@dataclass(frozen=True, slots=True)
class Estimate:
    n: int
    clusters: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    n: int
    clusters: int
    difference: float  # b minus a
    low: float
    high: float
    p: float
    test: str
    minimum_detectable: float | None  # the true difference that this many items would find in 80 of 100 runs


def wilson(
    successes: float, n: float, z: float = NormalDist().inv_cdf(0.5 + LEVEL / 2)
) -> tuple[float, float]:
    """Interval of a proportion (Wilson 1927); it stays inside [0, 1] and is honest near both ends."""
    p, shrink = successes / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (max(0.0, middle - half) if p > 0 else 0.0), (min(1.0, middle + half) if p < 1 else 1.0)


def estimate(values: Sequence[float], clusters: Sequence[str] | None = None) -> Estimate:
    """Mean of the values with its interval; `clusters` names the patient or study of each value.

    Values of 0 and 1: Wilson, on the number of independent items the clusters are worth (their design
    effect), with the t quantile. Other values: t with clusters - 1 degrees of freedom.
    """
    n, mean = len(values), math.fsum(values) / len(values)
    groups = _groups([value - mean for value in values], clusters)
    if set(values) <= {0.0, 1.0}:
        if len(groups) == n:
            return Estimate(n, n, mean, *wilson(math.fsum(values), n))
        return Estimate(n, len(groups), mean, *_clustered_wilson(mean, n, groups))
    if len(groups) < 2:
        return Estimate(n, len(groups), mean, -math.inf, math.inf)
    half = t_quantile(0.5 + LEVEL / 2, len(groups) - 1) * _standard_error(groups, n)
    return Estimate(n, len(groups), mean, mean - half, mean + half)


def _clustered_wilson(mean: float, n: int, groups: Sequence[float]) -> tuple[float, float]:
    if len(groups) < 2:
        return 0.0, 1.0
    error = _standard_error(groups, n)
    independent = min(n, mean * (1 - mean) / error**2) if error else len(groups)
    return wilson(mean * independent, independent, z=t_quantile(0.5 + LEVEL / 2, len(groups) - 1))


def paired(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[str] | None = None, seed: int = 0
) -> Difference:
    """b minus a on the same items. Exact McNemar for independent 0/1 values, else signs of whole clusters are
    flipped.

    Where all values are from 0 to 1 the interval ends at -1 and 1. Where no value moved, or all moved alike,
    the clusters cannot tell its width: it is what the share of items that may move otherwise unseen (Wilson,
    of 0 in so many clusters) can make of the mean when each moves by 1; where values are not from 0 to 1 and
    all moved alike, there is none.
    """
    n = len(a)
    differences = [y - x for x, y in zip(a, b, strict=True)]
    mean = math.fsum(differences) / n
    sums = _groups(differences, clusters)
    residuals = _groups([d - mean for d in differences], clusters)
    if len(sums) == n and set(differences) <= {-1.0, 0.0, 1.0}:
        p, test = mcnemar(differences.count(-1.0), differences.count(1.0)), "exact McNemar"
    else:
        p, test = sign_flip(sums, seed), "sign flips by item" if len(sums) == n else "sign flips by cluster"
    if len(sums) < 2:
        return Difference(n, len(sums), mean, -math.inf, math.inf, p, test, None)
    error, t = _standard_error(residuals, n), t_quantile(0.5 + LEVEL / 2, len(sums) - 1)
    detectable = (t + NormalDist().inv_cdf(POWER)) * error if error else None
    low, high = mean - t * error, mean + t * error
    bounded = min(min(a), min(b)) >= 0 and max(max(a), max(b)) <= 1
    if error <= 1e-12 and (bounded or not any(differences)):
        unseen = wilson(0, len(sums))[1]
        low, high, detectable = (1 - unseen) * mean - unseen, (1 - unseen) * mean + unseen, None
    elif error <= 1e-12:
        low, high, detectable = -math.inf, math.inf, None
    if bounded:
        low, high = max(-1.0, low), min(1.0, high)
    return Difference(n, len(sums), mean, low, high, p, test, detectable)


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p of the discordant pairs: how unlike a fair coin they are."""
    n, few = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / (1 << n))


def sign_flip(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided permutation p that the sum is 0; exact up to 12 differences that are not 0, else from random
    flips."""
    moved = [d for d in differences if d]
    observed = abs(math.fsum(moved)) - 1e-12 * math.fsum(map(abs, moved))
    if len(moved) <= 12:
        sums = [
            abs(math.fsum(d if code >> i & 1 else -d for i, d in enumerate(moved)))
            for code in range(2 ** len(moved))
        ]
        return sum(s >= observed for s in sums) / len(sums)
    rng = random.Random(seed)
    extreme = 0
    for _ in range(PERMUTATIONS):
        code = rng.getrandbits(len(moved))
        extreme += abs(sum(d if code >> i & 1 else -d for i, d in enumerate(moved))) >= observed
    return (extreme + 1) / (PERMUTATIONS + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979), in the order given."""
    corrected, highest = [0.0] * len(ps), 0.0
    for done, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, (len(ps) - done) * ps[i]))
        corrected[i] = highest
    return corrected


def _groups(values: Sequence[float], clusters: Sequence[str] | None) -> list[float]:
    """The sum of the values of each cluster; an item without a cluster ("") is one of its own."""
    if clusters is None:
        return list(values)
    groups: dict[tuple[str, int], list[float]] = {}
    for i, (value, cluster) in enumerate(zip(values, clusters, strict=True)):
        groups.setdefault((cluster, -1) if cluster else ("", i), []).append(value)
    return [math.fsum(group) for group in groups.values()]


def _standard_error(residual_sums: Sequence[float], n: int) -> float:
    """Of a mean of n values, from the residuals summed by cluster (the sandwich estimator, corrected for few
    clusters)."""
    g = len(residual_sums)
    return math.sqrt(g / (g - 1) * math.fsum(r * r for r in residual_sums)) / n


# ---- Student's t -----------------------------------------------------------------------------------


@lru_cache
def t_quantile(probability: float, freedom: float) -> float:
    """The value that Student's t stays below with a probability of at least one half; by bisection."""
    low, high = 0.0, 1.0
    while t_below(high, freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_below(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def t_below(t: float, freedom: float) -> float:
    """P(T <= t) for t >= 0, from the incomplete beta function."""
    return 1 - _beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


def _beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta, by its continued fraction (Lentz; Numerical Recipes 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / (1 + step * d)
            c = 1 + step / c
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * value / a
