"""From a sample and a trace to scores, and from scores to a mean with its interval."""

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
    return [scorer(sample, trace) for scorer in task.scorers]


def judge_all(task: Task, samples: Sequence[Sample], traces: Sequence[Trace]) -> list[Judged]:
    """What became of each trace; a scorer with a method `many` (a judge that batches) gets all of them at
    once."""
    pairs = list(zip(samples, traces, strict=True))
    found = [Judged() for _ in pairs]
    for scorer in task.scorers:
        if isinstance(scorer, JudgedScorer):
            for one, (score, verdicts) in zip(found, scorer.judged(pairs), strict=True):
                one.scores.append(score)
                one.verdicts |= {score.name: verdicts} if verdicts else {}
            continue
        scores = (
            scorer.many(pairs)
            if hasattr(scorer, "many")
            else (scorer(sample, trace) for sample, trace in pairs)
        )
        for one, score in zip(found, scores, strict=True):
            one.scores.append(score)
    return found


@dataclass
class Judged:
    """The scores of one trace, and by scorer the verdicts of the judge that they were made from."""

    scores: list[Score] = field(default_factory=list)
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """`scores`, and where a judge was asked `verdicts`: each with the digest of what was asked, and each
        reply once."""
        if not self.verdicts:
            return {"scores": self.scores}
        told = {
            name: [{"label": v.label, "why": v.why, "prompt": v.prompt, "judge": v.judge} for v in some]
            for name, some in self.verdicts.items()
        }
        replies = {v.prompt: v.reply for some in self.verdicts.values() for v in some if v.reply}
        return {"scores": self.scores, "verdicts": told, "judge_replies": replies}


def unanswered(task: Task, sample: Sample, why: str) -> Judged:
    """What becomes of an item that has no answer: a score without a value under the name of each scorer."""
    named = judge_all(task, [sample], [said(sample, "")])[0].scores  # an empty answer is shown to no judge
    return Judged([Score(score.name, None, "error", why=why) for score in named])


def failure(trace: Trace) -> str:
    """Why the model or its server gave no answer, or ""."""
    got = [*trace.messages, *(step.got for step in trace.steps)]
    return next((one.error for one in got if isinstance(one, Message) and one.error), "")


def failed(trace: Trace, why: str) -> Trace:
    """The trace up to where the model failed."""
    at = next((i for i, message in enumerate(trace.messages) if message.error), len(trace.messages))
    return replace(trace, messages=trace.messages[:at], error=why, stop="failed")


def said(sample: Sample, answer: str) -> Trace:
    """What a model would have left that answered just this."""
    return Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))


@dataclass
class Tally:
    """Values of items as they come: a mean is over the judged, unparsed, refused and truncated; the unjudged
    are only counted."""

    values: array[float] = field(default_factory=lambda: array("d"))
    clusters: list[Units] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    within: tuple[float, float] | None = None

    def add(self, value: float | None, group: Units, status: str = "judged") -> None:
        self.statuses[status] += 1
        if value is not None:
            self.values.append(value)
            self.clusters.append(group)

    def row(self) -> dict[str, Any]:
        """{n, mean, low, high, clusters}; nothing was judged: None.

        `within` clips the mean and its interval, as HealthBench does. An interval of values from 0 to 1 stays
        there.
        """
        if not self.values:
            return {"n": 0, "mean": None, "low": None, "high": None, "clusters": 0}
        e = stats.estimate(self.values, clusters.joined(self.clusters))
        bounds = self.within or ((0.0, 1.0) if min(self.values) >= 0 and max(self.values) <= 1 else None)
        mean, low, high = (clip(x, bounds) if math.isfinite(x) else None for x in (e.mean, e.low, e.high))
        return {"n": e.n, "mean": mean, "low": low, "high": high, "clusters": e.clusters}

    def summary(self) -> dict[str, Any]:
        """The row, how many items have each fault, and `errors`, items without an answer, where there are
        any."""
        errors = {"errors": self.statuses["error"]} if self.statuses["error"] else {}
        return self.row() | {status: self.statuses[status] for status in FAULTS} | errors


def interval(values: Sequence[float], groups: Sequence[Units]) -> dict[str, Any]:
    tally = Tally()
    for value, group in zip(values, groups, strict=True):
        tally.add(value, group)
    return tally.row()


def summarise(samples: Iterable[Sample], scores: Iterable[Score]) -> dict[str, Any]:
    """Mean and interval of the judged, unparsed and refused together; the unjudged are counted, never
    averaged."""
    tally = Tally()
    for sample, score in zip(samples, scores, strict=True):
        tally.add(score.value, clusters.of(sample), score.status)
    return tally.summary()


def clip(value: float, bounds: tuple[float, float] | None) -> float:
    return value if bounds is None else min(bounds[1], max(bounds[0], value))


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
