"""Robustness to perturbations of the questions: flips, losses, and the worst case.

A flip is a verdict that changes between right and not right. The worst case counts an item as right only if
it is right unperturbed and under every applicable perturbation that expects the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.evals.running.judging import Tally, finite
from medxiaohe.evals.statistics import clusters, stats
from medxiaohe.evals.statistics.clusters import Units
from medxiaohe.evals.statistics.measures import RIGHT, cluster_of

Verdicts = dict[str, tuple[float | None, Units]]  # sample id -> (value, patient and study)


def verdicts(rows: Path) -> Verdicts:
    """Read the value and the cluster of each item.

    Args:
        rows: a file of scored rows.

    Returns:
        item id -> (value of the first scorer or None, cluster)
    """
    return {row["sample"]["id"]: (row["scores"][0]["value"], cluster_of(row)) for row in io.read_jsonl(rows)}


def robustness(before: Verdicts, changed: Mapping[str, Path | None], seed: int = 0) -> dict[str, Any]:
    """Compare the verdicts under each perturbation with those without one.

    Args:
        before: item id -> (value, cluster) without a perturbation.
        changed: name of a perturbation -> file of its rows; None if it applies to no item.
        seed: of the paired tests.

    Returns:
        {perturbations: {name: row}, worst: row}, with p after Holm's correction over the perturbations; a
        perturbation that applies to nothing has n = 0
    """
    # worst case: right so far, over the perturbations that expect "right"
    still = {id: value >= RIGHT for id, (value, _) in before.items() if value is not None}
    touched: set[str] = set()
    rows_of: dict[str, Any] = {}
    for name, path in changed.items():
        after = verdicts(path) if path is not None else {}
        expects = expectation(name)
        rows_of[name] = {"expects": expects, **_compared(before, after, seed)}
        for id, (value, _) in after.items() if expects == "right" else ():
            if value is not None and id in still:
                still[id] = still[id] and value >= RIGHT
                touched.add(id)
    tested = [row for row in rows_of.values() if row["n"]]
    for row, p in zip(tested, stats.holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = p
    worst, usual = Tally(), Tally()
    for id in touched:
        worst.add(float(still[id]), before[id][1])
        usual.add(float((before[id][0] or 0.0) >= RIGHT), before[id][1])
    return {"perturbations": rows_of, "worst": worst.row() | {"unperturbed": usual.row()["mean"]}}


def expectation(name: str) -> str:
    """What a perturbation expects of a sound model.

    Args:
        name: of a perturbation.

    Returns:
        "right" if it stays right, "lost" if the perturbation removes what the answer needs

    Raises:
        ConfigError: no perturbation has this name.
    """
    module = __import__(plugins.load("perturbations", name).__module__, fromlist=["EXPECTS"])
    return str(getattr(module, "EXPECTS", "right"))


def _compared(before: Verdicts, after: Verdicts, seed: int) -> dict[str, Any]:
    """Paired comparison of verdicts: mean, difference with interval and p, flips, broken and fixed items."""
    pairs = [(before[id][0], value, group) for id, (value, group) in after.items() if id in before]
    judged = [(float(a), float(b), group) for a, b, group in pairs if a is not None and b is not None]
    if not judged:
        return {"n": 0}
    mean, flips = Tally(), Tally()
    for a, b, group in judged:
        mean.add(b, group)
        flips.add(float((a >= RIGHT) != (b >= RIGHT)), group)
    test = stats.paired(
        [a for a, _, _ in judged],
        [b for _, b, _ in judged],
        clusters.joined([group for _, _, group in judged]),
        seed,
    )
    return {
        **mean.row(),
        "before": sum(a for a, _, _ in judged) / len(judged),
        "difference": test.difference,
        "difference_low": finite(test.low),
        "difference_high": finite(test.high),
        "p": test.p,
        "flips": flips.row(),
        "broken": sum(a >= RIGHT > b for a, b, _ in judged),
        "fixed": sum(b >= RIGHT > a for a, b, _ in judged),
    }
