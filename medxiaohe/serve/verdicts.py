"""What the paired tests say, in one sentence each, for the page and for the model card alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe.serve.artefacts import Run, label
from medxiaohe.serve.html import decimal, p_value, signed

ALPHA = 0.05


@dataclass(frozen=True)
class Verdict:
    """A paired comparison of `b` with `a` on the same items; a positive difference means b is better."""

    task: str
    a: str
    b: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    holm: float | None
    n: int

    @property
    def outcome(self) -> str:
        """better, worse or same: Holm's p decides, so that many comparisons do not make a winner."""
        if self.holm is None or self.holm >= ALPHA or not self.difference:
            return "same"
        return "better" if self.difference > 0 else "worse"

    @property
    def sentence(self) -> str:
        tail = f"{signed(self.difference)} (p {p_value(self.holm)}, n = {self.n:,})"
        if self.outcome == "same":
            return f"{shown(self.b)}: no measurable change on {self.task} against {self.a}, {tail}."
        return f"{shown(self.b)}: {self.outcome} than {self.a} on {self.task}, {tail}."


def shown(stage: str) -> str:
    return stage.upper() if len(stage) <= 3 else stage


def constant_of(row: Mapping[str, Any]) -> float | None:
    """What always giving the same answer scores, where the evaluation knows it."""
    value = row.get("constant")
    value = value.get("mean") if isinstance(value, Mapping) else value
    return float(value) if isinstance(value, (int, float)) else None


def no_better_than_constant(run: Run) -> list[str]:
    """A sentence for each task on which the last stage cannot be told from a model that looks at nothing."""
    found = []
    for task, rows in (run.scores.get("tasks") or {}).items():
        last: Mapping[str, Any] = next((row for row in rows if label(row["stage"]) == run.stages[-1]), {})
        constant, low, mean = constant_of(last), last.get("low"), last.get("mean")
        if constant is not None and mean is not None and (mean if low is None else low) <= constant:
            same = f"always giving the same answer ({decimal(constant)})"
            found.append(f"{shown(run.stages[-1])}: on {task} ({decimal(mean)}) not measurably better than {same}.")
    return found


def verdicts(run: Run) -> list[Verdict]:
    rows = [row for row in run.scores.get("paired", ()) if row.get("difference") is not None]
    holm = _holm([row.get("p") for row in rows])
    return [_verdict(row, row.get("p_holm", row.get("holm", adjusted))) for row, adjusted in zip(rows, holm, strict=True)]


def _verdict(row: Mapping[str, Any], holm: float | None) -> Verdict:
    names = label(str(row["a"])), label(str(row["b"]))
    return Verdict(str(row["task"]), *names, row["difference"], row.get("low"), row.get("high"), row.get("p"), holm, int(row.get("n", 0)))


def _holm(values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment over all comparisons shown; a missing p stays missing."""
    known = sorted((value, i) for i, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (value, i) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        adjusted[i] = largest
    return adjusted
