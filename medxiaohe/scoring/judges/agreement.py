"""How far a judge agrees with people: accuracy, balanced accuracy, macro-F1 and Cohen's kappa, with
intervals.

An abstention is no verdict: the numbers are over what was decided, and `decided` says how much that is. A
judge that decides only what is easy looks better than it is, so `of_all` counts the undecided as wrong.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RESAMPLES, LEVEL = 1000, 0.95  # draws of the bootstrap; probability that the interval covers
Pairs = Sequence[tuple[str, str]]  # (gold, said)


@dataclass(frozen=True)
class Agreement:
    """Agreement of a judge with people: counts, and measures with 95 % intervals."""

    n: int
    decided: int
    clusters: int
    of_all: float  # right / n
    accuracy: tuple[float, float, float]  # value, low, high
    balanced: tuple[float, float, float]
    macro_f1: tuple[float, float, float]
    kappa: tuple[float, float, float]


def agreement(
    gold: Sequence[str],
    judged: Sequence[str],
    clusters: Sequence[str],
    decided: Sequence[bool],
    seed: int = 0,
) -> Agreement:
    """Measure agreement of a judge with people, with percentile bootstrap intervals over clusters.

    Clusters are resampled, since labels of one question are not independent.

    Args:
        gold: labels of people, (n,).
        judged: labels of the judge, (n,).
        clusters: cluster of each label, such as its question, (n,).
        decided: whether the judge gave a verdict, (n,); abstentions are left out of all but `of_all`.
        seed: of the resampling.

    Returns:
        Values with 95 % intervals (value, low, high); NaN where nothing was decided.
    """
    # labels by cluster; a cluster without a decided label stays, so that draws keep its weight
    groups: dict[str, list[tuple[str, str]]] = {}
    for g, s, cluster, is_decided in zip(gold, judged, clusters, decided, strict=True):
        groups.setdefault(cluster, [])
        if is_decided:
            groups[cluster].append((g, s))
    pairs = [pair for group in groups.values() for pair in group]
    # cluster bootstrap: each draw takes as many clusters as there are, with replacement
    rng, names = random.Random(seed), list(groups)
    draws = [
        [pair for name in rng.choices(names, k=len(names)) for pair in groups[name]] for _ in range(RESAMPLES)
    ]
    right = sum(g == s for g, s in pairs)

    def row(measure: Callable[[Pairs], float]) -> tuple[float, float, float]:
        """Compute a measure and its percentile interval over the bootstrap draws."""
        values = sorted(value for draw in draws if draw and not math.isnan(value := measure(draw)))
        if not pairs or not values:
            return math.nan, math.nan, math.nan
        cut = int(len(values) * (1 - LEVEL) / 2)  # percentile interval: 2.5 % of the draws at each end
        return measure(pairs), values[cut], values[-1 - cut]

    return Agreement(
        len(gold),
        len(pairs),
        len(groups),
        right / len(gold),
        row(accuracy),
        row(balanced_accuracy),
        row(macro_f1),
        row(cohens_kappa),
    )


def accuracy(pairs: Pairs) -> float:
    """Accuracy: share of equal labels.

    Args:
        pairs: (gold, label of the judge), at least one.

    Returns:
        From 0 to 1.
    """
    return sum(g == s for g, s in pairs) / len(pairs)


def balanced_accuracy(pairs: Pairs) -> float:
    """Balanced accuracy: mean recall over the gold labels.

    Args:
        pairs: (gold, label of the judge), at least one.

    Returns:
        From 0 to 1.
    """
    golds = Counter(g for g, _ in pairs)
    right = Counter(g for g, s in pairs if g == s)
    # mean over labels of recall = right / gold
    return sum(right[label] / n for label, n in golds.items()) / len(golds)


def macro_f1(pairs: Pairs) -> float:
    """Macro-F1: unweighted mean F1 over the labels that either side gave.

    Args:
        pairs: (gold, label of the judge), at least one.

    Returns:
        From 0 to 1.
    """
    golds, saids, right = (
        Counter(g for g, _ in pairs),
        Counter(s for _, s in pairs),
        Counter(g for g, s in pairs if g == s),
    )
    labels = golds.keys() | saids.keys()
    # mean over labels of F1 = 2 TP / (gold + predicted)
    return sum(2 * right[label] / (golds[label] + saids[label]) for label in labels) / len(labels)


def cohens_kappa(pairs: Pairs) -> float:
    """Cohen's kappa: agreement beyond chance (Cohen 1960), (p_o - p_e) / (1 - p_e).

    Args:
        pairs: (gold, label of the judge), at least one.

    Returns:
        At most 1, 0 at chance level; NaN where both sides gave one and the same label only.
    """
    n = len(pairs)
    golds, saids = Counter(g for g, _ in pairs), Counter(s for _, s in pairs)
    # p_e: probability that two raters with these marginals agree by chance
    chance = sum(golds[label] * saids[label] for label in golds) / n**2
    return math.nan if chance == 1 else (accuracy(pairs) - chance) / (1 - chance)
