"""From a sample and a trace to scores, and from scores to a mean with its interval."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from medxiaohe.evals import clusters, stats
from medxiaohe.evals.clusters import Units
from medxiaohe.types import Message, Sample, Score, Task, Trace

FAULTS = ("unparsed", "refused", "unjudged")


def judge(task: Task, sample: Sample, trace: Trace) -> list[Score]:
    return [scorer(sample, trace) for scorer in task.scorers]


def judge_all(task: Task, samples: Sequence[Sample], traces: Sequence[Trace]) -> list[list[Score]]:
    """The scores of each trace; a scorer with a method `many` (a judge that batches) gets all of them at once."""
    columns = []
    for scorer in task.scorers:
        pairs = list(zip(samples, traces, strict=True))
        columns.append(list(scorer.many(pairs)) if hasattr(scorer, "many") else [scorer(sample, trace) for sample, trace in pairs])
    return [list(row) for row in zip(*columns, strict=True)]


def said(sample: Sample, answer: str) -> Trace:
    """What a model would have left that answered just this."""
    return Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))


@dataclass
class Tally:
    """Values of items as they come: a mean is over the judged, unparsed and refused; the unjudged are only counted."""

    values: array[float] = field(default_factory=lambda: array("d"))
    clusters: list[Units] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    def add(self, value: float | None, group: Units, status: str = "judged") -> None:
        self.statuses[status] += 1
        if value is not None:
            self.values.append(value)
            self.clusters.append(group)

    def row(self) -> dict[str, Any]:
        """{n, mean, low, high, clusters}; nothing was judged: None."""
        if not self.values:
            return {"n": 0, "mean": None, "low": None, "high": None, "clusters": 0}
        e = stats.estimate(self.values, clusters.joined(self.clusters))
        return {"n": e.n, "mean": e.mean, "low": finite(e.low), "high": finite(e.high), "clusters": e.clusters}

    def summary(self) -> dict[str, Any]:
        return self.row() | {status: self.statuses[status] for status in FAULTS}


def interval(values: Sequence[float], groups: Sequence[Units]) -> dict[str, Any]:
    tally = Tally()
    for value, group in zip(values, groups, strict=True):
        tally.add(value, group)
    return tally.row()


def summarise(samples: Iterable[Sample], scores: Iterable[Score]) -> dict[str, Any]:
    """Mean and interval of the judged, unparsed and refused together; the unjudged are counted, never averaged."""
    tally = Tally()
    for sample, score in zip(samples, scores, strict=True):
        tally.add(score.value, clusters.of(sample), score.status)
    return tally.summary()


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
