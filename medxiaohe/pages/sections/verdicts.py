"""Results of the paired tests, one sentence each, for the page and for the model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medxiaohe.pages.elements.html import decimal, p_value, signed
from medxiaohe.pages.sections.artefacts import Run, label

ALPHA = 0.05  # significance level of Holm-adjusted p values


@dataclass(frozen=True)
class Verdict:
    """A paired comparison of `b` with `a` on the same items; the difference is b minus a."""

    task: str
    a: str
    b: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    holm: float | None  # p corrected for the number of all tests of the comparison
    detectable: float | None  # smallest true difference found with a power of 80 %
    n: int
    lower_is_better: bool = False

    @property
    def outcome(self) -> str:
        """better, worse or same: Holm's p decides, so that many comparisons do not make a winner.

        Returns:
            better, worse, or same: a change counts only if Holm's p is below `ALPHA`.
        """
        if self.holm is None or self.holm >= ALPHA or not self.difference:
            return "same"
        return "worse" if (self.difference > 0) == self.lower_is_better else "better"

    @property
    def sentence(self) -> str:
        """Outcome of the test in a sentence.

        Returns:
            the stages, the task, the difference, Holm's p and n.
        """
        tail = f"{signed(self.difference)} (p {p_value(self.holm)}, n = {self.n:,})"
        if self.outcome == "same":
            return f"{shown(self.b)}: no measurable change on {self.task} against {self.a}, {tail}."
        return f"{shown(self.b)}: {self.outcome} than {self.a} on {self.task}, {tail}."


def shown(stage: str) -> str:
    """Label of a stage in a sentence.

    Returns:
        labels of at most 3 letters, such as sft, in capitals; others unchanged.
    """
    return stage.upper() if len(stage) <= 3 else stage


def constant_of(row: Mapping[str, Any]) -> float | None:
    """Read the score of the best constant answer from a row of scores.

    Args:
        row: of comparison.json.

    Returns:
        the score from 0 to 1; None if the evaluation did not compute it.
    """
    value = row.get("constant")
    value = value.get("mean") if isinstance(value, Mapping) else value
    return float(value) if isinstance(value, (int, float)) else None


def no_better_than_constant(run: Run) -> list[str]:
    """List tasks on which the last stage is not measurably better than a constant answer.

    Args:
        run: with a comparison.

    Returns:
        one sentence for each task whose lower bound (without one, whose mean) is at most the constant's
        score.
    """
    results = []
    for task, rows in (run.scores.get("tasks") or {}).items():
        last: Mapping[str, Any] = next((row for row in rows if label(row["stage"]) == run.stages[-1]), {})
        constant, low, mean = constant_of(last), last.get("low"), last.get("mean")
        # the lower 95 % bound does not exceed the constant answer; without an interval the mean decides
        if constant is not None and mean is not None and (mean if low is None else low) <= constant:
            same = f"always giving the same answer ({decimal(constant)})"
            results.append(
                f"{shown(run.stages[-1])}: on {task} ({decimal(mean)}) not measurably better than {same}."
            )
    return results


def verdicts(run: Run) -> list[Verdict]:
    """Read the paired tests of a comparison.

    Args:
        run: with a comparison.

    Returns:
        the tests of scores, then those of perplexity, where lower is better.
    """
    perplexity = run.scores.get("perplexity") or {}
    scores = [_verdict(row) for row in run.scores.get("paired") or ()]
    return scores + [_verdict(row, lower_is_better=True) for row in perplexity.get("paired") or ()]


def _verdict(row: Mapping[str, Any], *, lower_is_better: bool = False) -> Verdict:
    return Verdict(
        task=str(row["task"]),
        a=label(str(row["a"])),
        b=label(str(row["b"])),
        difference=row["difference"],
        low=row.get("low"),
        high=row.get("high"),
        p=row.get("p"),
        holm=row.get("p_holm"),
        detectable=row.get("minimum_detectable"),
        n=int(row.get("n", 0)),
        lower_is_better=lower_is_better,
    )
