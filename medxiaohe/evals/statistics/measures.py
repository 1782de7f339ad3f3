"""Measures of one task from its rows: a mean for each scorer, pass@k and majority vote of several draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.evals.running.judging import Tally
from medxiaohe.evals.statistics import clusters
from medxiaohe.models.spending import SPENT

RIGHT = 1 - 1e-9  # value from which an answer counts as right; the tolerance is for rounding


def cluster_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Patient and study of the sample of a row (evals/statistics/clusters.py).

    Args:
        row: {sample: {patient_id, study_id, ...}, ...}.

    Returns:
        names of units; () for an item without both
    """
    sample = row["sample"]
    return clusters.named(str(sample.get("patient_id") or ""), str(sample.get("study_id") or ""))


def scores(
    rows: Sequence[Path], shown: str, within: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, dict[str, Any]]:
    """Mean, interval and faults of each scorer of a task.

    Args:
        rows: files of rows, one for each draw of answers, in the same order. The value of an item is the mean
            of its draws, and its status that of the first draw with a fault.
        shown: name of the task in the results.
        within: name of a scorer -> (low, high) that its mean is clipped to.

    Returns:
        name -> {n, mean, low, high, clusters, unparsed, refused, truncated, unjudged, and errors if there are
        any}; the first scorer under the name of the task, others under TASK.SCORER
    """
    tallies: dict[str, Tally] = {}
    for draws in _together(rows):
        for i, score in enumerate(draws[0]["scores"]):
            tally = tallies.setdefault(
                shown if i == 0 else f"{shown}.{score['name']}",
                Tally(within=(within or {}).get(score["name"])),
            )
            values = [row["scores"][i]["value"] for row in draws]
            judged = [value for value in values if value is not None]
            status = next(
                (row["scores"][i]["status"] for row in draws if row["scores"][i]["status"] != "judged"),
                "judged",
            )
            tally.add(math.fsum(judged) / len(judged) if judged else None, cluster_of(draws[0]), status)
    return {name: tally.summary() for name, tally in tallies.items()}


def errors(rows: Sequence[Path], most: int = 100) -> list[dict[str, Any]]:
    """First items without an answer, with the reason.

    Args:
        rows: files of rows, one for each draw of answers.
        most: items at most.

    Returns:
        {id, draw, error} for each draw of an item without an answer
    """
    failed = (
        {"id": row["sample"]["id"], "draw": draw, "error": row["trace"].get("error", "")}
        for draw, path in enumerate(rows)
        for row in io.read_jsonl(path)
        if row["scores"] and row["scores"][0]["status"] == "error"
    )
    return list(islice(failed, most))


def unasked(rows: Path) -> int:
    """Number of items that are unjudged because the judge's budget was spent before them.

    Args:
        rows: a file of scored rows with `verdicts`.

    Returns:
        the number of items
    """
    return sum(
        any(_beyond(v) for verdicts in row.get("verdicts", {}).values() for v in verdicts)
        for row in io.read_jsonl(rows)
    )


def _beyond(verdict: Mapping[str, Any]) -> bool:
    return not verdict["label"] and str(verdict["why"]).startswith(SPENT)


def _together(rows: Sequence[Path]) -> Iterator[list[dict[str, Any]]]:
    """The rows of each item, one from each file."""
    for item_rows in zip(*(io.read_jsonl(path) for path in rows), strict=True):
        yield list(item_rows)


def samples(rows: Sequence[Path]) -> dict[str, Any]:
    """Measures of k draws: pass@1 ... pass@k, and the majority vote, each with n and interval.

    Args:
        rows: files of rows, one for each of the k draws, in the same order.

    Returns:
        {k, pass@1, pass@2, pass@4 ... pass@k, maj@k, undecided: share of items with right and wrong draws};
        each but k a row {n, mean, low, high, clusters}
    """
    k = len(rows)
    sizes = sorted({1, k} | {2**i for i in range(1, 12) if 2**i < k})
    at = {size: Tally() for size in sizes}
    vote, spread = Tally(), Tally()
    for draws in _together(rows):
        first = [row["scores"][0] for row in draws]
        values = [score["value"] for score in first if score["value"] is not None]
        group = cluster_of(draws[0])
        vote.add(majority([(score.get("parsed", ""), score["value"]) for score in first]), group)
        # pass@k and undecided need a value of every draw
        if len(values) < k:
            continue
        right = sum(value >= RIGHT for value in values)
        spread.add(float(0 < right < k), group)
        for size in sizes:
            at[size].add(pass_at(k, right, size), group)
    measures = {f"pass@{size}": tally.row() for size, tally in at.items()}
    return {"k": k, **measures, f"maj@{k}": vote.row(), "undecided": spread.row()}


def pass_at(n: int, right: int, k: int) -> float:
    """Unbiased estimate of pass@k (Chen et al. 2021, arXiv:2107.03374, eq. 1).

    Args:
        n: answers that were drawn.
        right: number of right ones among them.
        k: answers of a smaller draw, at most n.

    Returns:
        1 - C(n - right, k) / C(n, k): probability that k of the n, drawn without replacement, include a right
        one
    """
    return 1.0 - math.prod((n - right - i) / (n - i) for i in range(k)) if n - right >= k else 1.0


def majority(draws: Sequence[tuple[str, float | None]]) -> float | None:
    """Value of the majority vote of several draws (self-consistency).

    Args:
        draws: (parsed answer or "", value or None) of each draw; unread answers have no vote.

    Returns:
        the value of the most frequent answer, of ties the earlier one; 0 if no draw could be read; None if
        none was judged
    """
    votes = Counter(parsed for parsed, _ in draws if parsed)
    if not votes:
        return 0.0 if any(value is not None for _, value in draws) else None
    most = max(votes.values())
    winner = next(parsed for parsed, _ in draws if parsed and votes[parsed] == most)
    return next((value for parsed, value in draws if parsed == winner and value is not None), None)
