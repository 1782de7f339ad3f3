"""Metrics of an image-report model on held-out pairs: recall@k both ways, AUC of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def recall_at(similarity: np.ndarray, same: np.ndarray, k: int) -> np.ndarray:
    """Compute recall@k of each row.

    Args:
        similarity: [rows, columns].
        same: [rows, columns], true where a column is right: it has the words of the row's report.
        k: columns that count.

    Returns:
        bool [rows]: whether a right column is among the best k; of equals, a wrong column comes first.
    """
    # similarity of the best right column, and wrong columns at least as similar
    best = np.where(same, similarity, -np.inf).max(1)
    above = ((similarity >= best[:, None]) & ~same).sum(1)
    return np.asarray(above < k)


def auc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Compute the area under the ROC curve by ranks, ties one half (Mann-Whitney).

    Args:
        scores: (n,).
        labels: (n,), 0 or 1.

    Returns:
        From 0 to 1; None with labels of one kind.
    """
    # n positives, m negatives
    positive = labels.astype(bool)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return None
    # ascending ranks from 1; equal scores share the mean of their ranks
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]  # mean rank of equals
    # U / (n m), U = sum of the ranks of the positives - n (n + 1) / 2
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def by_tag(
    logits: np.ndarray, labels: np.ndarray, tags: Sequence[str], training: np.ndarray, rare: float
) -> dict[str, Any]:
    """Compute the AUC of each tag, and its mean over rare and common ones.

    Args:
        logits: [pairs, tags].
        labels: [pairs, tags], 0 or 1.
        tags: their names.
        training: share of the training reports that affirm each tag, [tags].
        rare: below this share a tag is rare.

    Returns:
        auc_rare and auc_common (means), tags_rare and tags_common (counts), auc by tag; tags without both
        labels are left out, and of the means those that no training report affirms.
    """
    result = {name: auc(logits[:, i], labels[:, i]) for i, name in enumerate(tags)}
    groups: dict[str, list[float]] = {"rare": [], "common": []}
    for i, name in enumerate(tags):
        value = result[name]
        if value is not None and training[i] > 0:
            groups["rare" if training[i] < rare else "common"].append(value)
    # macro means: each tag counts once, however many pairs have it
    means = {f"auc_{name}": round(float(np.mean(values)), 4) for name, values in groups.items() if values}
    counts = {f"tags_{name}": len(values) for name, values in groups.items()}
    return means | counts | {"auc": {name: round(v, 4) for name, v in result.items() if v is not None}}
