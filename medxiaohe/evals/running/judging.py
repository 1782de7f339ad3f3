"""Score traces, and summarise scores as a mean with its interval."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medxiaohe.evals.statistics import clusters, stats
from medxiaohe.evals.statistics.clusters import Units
from medxiaohe.scoring.judges.questions import Verdict
from medxiaohe.scoring.judges.scorer import JudgedScorer
from medxiaohe.types import Message, Sample, Score, Task, Trace

FAULTS = ("unparsed", "refused", "truncated", "unjudged")


def judge(task: Task, sample: Sample, trace: Trace) -> list[Score]:
    """Score one trace by each scorer of a task.

    Args:
        task: whose scorers are used.
        sample: the item.
        trace: with the answer.

    Returns:
        one score for each scorer, in order
    """
    return [scorer(sample, trace) for scorer in task.scorers]


def judge_all(task: Task, samples: Sequence[Sample], traces: Sequence[Trace]) -> list[Judged]:
    """Score traces; a scorer with a method `many` (a judge that batches) is called once for all.

    Args:
        task: whose scorers are used.
        samples: the items.
        traces: with the answers, in the same order.

    Returns:
        scores and verdicts of each trace, in order
    """
    pairs = list(zip(samples, traces, strict=True))
    outcomes = [Judged() for _ in pairs]
    for scorer in task.scorers:
        if isinstance(scorer, JudgedScorer):
            for outcome, (score, verdicts) in zip(outcomes, scorer.judged(pairs), strict=True):
                outcome.scores.append(score)
                outcome.verdicts |= {score.name: verdicts} if verdicts else {}
            continue
        scores = (
            scorer.many(pairs)
            if hasattr(scorer, "many")
            else (scorer(sample, trace) for sample, trace in pairs)
        )
        for outcome, score in zip(outcomes, scores, strict=True):
            outcome.scores.append(score)
    return outcomes


@dataclass
class Judged:
    """The scores of one trace, and the judge's verdicts behind them by scorer."""

    scores: list[Score] = field(default_factory=list)
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON.

        Returns:
            {scores}, and with a judge {verdicts: each with the digest of its prompt, judge_replies: digest ->
            reply, each once}
        """
        if not self.verdicts:
            return {"scores": self.scores}
        verdicts = {
            name: [{"label": v.label, "why": v.why, "prompt": v.prompt, "judge": v.judge} for v in rows]
            for name, rows in self.verdicts.items()
        }
        replies = {v.prompt: v.reply for rows in self.verdicts.values() for v in rows if v.reply}
        return {"scores": self.scores, "verdicts": verdicts, "judge_replies": replies}


def unanswered(task: Task, sample: Sample, why: str) -> Judged:
    """Scores of an item without an answer.

    Args:
        task: whose scorers are used.
        sample: the item.
        why: reason.

    Returns:
        for each scorer a score of status "error" without a value
    """
    named = judge_all(task, [sample], [said(sample, "")])[0].scores  # an empty answer is shown to no judge
    return Judged([Score(score.name, None, "error", why=why) for score in named])


def failure(trace: Trace) -> str:
    """Error of the model or its server in a trace.

    Args:
        trace: with or without an answer.

    Returns:
        the first error of its messages and steps; "" without one
    """
    got = [*trace.messages, *(step.got for step in trace.steps)]
    return next((message.error for message in got if isinstance(message, Message) and message.error), "")


def failed(trace: Trace, why: str) -> Trace:
    """Cut a trace at the message that failed.

    Args:
        trace: with a failed message.
        why: reason.

    Returns:
        the messages before it, with the error and the stop "failed"
    """
    at = next((i for i, message in enumerate(trace.messages) if message.error), len(trace.messages))
    return replace(trace, messages=trace.messages[:at], error=why, stop="failed")


def said(sample: Sample, answer: str) -> Trace:
    """Trace of a fixed answer, as a model would leave it.

    Args:
        sample: the item.
        answer: text.

    Returns:
        the messages of the prompt and one assistant message
    """
    return Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))


@dataclass
class Tally:
    """Running tally of scores: unparsed, refused and truncated ones enter the mean, unjudged ones do not."""

    values: array[float] = field(default_factory=lambda: array("d"))
    clusters: list[Units] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    within: tuple[float, float] | None = None

    def add(self, value: float | None, group: Units, status: str = "judged") -> None:
        """Add one score.

        Args:
            value: of the score; None: counted by its status only.
            group: patient and study of the item.
            status: of the score.
        """
        self.statuses[status] += 1
        if value is not None:
            self.values.append(value)
            self.clusters.append(group)

    def row(self) -> dict[str, Any]:
        """Mean with its interval at 95 %.

        Returns:
            {n, mean, low, high, clusters}; mean and bounds are None without a value. `within` clips them, as
            HealthBench does; those of values from 0 to 1 stay there.
        """
        if not self.values:
            return {"n": 0, "mean": None, "low": None, "high": None, "clusters": 0}
        e = stats.estimate(self.values, clusters.joined(self.clusters))
        bounds = self.within or ((0.0, 1.0) if min(self.values) >= 0 and max(self.values) <= 1 else None)
        mean, low, high = (clip(x, bounds) if math.isfinite(x) else None for x in (e.mean, e.low, e.high))
        return {"n": e.n, "mean": mean, "low": low, "high": high, "clusters": e.clusters}

    def summary(self) -> dict[str, Any]:
        """Mean with its interval, and counts of faults.

        Returns:
            the row, the number of items of each of FAULTS, and `errors`, items without an answer, if there
            are any
        """
        errors = {"errors": self.statuses["error"]} if self.statuses["error"] else {}
        return self.row() | {status: self.statuses[status] for status in FAULTS} | errors


def interval(values: Sequence[float], groups: Sequence[Units]) -> dict[str, Any]:
    """Mean and interval of values.

    Args:
        values: one for each item.
        groups: patient and study of each item.

    Returns:
        {n, mean, low, high, clusters}
    """
    tally = Tally()
    for value, group in zip(values, groups, strict=True):
        tally.add(value, group)
    return tally.row()


def summarise(samples: Iterable[Sample], scores: Iterable[Score]) -> dict[str, Any]:
    """Mean, interval and counts of faults of scores.

    Args:
        samples: the items.
        scores: one for each item, in the same order; unjudged ones are counted, never averaged.

    Returns:
        {n, mean, low, high, clusters, unparsed, refused, truncated, unjudged, and errors if there are any}
    """
    tally = Tally()
    for sample, score in zip(samples, scores, strict=True):
        tally.add(score.value, clusters.of(sample), score.status)
    return tally.summary()


def clip(value: float, bounds: tuple[float, float] | None) -> float:
    """Clip a number to bounds.

    Args:
        value: any number.
        bounds: (low, high); None: unbounded.

    Returns:
        the nearest number within the bounds
    """
    return value if bounds is None else min(bounds[1], max(bounds[0], value))


def finite(value: float) -> float | None:
    """Replace infinities and NaN, which JSON does not have.

    Args:
        value: any number.

    Returns:
        the number, or None
    """
    return value if math.isfinite(value) else None
