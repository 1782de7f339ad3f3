"""Gradient-boosted trees that rank the candidates of a query, in numpy.

The loss of a query is the cross-entropy between the softmax of its candidates' scores and the gold ones,
equally: what is minimised is how unlikely the right candidates are beside the others (ListNet, Cao and others
2007, with binary relevance). The softmax is therefore an estimate of the chance that a candidate is right.
Trees are grown level by level on quantised features with the second-order gain of Friedman (2001) and Chen
and Guestrin (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medxiaohe.progress import Meter

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Growth:
    num_trees: int = 120
    depth: int = 4
    rate: float = 0.15
    num_bins: int = 32
    # of the queries, and of the features, that a tree sees (Friedman 2002); drawn with `seed`
    share: float = 0.5
    seed: int = 0
    ridge: float = 3.0  # added to the sum of second derivatives
    least: float = 1.0  # sum of second derivatives on each side of a split


@dataclass(frozen=True)
class Ranker:
    """`splits` are [trees, 2 ** depth - 1] of feature and bin; a row goes right where its bin is larger."""

    edges: list[np.ndarray]  # of each feature: the upper ends of its bins but the last
    feature: np.ndarray
    bin: np.ndarray
    leaves: np.ndarray  # [trees, 2 ** depth]
    gain: np.ndarray  # of each feature, over all trees

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """One number for each row of features."""
        import numpy as np

        binned = _binned(rows, self.edges)
        total = np.zeros(len(rows))
        for feature, cut, leaves in zip(self.feature, self.bin, self.leaves, strict=True):
            total += leaves[_leaf(binned, feature, cut)]
        return total


def fit(rows: np.ndarray, group: np.ndarray, gold: np.ndarray, growth: Growth = Growth()) -> Ranker:
    """`group` is the number of the query of each row, rising; `gold` is 1 for right candidates. Queries
    without one are left out."""
    import numpy as np

    has_gold = np.bincount(group, gold, minlength=group[-1] + 1) > 0
    rows, gold, group = rows[has_gold[group]], gold[has_gold[group]], group[has_gold[group]]
    _, group = np.unique(group, return_inverse=True)
    starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    share = gold / np.bincount(group, gold)[group]
    quantiles = np.linspace(0, 1, growth.num_bins + 1)[1:-1]
    edges = [np.unique(np.quantile(rows[:, j], quantiles)) for j in range(rows.shape[1])]
    binned = _binned(rows, edges)
    score = np.zeros(len(rows))
    features, cuts, leaves = [], [], []
    gains = np.zeros(rows.shape[1])
    draw = np.random.default_rng(growth.seed)
    num_features = max(1, round(growth.share * rows.shape[1]))
    meter = Meter("fit the ranker", growth.num_trees)
    for _ in range(growth.num_trees):
        chance = softmax(score, group, starts)
        slope, curve = share - chance, chance * (1 - chance)
        seen = (draw.random(len(starts)) < growth.share)[group]
        columns = np.sort(draw.permutation(rows.shape[1])[:num_features])
        feature, cut, value = _tree(binned[seen], slope[seen], curve[seen], columns, growth, gains)
        score += value[_leaf(binned, feature, cut)]
        features.append(feature)
        cuts.append(cut)
        leaves.append(value)
        meter.advance()
    meter.close()
    return Ranker(edges, np.array(features), np.array(cuts), np.array(leaves), gains)


def softmax(score: np.ndarray, group: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The share of each row in its group, whose rows begin at `starts`."""
    import numpy as np

    power = np.exp(score - np.maximum.reduceat(score, starts)[group])
    shares: np.ndarray = power / np.add.reduceat(power, starts)[group]
    return shares


def _binned(rows: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    import numpy as np

    return np.stack(
        [np.searchsorted(edge, rows[:, j], side="left") for j, edge in enumerate(edges)], axis=1
    ).astype(np.int32)


def _leaf(binned: np.ndarray, feature: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """The number of the leaf that each row comes to."""
    import numpy as np

    every, node = np.arange(len(binned)), np.zeros(len(binned), np.int64)
    for _ in range((len(feature) + 1).bit_length() - 1):
        node = 2 * node + 1 + (binned[every, feature[node]] > cut[node])
    return node - len(feature)


def _tree(
    binned: np.ndarray,
    slope: np.ndarray,
    curve: np.ndarray,
    columns: np.ndarray,
    growth: Growth,
    gains: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feature and cut of every inner node, and the value of every leaf."""
    import numpy as np

    num_inner = 2**growth.depth - 1
    feature, cut = np.zeros(num_inner, np.int64), np.full(num_inner, growth.num_bins, np.int64)
    node = np.zeros(len(binned), np.int64)  # within its level
    bins = growth.num_bins
    for level in range(growth.depth):
        width, first = 2**level, 2**level - 1
        best = np.zeros(width)
        for j in columns:
            place = node * bins + binned[:, j]
            down = np.bincount(place, slope, minlength=width * bins).reshape(width, bins).cumsum(1)
            curved = np.bincount(place, curve, minlength=width * bins).reshape(width, bins).cumsum(1)
            all_down, all_curved = down[:, -1:], curved[:, -1:]
            gain = down**2 / (curved + growth.ridge) + (all_down - down) ** 2 / (
                all_curved - curved + growth.ridge
            )
            gain -= all_down**2 / (all_curved + growth.ridge)
            gain[(curved < growth.least) | (all_curved - curved < growth.least)] = 0
            where = gain.argmax(1)
            found = gain[np.arange(width), where]
            better = found > best + 1e-9
            best[better] = found[better]
            feature[first : first + width][better] = j
            cut[first : first + width][better] = where[better]
        np.add.at(gains, feature[first : first + width], best)
        node = 2 * node + (binned[np.arange(len(binned)), feature[first + node]] > cut[first + node])
    down = np.bincount(node, slope, minlength=2**growth.depth)
    curved = np.bincount(node, curve, minlength=2**growth.depth)
    return feature, cut, growth.rate * down / (curved + growth.ridge)
