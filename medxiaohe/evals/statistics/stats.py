"""Confidence intervals and paired tests for scores, in plain Python.

Every interval is at 95 %. Items of one patient or study are one cluster: they are not independent, and
intervals and tests account for it (Miller 2024, arXiv:2411.00640). `tests/evals/test_stats.py` simulates the
coverage.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

LEVEL, POWER = 0.95, 0.8  # of intervals; of the minimum detectable difference
PERMUTATIONS = 9_999  # random sign flips: with the observed one p has steps of 1 / 10,000
RESAMPLES = 1_000  # of the bootstrap
EXACT_POWER = 200  # discordant pairs up to which the power of McNemar's test is computed exactly
# weight, in clusters, of the assumption that all items of a cluster agree, and from how many clusters on
PRIOR_CLUSTERS, ENOUGH_CLUSTERS = 1.0, 12.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of n items in so many clusters, with its interval at 95 %."""

    n: int
    clusters: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference of means, b minus a, with its interval at 95 %, test and power."""

    n: int
    clusters: int
    difference: float  # b minus a
    low: float
    high: float
    p: float
    test: str
    minimum_detectable: float | None  # smallest true difference with a power of 80 %


@lru_cache(maxsize=100_000)
def proportion(successes: int, n: int) -> tuple[float, float]:
    """Exact interval of a proportion of independent 0/1 items (Blaker 2000).

    It covers at least 95 % for every n and every true proportion, and lies inside that of Clopper and
    Pearson. A proportion p is inside if the outcomes that are as unlikely as this one, on either side,
    together have a probability above 5 %. Below `successes`, that is the upper tail u(p) = P(X >= successes)
    and the largest lower tail P(X <= d) not above it. At Clopper and Pearson's limit u is 2.5 %; p rises from
    there, and where u meets the next lower tail, P(X <= d + 1), both are above 2.5 %. So the limit is that
    point, or one before it where u + P(X <= d) reaches 5 %.

    Args:
        successes: from 0 to n.
        n: number of items, at least 1.

    Returns:
        lower and upper bound, each from 0 to 1
    """
    return _blaker_low(successes, n), 1 - _blaker_low(n - successes, n)


def _blaker_low(successes: int, n: int) -> float:
    """Lower bound of Blaker's interval; the upper one is its mirror image."""
    if successes == 0:
        return 0.0
    alpha = 1 - LEVEL

    def upper(p: float) -> float:
        """Upper tail u(p) = P(X >= successes).

        Returns:
            a probability that rises with p
        """
        return 1 - _binomial_below(successes - 1, n, p)

    # 1. Clopper and Pearson's limit: u(p) = alpha / 2
    start = _crossing(lambda p: upper(p) - alpha / 2, 0.0, 1.0)
    # 2. d: the largest number whose lower tail there is at most alpha / 2, by bisection; -1 if there is none
    if _binomial_below(0, n, start) > alpha / 2:
        tail = -1
    else:
        tail, over = 0, successes
        while over - tail > 1:
            middle = (tail + over) // 2
            below = _binomial_below(middle, n, start) <= alpha / 2
            tail, over = (middle, over) if below else (tail, middle)
    # 3. the point where u(p) meets the next lower tail, P(X <= d + 1)
    meets = _crossing(lambda p: upper(p) - _binomial_below(tail + 1, n, p), start, 1.0)

    def likely(p: float) -> float:
        """Probability of the outcomes as unlikely as this one, u(p) + P(X <= d), less alpha.

        Returns:
            0 at the limit
        """
        return upper(p) + (_binomial_below(tail, n, p) if tail >= 0 else 0.0) - alpha

    # 4. the limit: where that reaches alpha, at the latest the meeting point
    return _crossing(likely, start, meets) if likely(meets) > 0 else meets


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """Root of a function that is negative at `low` and positive at `high`, from below, by 40 bisections."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return low


def wilson(successes: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval (1927), for a number of items that need not be whole.

    Args:
        successes: from 0 to n.
        n: number of independent 0/1 items that the data are worth, above 0.
        z: quantile of the normal distribution, or of Student's t for few clusters.

    Returns:
        lower and upper bound, each from 0 to 1
    """
    p, shrink = successes / n, 1 + z * z / n
    # centre (p + z^2 / 2n) / (1 + z^2 / n), half width z / (1 + z^2 / n) * sqrt(p (1 - p) / n + z^2 / 4 n^2)
    middle = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (max(0.0, middle - half) if p > 0 else 0.0), (min(1.0, middle + half) if p < 1 else 1.0)


def estimate(values: Sequence[float], clusters: Sequence[str] | None = None) -> Estimate:
    """Mean of values with its interval at 95 %.

    Independent values of 0 and 1 have the exact interval (`proportion`). Other values from 0 to 1 have
    Wilson's, on the number of 0/1 items that their variance is worth (`_wilson_of_bounded`); values outside
    0 to 1 have that of Student's t.

    Args:
        values: one for each item, at least one.
        clusters: patient or study of each value, in the same order; "" is a cluster of its own, None: all
            are.

    Returns:
        the mean with its interval; for a single cluster [0, 1], or an infinite one if values are outside 0 to
        1

    Raises:
        ZeroDivisionError: there are no values.
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
    # Student's t: mean +- t(df) * cluster-robust standard error
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
    # the largest variance of values from 0 to 1 with this mean
    most = mean * (1 - mean)
    if most <= 0:  # all at 0, or all at 1
        return wilson(mean * len(sizes), len(sizes), z=t_quantile(0.5 + LEVEL / 2, _freedom(sizes)))
    # 1. variance of the mean, relative to that of n independent 0/1 values: the design effect for 0/1 values
    ratio = _standard_error(residual_sums, n, sizes) ** 2 * n / most
    # 2. shrink the ratio towards 1, and towards full agreement in clusters
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
    """Degrees of freedom of clusters of unequal sizes m: (sum m)^2 / sum m^2 - 1, at least 1.

    The first term is the effective number of clusters (Carter, Schnepel and Steigerwald 2017).
    """
    total = math.fsum(sizes)
    return max(1.0, total * total / math.fsum(size * size for size in sizes) - 1)


def paired(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[str] | None = None, seed: int = 0
) -> Difference:
    """Paired difference of means b - a of the same items, with interval, test and detectable difference.

    Exact McNemar for independent 0/1 values, else a sign-flip permutation test that flips whole clusters. If
    all values are from 0 to 1 the interval ends at -1 and 1. If no value changed, or all changed alike, the
    clusters cannot tell its width: it is the change of the mean that the share of items which may change
    otherwise unseen (exact, of 0 in so many clusters) can make when each changes by 1; if values are not from
    0 to 1 and all changed alike, the interval is infinite.

    Args:
        a: scores of the base, one for each item.
        b: scores of the other, of the same items in the same order.
        clusters: for each item the name of its cluster (patient, study); "" or None: independent.
        seed: of the random sign flips, if they are not exact.

    Returns:
        the difference with a 95 % interval, p, the name of the test, and the smallest true difference with a
        power of 80 %, None if unknown

    Raises:
        ValueError: a and b differ in length.
        ZeroDivisionError: there are no items.
    """
    n = len(a)
    differences = [y - x for x, y in zip(a, b, strict=True)]
    mean = math.fsum(differences) / n
    sums = _groups(differences, clusters)
    residuals = _groups([d - mean for d in differences], clusters)
    # p: McNemar on the discordant pairs, or sign flips of the cluster sums
    if len(sums) == n and set(differences) <= {-1.0, 0.0, 1.0}:
        p, test = mcnemar(differences.count(-1.0), differences.count(1.0)), "exact McNemar"
    else:
        p, test = sign_flip(sums, seed), "sign flips by item" if len(sums) == n else "sign flips by cluster"
    if len(sums) < 2:
        return Difference(n, len(sums), mean, -math.inf, math.inf, p, test, None)
    sizes = _groups([1.0] * n, clusters)
    freedom = _freedom(sizes)
    # interval of Student's t; minimum detectable difference (t_0.975 + t_0.8) * standard error
    error, t = _standard_error(residuals, n, sizes), t_quantile(0.5 + LEVEL / 2, freedom)
    detectable = (t + t_quantile(POWER, freedom)) * error if error else None
    low, high = mean - t * error, mean + t * error
    bounded = min(min(a), min(b)) >= 0 and max(max(a), max(b)) <= 1
    # no observed variance: bound the share of items whose change was not seen
    if error <= 1e-12 and (bounded or not any(differences)):
        unseen = proportion(0, len(sums))[1]
        low, high, detectable = (1 - unseen) * mean - unseen, (1 - unseen) * mean + unseen, None
    elif error <= 1e-12:
        low, high, detectable = -math.inf, math.inf, None
    discordant = n - differences.count(0.0)
    # few discordant pairs: the power of the exact test in place of its normal approximation
    if detectable is not None and test == "exact McNemar" and discordant <= EXACT_POWER:
        detectable = mcnemar_detectable(n, discordant)
    if bounded:
        low, high = max(-1.0, low), min(1.0, high)
    return Difference(n, len(sums), mean, low, high, p, test, detectable)


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact McNemar test: two-sided p of the discordant pairs under Binomial(n, 1/2).

    Args:
        only_a: pairs in which only a is right.
        only_b: pairs in which only b is right.

    Returns:
        p, from 0 to 1; 1 without discordant pairs
    """
    # 2 P(X <= min), in whole numbers until the last division
    n, few = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / (1 << n))


def mcnemar_detectable(n: int, discordant: int) -> float | None:
    """Minimum detectable difference of the exact McNemar test at a power of 80 %.

    The share of discordant pairs is that observed, or as large as the difference itself if that needs more.

    Args:
        n: number of pairs.
        discordant: number of them in which a and b differ.

    Returns:
        a difference of means from 0 to 1; None if even a difference of 1 has less power
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
    """Power of the exact McNemar test at 5 %.

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
        critical = _mcnemar_critical(k)  # c: rejected if at most so many are in the smaller direction
        if critical >= 0:
            # P(reject | k) = P(X <= c) + P(X >= k - c), X the pairs in favour of b
            tails = _binomial_below(critical, k, 1 - in_favour) + _binomial_below(critical, k, in_favour)
            power += math.exp(_log_binomial(k, n, share)) * tails
    return power


@lru_cache(maxsize=100_000)
def _mcnemar_critical(k: int) -> int:
    """Largest number of k discordant pairs in the smaller direction with p <= 0.05; -1 if there is none."""
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
    """Sign-flip permutation test: two-sided p of the null hypothesis that the sum is 0.

    Args:
        differences: one sum of differences for each cluster (or item).
        seed: of the random flips, used with more than 12 differences other than 0.

    Returns:
        p, above 0 and at most 1; exact up to 12 differences other than 0, else from PERMUTATIONS random flips
    """
    # differences of 0 do not change under a flip; the tolerance keeps equal sums equal despite rounding
    moved = [d for d in differences if d]
    observed = abs(math.fsum(moved)) - 1e-12 * math.fsum(map(abs, moved))
    # all 2^m sign patterns
    if len(moved) <= 12:
        sums = [
            abs(math.fsum(d if code >> i & 1 else -d for i, d in enumerate(moved)))
            for code in range(2 ** len(moved))
        ]
        return sum(s >= observed for s in sums) / len(sums)
    # random patterns; the observed one counts too (+ 1), so that p is never 0
    rng = random.Random(seed)
    extreme = 0
    for _ in range(PERMUTATIONS):
        code = rng.getrandbits(len(moved))
        extreme += abs(sum(d if code >> i & 1 else -d for i, d in enumerate(moved))) >= observed
    return (extreme + 1) / (PERMUTATIONS + 1)


def relative(a: Sequence[float], b: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Relative change of a mean, b / a - 1, with a paired bootstrap interval (Efron 1979).

    Args:
        a: values of the base, none below 0 and one above 0.
        b: values of the other, of the same items in the same order.
        seed: of the resamples.

    Returns:
        the change (-0.6 is a fall by 60 %) and its interval at 95 %: percentiles over RESAMPLES resamples of
        the items with replacement, each item with both of its values

    Raises:
        ZeroDivisionError: the mean of a is 0.
    """
    changes = []
    # resamples in which the base is 0 have no relative change
    for drawn in _resamples(len(a), seed):
        if before := math.fsum(a[i] for i in drawn):
            changes.append(math.fsum(b[i] for i in drawn) / before - 1)
    changes.sort()
    cut = int(len(changes) * (1 - LEVEL) / 2)
    return math.fsum(b) / math.fsum(a) - 1, changes[cut], changes[-1 - cut]


@lru_cache(maxsize=4)
def _resamples(n: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Bootstrap samples: positions of n items, with replacement; the same for each measure of the items."""
    rng = random.Random(seed)
    return tuple(tuple(rng.choices(range(n), k=n)) for _ in range(RESAMPLES))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's correction of p values for multiple tests (Holm 1979).

    Args:
        ps: uncorrected p values.

    Returns:
        corrected p values in the order given, each at most 1
    """
    corrected, highest = [0.0] * len(ps), 0.0
    # in ascending order, the i-th (from 0) of m is multiplied by m - i; the running maximum keeps them
    # monotone
    for done, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, (len(ps) - done) * ps[i]))
        corrected[i] = highest
    return corrected


def _groups(values: Sequence[float], clusters: Sequence[str] | None) -> list[float]:
    """Sum of the values of each cluster; an item without a cluster ("") is one of its own."""
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
    # variance of the mean: sum of r_g^2 / (1 - m_g / n) over clusters g, divided by n^2
    squares = (r * r / max(1 - m / n, 1 / n) for r, m in zip(residual_sums, sizes, strict=True))
    return math.sqrt(math.fsum(squares)) / n


# ---- Student's t -----------------------------------------------------------------------------------


@lru_cache
def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t, by bisection.

    Args:
        probability: from 0.5 to below 1.
        freedom: degrees of freedom, above 0; may be fractional.

    Returns:
        the value that t stays below with this probability, at least 0
    """
    low, high = 0.0, 1.0
    while t_below(high, freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_below(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def t_below(t: float, freedom: float) -> float:
    """Distribution function of Student's t for t >= 0, from the incomplete beta function.

    Args:
        t: at least 0.
        freedom: degrees of freedom, above 0.

    Returns:
        P(T <= t), from 0.5 to 1
    """
    return 1 - _beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


def _beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b), by its continued fraction (Numerical Recipes 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # the fraction converges fast below this point; above it I_x(a, b) = 1 - I_(1-x)(b, a)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    # x^a (1 - x)^b / B(a, b)
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
