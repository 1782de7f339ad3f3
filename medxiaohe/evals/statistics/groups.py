"""Scores of groups of tasks: by tag, with public, gated and private tasks separate (MedXIAOHE).

The score of a group is the mean of its tasks, each of which counts once however many items it has. The
interval takes the tasks as fixed and their errors as independent: it is about other items of the same tasks,
not about other tasks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

ACCESS = ("public", "gated", "private")
NOT_A_KIND = ("medevalkit",)  # tags that name a suite of tasks, not a kind
Z = NormalDist().inv_cdf(0.975)  # two-sided 95 %


def groups(tasks: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Mean score of each group of tasks.

    Args:
        tasks: name -> {scores, tags, access}; tasks without a judged item are left out.

    Returns:
        {access, tag, tasks [names], n, mean, low, high} of each tag, and of all tasks of an access (tag ""),
        in the order of ACCESS and tag
    """
    names_of: dict[tuple[str, str], list[str]] = {}
    for name, task in tasks.items():
        if not task["scores"]["n"]:
            continue
        for tag in ("", *task["tags"]):
            if tag not in NOT_A_KIND:
                names_of.setdefault((task["access"], tag), []).append(name)
    order = sorted(names_of, key=lambda key: (ACCESS.index(key[0]), key[1]))
    return [
        {"access": access, "tag": tag, "tasks": names_of[access, tag], **_mean(tasks, names_of[access, tag])}
        for access, tag in order
    ]


def _mean(tasks: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Mean of task means with its interval; low and high None if a task has none."""
    rows = [tasks[name]["scores"] for name in names]
    mean = math.fsum(row["mean"] for row in rows) / len(rows)
    n = sum(row["n"] for row in rows)
    if len(rows) == 1:
        return {"n": n, "mean": mean, "low": rows[0]["low"], "high": rows[0]["high"]}
    if any(row["low"] is None for row in rows):
        return {"n": n, "mean": mean, "low": None, "high": None}
    # standard error of each task from the width of its interval; independent tasks: root of the sum of
    # squares / k
    error = math.sqrt(math.fsum(((row["high"] - row["low"]) / 2 / Z) ** 2 for row in rows)) / len(rows)
    return {"n": n, "mean": mean, "low": max(0.0, mean - Z * error), "high": min(1.0, mean + Z * error)}
