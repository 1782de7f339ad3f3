"""Intervals and paired tests for scores, in plain Python.

Every interval is at 95 %. Items of one patient or study are one cluster: they are not independent, and
intervals and tests say so (Miller 2024, arXiv:2411.00640). `tests/evals/test_stats.py` simulates the
coverage.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

LEVEL, POWER = 0.95, 0.8
PERMUTATIONS = 9_999
RESAMPLES = 1_000
EXACT_POWER = 200  # discordant pairs up to which the power of McNemar's test is computed exactly
# weight, in clusters, of the assumption that all items of a cluster agree, and from how many clusters on
PRIOR_CLUSTERS, ENOUGH_CLUSTERS = 1.0, 12.0


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
    minimum_detectable: float | None  # smallest true difference found with a power of 80 %


@lru_cache(maxsize=100_000)
def proportion(successes: int, n: int) -> tuple[float, float]:
    """Interval of a proportion of independent 0/1 items (Blaker 2000): it covers at least 95 % for every n
    and every true proportion, and lies inside that of Clopper and Pearson.

    A proportion p is inside where the outcomes that are as unlikely as this one, on either side, together
    have a probability above 5 %. Below `successes`, that is the upper tail u(p) = P(X >= successes) and the
    largest lower tail P(X <= d) not above it. At Clopper and Pearson's limit u is 2.5 %; p rises from there,
    and where u meets the next lower tail, P(X <= d + 1), both are above 2.5 %. So the limit is that point, or
    one before it where u + P(X <= d) reaches 5 %.

    Args:
        successes: from 0 to n.
        n: number of items, at least 1.

    Returns:
        lower and upper bound, each from 0 to 1
    """
    return _blaker_low(successes, n), 1 - _blaker_low(n - successes, n)


def _blaker_low(successes: int, n: int) -> float:
    if successes == 0:
        return 0.0
    alpha = 1 - LEVEL

    def upper(p: float) -> float:
        return 1 - _binomial_below(successes - 1, n, p)

    start = _crossing(lambda p: upper(p) - alpha / 2, 0.0, 1.0)  # Clopper and Pearson's limit
    if _binomial_below(0, n, start) > alpha / 2:
        other = -1
    else:  # the largest number whose lower tail is at most 2.5 %, by halving
        other, above = 0, successes
        while above - other > 1:
            middle = (other + above) // 2
            below = _binomial_below(middle, n, start) <= alpha / 2
            other, above = (middle, above) if below else (other, middle)
    meets = _crossing(lambda p: upper(p) - _binomial_below(other + 1, n, p), start, 1.0)

    def likely(p: float) -> float:
        return upper(p) + (_binomial_below(other, n, p) if other >= 0 else 0.0) - alpha

    return _crossing(likely, start, meets) if likely(meets) > 0 else meets


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """A point below where a function that is negative at `low` and positive at `high` is 0, by halving."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return low


def wilson(successes: float, n: float, z: float) -> tuple[float, float]:
    """Interval of Wilson (1927) for a number of items that need not be whole; it stays inside [0, 1].

    Args:
        successes: from 0 to n.
        n: number of independent 0/1 items that the data are worth, above 0.
        z: quantile of the normal distribution, or of Student's t for few clusters.

    Returns:
        lower and upper bound, each from 0 to 1
    """
    p, shrink = successes / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (max(0.0, middle - half) if p > 0 else 0.0), (min(1.0, middle + half) if p < 1 else 1.0)


def estimate(values: Sequence[float], clusters: Sequence[str] | None = None) -> Estimate:
    """Mean of the values with its interval at 95 %.

    Independent values of 0 and 1 have the exact interval (`proportion`). Other values from 0 to 1 have
    Wilson's, on the number of 0/1 items that their variance is worth (`_wilson_of_bounded`); values outside
    0 to 1 have that of Student's t.

    Args:
        values: one for each item.
        clusters: patient or study of each value; "" is one of its own.

    Returns:
        The mean with its interval; an infinite one where a single cluster of unbounded values tells nothing.
    """
    n, mean = len(values), math.fsum(values) / len(values)
    groups = _groups([value - mean for value in values], clusters)
    if set(values) <= {0.0, 1.0} and len(groups) == n:
        return Estimate(n, n, mean, *proportion(round(math.fsum(values)), n))
    bounded = min(values) >= 0 and max(values) <= 1
    if len(groups) < 2:
        return Estimate(n, len(groups), mean, *((0.0, 1.0) if bounded else (-math.inf, math.inf)))
    sizes = _groups([1.0] * n, clusters)
    if bounded:
        return Estimate(n, len(groups), mean, *_wilson_of_bounded(mean, n, groups, sizes))
    half = t_quantile(0.5 + LEVEL / 2, _freedom(sizes)) * _standard_error(groups, n, sizes)
    return Estimate(n, len(groups), mean, mean - half, mean + half)


def _wilson_of_bounded(
    mean: float, n: int, residual_sums: Sequence[float], sizes: Sequence[float]
) -> tuple[float, float]:
    """Wilson's interval for the mean of values from 0 to 1, clustered or not.

    A value from 0 to 1 varies at most as much as a 0/1 value of the same mean, p (1 - p). The share of that
    variance which the data show, the variance ratio, says how many 0/1 items they are worth. A ratio below 1
    is drawn towards 1 with the weight of max(8, 2 sqrt(G)) clusters of G: few items near the ceiling show too
    little variance, as rare failures are not among them. Without it, coverage falls to 0.36 (n = 15, 97 % at
    1) and equal values have an interval of width 0. `benchmarks/intervals.py` prints the coverage.

    Args:
        mean: of all values.
        n: number of values.
        residual_sums: value minus mean, summed by cluster.
        sizes: number of values of each cluster.
    """
    most = mean * (1 - mean)
    if most <= 0:  # all at 0, or all at 1
        return wilson(mean * len(sizes), len(sizes), z=t_quantile(0.5 + LEVEL / 2, _freedom(sizes)))
    # 1. variance of the mean, relative to that of n independent 0/1 values: the design effect for 0/1 values
    ratio = _standard_error(residual_sums, n, sizes) ** 2 * n / most
    # 2. what the clusters have not shown yet
    groups = len(sizes)
    prior = max(8.0, 2 * math.sqrt(groups))
    ratio = (groups * ratio + prior * max(ratio, 1.0)) / (groups + prior)
    if len(sizes) < n:  # items of a cluster may agree more than few clusters show, at most entirely
        effective, alike = _freedom(sizes) + 1, math.fsum(size * size for size in sizes) / n
        weight = PRIOR_CLUSTERS + max(0.0, ENOUGH_CLUSTERS - effective)
        ratio = (effective * ratio + weight * max(ratio, alike)) / (effective + weight)
    # 3. Wilson on the number of independent 0/1 items that this is worth
    independent = n / ratio
    return wilson(mean * independent, independent, z=t_quantile(0.5 + LEVEL / 2, _freedom(sizes)))


def _freedom(sizes: Sequence[float]) -> float:
    """Degrees of freedom of clusters of these sizes: the effective number of clusters, (sum m)^2 / sum m^2,
    less 1 (Carter, Schnepel and Steigerwald 2017, for clusters of unequal size)."""
    total = math.fsum(sizes)
    return max(1.0, total * total / math.fsum(size * size for size in sizes) - 1)


def paired(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[str] | None = None, seed: int = 0
) -> Difference:
    """b minus a on the same items. Exact McNemar for independent 0/1 values, else signs of whole clusters are
    flipped.

    Where all values are from 0 to 1 the interval ends at -1 and 1. Where no value moved, or all moved alike,
    the clusters cannot tell its width: it is what the share of items that may move otherwise unseen (exact,
    of 0 in so many clusters) can make of the mean when each moves by 1; where values are not from 0 to 1 and
    all moved alike, there is none.

    Args:
        a: scores of the base, one for each item.
        b: scores of the other, of the same items in the same order.
        clusters: for each item the name of its cluster (patient, study); "" or None: independent.
        seed: of the random sign flips, where they are not exact.

    Returns:
        the difference of the means (b - a) with a 95 % interval, p, the name of the test, and the minimum
        detectable difference
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
    sizes = _groups([1.0] * n, clusters)
    freedom = _freedom(sizes)
    error, t = _standard_error(residuals, n, sizes), t_quantile(0.5 + LEVEL / 2, freedom)
    detectable = (t + t_quantile(POWER, freedom)) * error if error else None
    low, high = mean - t * error, mean + t * error
    bounded = min(min(a), min(b)) >= 0 and max(max(a), max(b)) <= 1
    if error <= 1e-12 and (bounded or not any(differences)):
        unseen = proportion(0, len(sums))[1]
        low, high, detectable = (1 - unseen) * mean - unseen, (1 - unseen) * mean + unseen, None
    elif error <= 1e-12:
        low, high, detectable = -math.inf, math.inf, None
    discordant = n - differences.count(0.0)
    if detectable is not None and test == "exact McNemar" and discordant <= EXACT_POWER:
        detectable = mcnemar_detectable(n, discordant)
    if bounded:
        low, high = max(-1.0, low), min(1.0, high)
    return Difference(n, len(sums), mean, low, high, p, test, detectable)


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p of the discordant pairs: how unlike a fair coin they are.

    Args:
        only_a: pairs in which only a is right.
        only_b: pairs in which only b is right.

    Returns:
        p, from 0 to 1; 1 where no pair is discordant
    """
    n, few = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / (1 << n))


def mcnemar_detectable(n: int, discordant: int) -> float | None:
    """The true difference that the exact McNemar test finds in 80 of 100 samples of n pairs.

    The share of discordant pairs is that observed, or as large as the difference itself where that needs
    more. None where even a difference of 1 would not be found.

    Args:
        n: number of pairs.
        discordant: number of them in which a and b differ.

    Returns:
        a difference of means from 0 to 1, or None
    """
    share = discordant / n
    if mcnemar_power(n, 1.0, 1.0) < POWER:
        return None
    low, high = 0.0, 1.0
    for _ in range(20):  # to a millionth
        middle = (low + high) / 2
        power = mcnemar_power(n, max(share, middle), middle)
        low, high = (middle, high) if power < POWER else (low, middle)
    return high


def mcnemar_power(n: int, share: float, difference: float) -> float:
    """Probability that the exact test rejects at 5 %: `share` of the n pairs are discordant, b is better in
    `difference` more of them than a.

    Binomial(n, share) pairs are discordant; of those, Binomial(k, (1 + difference / share) / 2) are in favour
    of b. Numbers of discordant pairs beyond 6 standard deviations are left out.

    Args:
        n: number of pairs.
        share: expected share of discordant pairs, above 0 and at most 1.
        difference: true difference b - a of the shares of right answers, at most `share`.

    Returns:
        the power, from 0 to 1
    """
    in_favour = min(1.0, (1 + difference / share) / 2)
    spread = 6 * math.sqrt(n * share * (1 - share)) + 1
    numbers = range(max(0, int(n * share - spread)), min(n, int(n * share + spread) + 1) + 1)
    power = 0.0
    for k in numbers:
        critical = _mcnemar_critical(k)  # rejected when at most so many are in the smaller direction
        if critical >= 0:
            tails = _binomial_below(critical, k, 1 - in_favour) + _binomial_below(critical, k, in_favour)
            power += math.exp(_log_binomial(k, n, share)) * tails
    return power


@lru_cache(maxsize=100_000)
def _mcnemar_critical(k: int) -> int:
    """The largest number of discordant pairs in the smaller direction, of k, at which p <= 0.05; -1 for
    none."""
    total, critical = 0.0, -1
    for i in range(k // 2 + 1):
        total += math.exp(_log_binomial(i, k, 0.5))
        if 2 * total > 1 - LEVEL:
            break
        critical = i
    return critical


def _log_binomial(k: int, n: int, p: float) -> float:
    """Logarithm of the probability of k successes in n trials."""
    if p <= 0 or p >= 1:
        return 0.0 if k == (n if p >= 1 else 0) else -math.inf
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)


def _binomial_below(k: int, n: int, p: float) -> float:
    """P(X <= k) of a binomial distribution."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return float(k >= n)
    return 1 - _beta(p, k + 1, n - k) if k < n else 1.0


def sign_flip(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided permutation p that the sum is 0; exact up to 12 differences that are not 0, else from random
    flips.

    Args:
        differences: one sum of differences for each cluster (or item).
        seed: of the random flips, used with more than 12 that are not 0.

    Returns:
        p, above 0 and at most 1
    """
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


def relative(a: Sequence[float], b: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """How far the mean of b is from that of a, as a share of a's mean: -0.6 is a fall by 60 %.

    Args:
        a, b: values of the same items, in one order, none below 0; a has one above 0.
        seed: of the resamples.

    Returns:
        The change and its interval at 95 %: percentiles over RESAMPLES drawings of as many items with
        replacement, each item with both of its values (paired bootstrap, Efron 1979).
    """
    changes = []
    for drawn in _resamples(len(a), seed):
        if before := math.fsum(a[i] for i in drawn):
            changes.append(math.fsum(b[i] for i in drawn) / before - 1)
    changes.sort()
    cut = int(len(changes) * (1 - LEVEL) / 2)
    return math.fsum(b) / math.fsum(a) - 1, changes[cut], changes[-1 - cut]


@lru_cache(maxsize=4)
def _resamples(n: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Positions of n items, drawn with replacement; the same for every measure of the same items."""
    rng = random.Random(seed)
    return tuple(tuple(rng.choices(range(n), k=n)) for _ in range(RESAMPLES))


def holm(ps: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979), in the order given.

    Args:
        ps: uncorrected p values.

    Returns:
        corrected p values, each at most 1
    """
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


def _standard_error(residual_sums: Sequence[float], n: int, sizes: Sequence[float]) -> float:
    """Standard error of a mean of n values, from residuals summed by cluster: the sandwich estimator.

    Each cluster's sum is divided by the root of 1 - m/n, m its size, since its own values pull the mean
    towards it (the CR2 correction of Bell and McCaffrey 2002 for a mean).
    """
    squares = (r * r / max(1 - m / n, 1 / n) for r, m in zip(residual_sums, sizes, strict=True))
    return math.sqrt(math.fsum(squares)) / n


# ---- Student's t -----------------------------------------------------------------------------------


@lru_cache
def t_quantile(probability: float, freedom: float) -> float:
    """The value that Student's t stays below with a probability of at least one half; by bisection.

    Args:
        probability: from 0.5 to below 1.
        freedom: degrees of freedom, above 0; may be fractional.

    Returns:
        the quantile of Student's t, at least 0
    """
    low, high = 0.0, 1.0
    while t_below(high, freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_below(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def t_below(t: float, freedom: float) -> float:
    """P(T <= t) for t >= 0, from the incomplete beta function.

    Args:
        t: at least 0.
        freedom: degrees of freedom, above 0.

    Returns:
        a probability, from 0.5 to 1
    """
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
