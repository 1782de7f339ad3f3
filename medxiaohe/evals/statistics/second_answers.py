"""Effect of second answers that a workflow gave because its confidence was low (re-retrieval of rwr).

A run with `threshold` t has two answers of every item whose confidence is below t, so the outcome of any
lower threshold is known without asking again: `sweep`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from medxiaohe.evals.statistics import stats
from medxiaohe.types import Sample, Scorer, Trace

STEPS = 10  # thresholds of a sweep


def reread(rows: Iterable[tuple[Sample, Trace]], scorer: Scorer) -> dict[str, Any]:
    """Accuracy before and after second answers, of items whose first confidence is known.

    Args:
        rows: items with their traces.
        scorer: of the task; one that needs no judge.

    Returns:
        {"n", "fired", "before", "after", "difference", "low", "high", "p", "rise", "sweep"}: accuracy before
        and after of the items that were answered again, and the mean rise of their confidence; {} if no trace
        has the note `cdir`. `sweep` has {threshold, fired, before, after, all} for thresholds up to the
        highest confidence that fired.
    """
    items = [item for row in rows if (item := _item(*row, scorer)) is not None]
    if not items:
        return {}
    fired = [item for item in items if item["fired"]]
    result: dict[str, Any] = {"n": len(items), "fired": len(fired)}
    if fired:
        before, after = ([item[key] for item in fired] for key in ("before", "after"))
        paired = asdict(stats.paired(before, after))
        result |= {"before": _mean(before), "after": _mean(after)}
        result |= {key: paired[key] if math.isfinite(paired[key]) else None for key in ("low", "high")}
        result |= {"difference": paired["difference"], "p": paired["p"]}
        rises = [item["rise"] for item in fired if item["rise"] is not None]
        result["rise"] = _mean(rises) if rises else None
    highest = max((item["confidence"] for item in fired), default=0.0)
    result["sweep"] = [_at(items, highest * step / STEPS) for step in range(STEPS + 1)] if fired else []
    return result


def _item(sample: Sample, trace: Trace, scorer: Scorer) -> dict[str, Any] | None:
    """First and second score and confidence of an item; None without the note `cdir` or without a score."""
    note = next((s.given for s in reversed(trace.steps) if s.kind == "note" and s.who == "cdir"), None)
    if not isinstance(note, Mapping) or note.get("confidence") is None:
        return None
    after = scorer(sample, trace).value
    again = note["fired"] and note.get("confidence_after") is not None
    # the second answer is the last message, behind the block that it was shown
    first = scorer(sample, replace(trace, messages=trace.messages[:-2])).value if again else after
    if first is None or after is None:
        return None
    rise = note["confidence_after"] - note["confidence"] if again else None
    return {"fired": note["fired"], "confidence": note["confidence"], "before": first, "after": after,
            "rise": rise}  # fmt: skip


def _at(items: Sequence[Mapping[str, Any]], threshold: float) -> dict[str, Any]:
    """Outcome of a lower threshold: items with a confidence strictly below it have their second answer."""
    below = [item for item in items if item["fired"] and item["confidence"] < threshold]
    first_answers = [
        item["before"] for item in items if not (item["fired"] and item["confidence"] < threshold)
    ]
    after = [item["after"] for item in below]
    return {
        "threshold": round(threshold, 6),
        "fired": len(below),
        "before": _mean([item["before"] for item in below]) if below else None,
        "after": _mean(after) if below else None,
        "all": _mean([*first_answers, *after]),
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
