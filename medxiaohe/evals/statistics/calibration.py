"""Calibration, selective prediction and conformal sets of a model that scores answer options.

Confidence is the probability of the chosen answer among the options. Everything that is fitted is fitted
on validation items; what is reported is about other items.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from medxiaohe.evals.running.judging import interval

BINS, IN_A_BIN = 15, 20  # bins at most, and items in a bin at least
DRAWS, WORK = 500, 2_000_000  # resamples of the bootstrap at most, and resamples times items at most
POINTS = 50  # of a curve in the report
COVERAGES = (0.5, 0.8, 0.9)  # shares of items at which the selective risk is reported


@dataclass(frozen=True, slots=True)
class Answered:
    """An item scored by likelihood: a probability for each option, the index of the gold one, its cluster."""

    probabilities: tuple[float, ...]
    gold: int
    cluster: str = ""

    @property
    def chosen(self) -> int:
        """Index of the most probable answer.

        Returns:
            the first of equals
        """
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """Probability of the chosen answer.

        Returns:
            from 1 / number of options to 1
        """
        return max(self.probabilities)

    @property
    def right(self) -> bool:
        """Whether the chosen answer is the gold one.

        Returns:
            True if right
        """
        return self.chosen == self.gold


def softmax(nats: Sequence[float], temperature: float = 1.0) -> tuple[float, ...]:
    """Turn negative log-likelihoods into probabilities.

    Args:
        nats: negative log-likelihood of each answer in nats; less is likelier.
        temperature: above 1 flattens, below 1 sharpens; above 0.

    Returns:
        one probability for each answer; they sum to 1
    """
    # relative to the likeliest answer, so that exp cannot overflow
    low = min(nats)
    weights = [math.exp((low - value) / temperature) for value in nats]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


# ---- calibration -----------------------------------------------------------------------------------


def bins(confidences: Sequence[float], right: Sequence[bool], number: int = BINS) -> list[dict[str, float]]:
    """Reliability bins of equal mass, by rising confidence.

    Args:
        confidences: one for each item, from 0 to 1.
        right: whether each item is right.
        number: bins at most; fewer if a bin would have less than `IN_A_BIN` items.

    Returns:
        one row for each bin: {n, confidence, accuracy, low, high}, the first two numbers means and the last
        two the range of the confidences

    Raises:
        ZeroDivisionError: there are no items.
    """
    order = sorted(range(len(confidences)), key=lambda i: (confidences[i], i))
    number = max(1, min(number, len(order) // IN_A_BIN))
    # quantiles of the items, sorted by confidence
    edges = [round(len(order) * i / number) for i in range(number + 1)]
    rows = []
    for start, end in pairwise(edges):
        members = order[start:end]
        mean = math.fsum(confidences[i] for i in members) / len(members)
        hits = sum(right[i] for i in members)
        rows.append(
            {
                "n": len(members),
                "confidence": mean,
                "accuracy": hits / len(members),
                "low": confidences[members[0]],
                "high": confidences[members[-1]],
            }
        )
    return rows


def ece(confidences: Sequence[float], right: Sequence[bool], number: int = BINS) -> float:
    """Expected calibration error (Naeini et al. 2015) with bins of equal mass.

    Args:
        confidences: one for each item, from 0 to 1.
        right: whether each item is right.
        number: bins at most.

    Returns:
        sum over bins of n_b / n * |accuracy_b - confidence_b|, from 0 (calibrated) to 1

    Raises:
        ZeroDivisionError: there are no items.
    """
    return math.fsum(
        b["n"] * abs(b["accuracy"] - b["confidence"]) for b in bins(confidences, right, number)
    ) / len(confidences)


def ece_interval(
    confidences: Sequence[float], right: Sequence[bool], clusters: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of the ECE at 95 %, from resamples of whole clusters.

    Args:
        confidences: one for each item, from 0 to 1.
        right: whether each item is right.
        clusters: the cluster of each item; "": independent.
        seed: of the resamples.

    Returns:
        2.5th and 97.5th percentile of the ECE over DRAWS resamples, fewer (at least 100) for many items
    """
    groups: dict[str, list[int]] = {}
    for i, cluster in enumerate(clusters):
        groups.setdefault(cluster or f"\0{i}", []).append(i)
    rng, names, values = random.Random(seed), list(groups), []
    draws = max(100, min(DRAWS, WORK // max(1, len(confidences))))
    # each resample draws as many clusters as there are, with replacement
    for _ in range(draws):
        drawn = [i for name in rng.choices(names, k=len(names)) for i in groups[name]]
        values.append(ece([confidences[i] for i in drawn], [right[i] for i in drawn]))
    values.sort()
    return values[round(0.025 * (draws - 1))], values[round(0.975 * (draws - 1))]


def floor(confidences: Sequence[float], seed: int = 0) -> float:
    """ECE that a perfectly calibrated model is expected to show with these confidences.

    It is above 0, since the accuracy of few items in a bin varies by chance.

    Args:
        confidences: one for each item, from 0 to 1.
        seed: of the simulated outcomes.

    Returns:
        the mean ECE over 20 to 100 simulations, fewer for many items
    """
    rng = random.Random(seed)
    number = max(20, min(100, WORK // 10 // max(1, len(confidences))))
    # each item is right with a probability of its confidence
    draws = [ece(confidences, [rng.random() < c for c in confidences]) for _ in range(number)]
    return math.fsum(draws) / len(draws)


def brier(items: Sequence[Answered]) -> float:
    """Brier score (Brier 1950): mean squared error of the probabilities, summed over the options.

    Args:
        items: with a probability for each answer and the index of the gold one.

    Returns:
        from 0 (certain and right) to 2 (certain and wrong)

    Raises:
        ZeroDivisionError: there are no items.
    """
    return math.fsum(
        math.fsum((p - (i == item.gold)) ** 2 for i, p in enumerate(item.probabilities)) for item in items
    ) / len(items)


# ---- answering only when sure ----------------------------------------------------------------------


def risk_curve(confidences: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """Risk-coverage curve: error of the items answered, from the most confident on.

    Args:
        confidences: one for each item, from 0 to 1.
        right: whether each item is right.

    Returns:
        (coverage, error among the covered) by rising coverage; items of equal confidence share a point, and
        the last covers all items
    """
    order = sorted(range(len(confidences)), key=lambda i: -confidences[i])
    points, wrong = [], 0
    for done, i in enumerate(order, 1):
        wrong += not right[i]
        # a point only where the confidence changes: items of equal confidence cannot be told apart
        if done == len(order) or confidences[order[done]] != confidences[i]:
            points.append((done / len(order), wrong / done))
    return points


def aurc(curve: Sequence[tuple[float, float]]) -> float:
    """Area under the risk-coverage curve (Geifman and El-Yaniv 2017).

    Args:
        curve: points of `risk_curve`; items of one point share their risk.

    Returns:
        from 0 to 1; less is better
    """
    area, before = 0.0, 0.0
    # step function: each piece of coverage times the risk at its end
    for coverage, risk in curve:
        area += (coverage - before) * risk
        before = coverage
    return area


def at_coverage(curve: Sequence[tuple[float, float]], coverage: float) -> tuple[float, float]:
    """First point of a risk-coverage curve with at least a coverage.

    Args:
        curve: points of `risk_curve`.
        coverage: least share of the items, from 0 to 1.

    Returns:
        (coverage, error among the covered)
    """
    return next((point for point in curve if point[0] >= coverage - 1e-12), curve[-1])


def thinned(curve: Sequence[tuple[float, float]], most: int = POINTS) -> list[tuple[float, float]]:
    """Thin out a curve to points that are evenly spaced, both ends included.

    Args:
        curve: points in order.
        most: number of points at most, 2 or more.

    Returns:
        the same points, or `most` of them
    """
    if len(curve) <= most:
        return list(curve)
    return [curve[round(i * (len(curve) - 1) / (most - 1))] for i in range(most)]


# ---- fitted on validation --------------------------------------------------------------------------


def fit_temperature(nats: Sequence[Sequence[float]], golds: Sequence[int]) -> float:
    """Fit a temperature by maximum likelihood (temperature scaling, Guo et al. 2017).

    Args:
        nats: for each item the negative log-likelihood of each answer.
        golds: for each item the index of its gold answer.

    Returns:
        the temperature, from 0.02 to 50
    """

    def cost(log_t: float) -> float:
        """Negative log-likelihood of the golds at a temperature.

        Returns:
            in nats; probabilities below 1e-300 count as that
        """
        return -math.fsum(
            math.log(max(softmax(row, math.exp(log_t))[gold], 1e-300))
            for row, gold in zip(nats, golds, strict=True)
        )

    # golden-section search on log T, in which the cost is unimodal: each step drops the worse end; 60 steps
    # narrow the bracket to below 1e-11
    low, high, ratio = math.log(0.02), math.log(50.0), (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    cost_a, cost_b = cost(a), cost(b)
    for _ in range(60):
        if cost_a < cost_b:
            high, b, cost_b = b, a, cost_a
            a = high - ratio * (high - low)
            cost_a = cost(a)
        else:
            low, a, cost_a = a, b, cost_b
            b = low + ratio * (high - low)
            cost_b = cost(b)
    return math.exp((low + high) / 2)


def conformal_threshold(gold_probabilities: Sequence[float], miss: float = 0.1) -> float:
    """Threshold of split conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021).

    Options at least this probable form a set that misses the gold in at most `miss` of exchangeable items: 1
    less the ceil((n + 1)(1 - miss))-th smallest of the scores 1 - p(gold).

    Args:
        gold_probabilities: probability of the gold answer of each calibration item.
        miss: promised rate alpha of sets without the gold.

    Returns:
        the least probability of an answer in a set; 0, so every answer, if there are too few items to promise
        the rate
    """
    n = len(gold_probabilities)
    rank = math.ceil((n + 1) * (1 - miss))
    return sorted(gold_probabilities, reverse=True)[rank - 1] if rank <= n else 0.0


def conformal(items: Sequence[Answered], threshold: float, miss: float = 0.1) -> dict[str, Any]:
    """Coverage and size of conformal sets on test items.

    Args:
        items: test items, exchangeable with those that the threshold was fitted on.
        threshold: least probability of an answer in a set, of `conformal_threshold`.
        miss: the promised rate of sets without the gold.

    Returns:
        {promised, threshold, held: share of sets with the gold as {n, mean, low, high}, size: mean number of
        answers}
    """
    # the tolerance keeps the item whose probability is the threshold inside despite rounding
    sets = [[p >= threshold - 1e-12 for p in item.probabilities] for item in items]
    held = interval(
        [float(members[item.gold]) for members, item in zip(sets, items, strict=True)],
        [item.cluster for item in items],
    )
    return {
        "promised": 1 - miss,
        "threshold": threshold,
        "held": held,
        "size": math.fsum(sum(members) for members in sets) / len(sets),
    }


def report(items: Sequence[Answered], seed: int = 0) -> dict[str, Any]:
    """All calibration measures of a set of items.

    Args:
        items: one for each answered item, at least one.
        seed: of the bootstrap and of the floor.

    Returns:
        {n, accuracy, confidence, ece, brier, aurc, selective_risk, curve, reliability}
    """
    confidences, right = [item.confidence for item in items], [item.right for item in items]
    curve = risk_curve(confidences, right)
    low, high = ece_interval(confidences, right, [item.cluster for item in items], seed)
    covered = [at_coverage(curve, c) for c in COVERAGES]
    return {
        "n": len(items),
        "accuracy": interval([float(r) for r in right], [item.cluster for item in items]),
        "confidence": math.fsum(confidences) / len(items),
        "ece": {
            "value": ece(confidences, right),
            "low": low,
            "high": high,
            "floor": floor(confidences, seed),
            "bins": len(bins(confidences, right)),
            "binning": "equal mass",
        },
        "brier": brier(items),
        "aurc": aurc(curve),
        "selective_risk": [{"coverage": c, "risk": r} for c, r in covered],
        "curve": thinned(curve),
        "reliability": bins(confidences, right),
    }
