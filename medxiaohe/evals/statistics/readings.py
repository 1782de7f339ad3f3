"""Compare the shares of readable replies between models: accuracy with unread replies as wrong, and left out.

A parser that reads one model's style and not another's ranks styles. So every comparison states, of each task
and model, the shares of replies that were unparsed, refused and truncated, and the mean under both readings;
if the shares of two models differ by more than `APART`, the order of the models may be that of their styles.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io

UNREAD = ("unparsed", "refused", "truncated")
APART = 0.03  # share of the replies; a larger difference between models is warned of
SHOWN = 20  # unread replies of each task and model in unread.jsonl
END = 600  # characters at the end of a reply that are shown


@dataclass(frozen=True, slots=True)
class Read:
    """Outcome of one item: status and value of the first scorer, and the end of the reply."""

    id: str
    status: str
    value: float | None
    answer: str
    target: str


def read_rows(path: Path) -> dict[str, list[Read]]:
    """Read the outcome of each item of a traces.jsonl.

    Args:
        path: of traces.jsonl; rows without scores are left out.

    Returns:
        task -> items in the order of the file
    """
    items_of: dict[str, list[Read]] = {}
    for row in io.read_jsonl(path):
        if not row["scores"]:
            continue
        score, trace = row["scores"][0], io.trace_from_json(row["trace"])
        target = str(row["sample"].get("target", ""))
        item = Read(row["sample"]["id"], score["status"], score["value"], trace.answer[-END:], target)
        items_of.setdefault(row["task"], []).append(item)
    return items_of


def reading(items: Iterable[Read]) -> dict[str, Any]:
    """Shares of unread replies, and the mean with and without them.

    Args:
        items: of one model on one task.

    Returns:
        {n, unparsed, refused, truncated, wrong, left_out}: shares of the n items with a value; `wrong` is the
        mean with unread replies as 0, the reported score, `left_out` the mean of the replies that were read
        (None without one)
    """
    judged = [item for item in items if item.value is not None]
    n = len(judged)
    read = [float(item.value or 0.0) for item in judged if item.status not in UNREAD]
    shares = {name: sum(item.status == name for item in judged) / n if n else 0.0 for name in UNREAD}
    mean = math.fsum(float(item.value or 0.0) for item in judged) / n if n else None
    return {"n": n, **shares, "wrong": mean, "left_out": math.fsum(read) / len(read) if read else None}


def readings(runs: Mapping[str, Mapping[str, Sequence[Read]]]) -> dict[str, dict[str, Any]]:
    """Compare the readings of all stages on each task.

    Args:
        runs: stage -> task -> items.

    Returns:
        task -> {stages: {name: reading}, apart: faults whose shares differ by more than APART between two
        stages}
    """
    tasks = sorted({task for run in runs.values() for task in run})
    compared = {}
    for task in tasks:
        stages = {name: reading(run[task]) for name, run in runs.items() if task in run}
        apart = [name for name in UNREAD if _spread(row[name] for row in stages.values()) > APART]
        compared[task] = {"stages": stages, "apart": apart}
    return compared


def by_model(runs: Mapping[str, Mapping[str, Sequence[Read]]]) -> dict[str, dict[str, Any]]:
    """Shares of unread replies of each stage over all its tasks.

    Args:
        runs: stage -> task -> items.

    Returns:
        stage -> {n, unparsed, refused, truncated}: number of items, and shares
    """
    shares_of = {}
    for name, run in runs.items():
        shares = reading(item for items in run.values() for item in items)
        shares_of[name] = {key: shares[key] for key in ("n", *UNREAD)}
    return shares_of


def unread(runs: Mapping[str, Mapping[str, Sequence[Read]]]) -> list[dict[str, Any]]:
    """Examples of unread replies.

    Args:
        runs: stage -> task -> items.

    Returns:
        {task, stage, id, status, target, answer} of the first SHOWN of each task and stage
    """
    rows = []
    for stage, run in runs.items():
        for task, items in run.items():
            rows += [
                {"task": task, "stage": stage, "id": item.id, "status": item.status, "target": item.target,
                 "answer": item.answer}
                for item in [item for item in items if item.status in UNREAD][:SHOWN]
            ]  # fmt: skip
    return rows


def warnings(compared: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Warnings about tasks whose models were not read alike.

    Args:
        compared: what `readings` returned.

    Returns:
        one line for each task and fault, with the means under both readings
    """
    lines = []
    for task, row in compared.items():
        for fault in row["apart"]:
            stages = row["stages"]
            shares = ", ".join(f"{name} {measured[fault]:.1%}" for name, measured in stages.items())
            means = ", ".join(
                f"{name} {_shown(measured['wrong'])} / {_shown(measured['left_out'])}"
                for name, measured in stages.items()
            )
            lines.append(
                f"{task}: {fault} replies differ between models ({shares}"
                f"); mean with unread replies as wrong / left"
                f" out: {means}; unread.jsonl has replies to look at"
            )
    return lines


def _spread(values: Iterable[float]) -> float:
    numbers = list(values)
    return max(numbers) - min(numbers) if numbers else 0.0


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
