"""Example answers: which items are shown, by a rule that cannot flatter, and what every stage said about
them.

Items fall into outcomes by what the first and the last examined stage made of them. Of every outcome
of every task the items with the smallest hash of their id are shown: nobody chose them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medxiaohe import io
from medxiaohe.pages.sections.artefacts import Run, StageFolder
from medxiaohe.types import Sample, Trace

OUTCOMES = {
    "fixed": "wrong at first, right at the end",
    "broken": "right at first, wrong at the end",
    "still wrong": "wrong at first and at the end",
    "unparsed": "no usable answer at the end: none could be read, or the model refused",
    "right throughout": "right at first and at the end",
    "unjudged": "the judge failed at the end",
    "no answer": "the server of the model failed at the end",
}
RIGHT = 0.5  # a score of at least this counts as right when items are sorted into outcomes


@dataclass(frozen=True)
class Judgement:
    """The first score of one trace, as the page tells it."""

    name: str
    value: float | None
    status: str
    parsed: str
    why: str

    @property
    def verdict(self) -> str:
        """Verdict in a word.

        Returns:
            right (score 1), wrong (0), `0.50 of 1` between them, else the status: unparsed, refused,
            truncated, unjudged, error.
        """
        if self.status != "judged" or self.value is None:
            return self.status if self.status != "judged" else "unjudged"
        return "right" if self.value >= 1 else "wrong" if self.value <= 0 else f"{self.value:.2f} of 1"

    @property
    def good(self) -> bool:
        """Whether the answer counts as right in `OUTCOMES`.

        Returns:
            True if the score is at least `RIGHT`; False also without a score.
        """
        return self.value is not None and self.value >= RIGHT


@dataclass(frozen=True)
class Example:
    """An item with the answers of all evaluated stages."""

    task: str
    outcome: str
    sample: Sample
    # stage label -> what it said
    answers: Mapping[str, tuple[Trace, Judgement]] = field(default_factory=dict)


def judgement(scores: Sequence[Mapping[str, Any]]) -> Judgement:
    """Read the verdict of a trace from its scores.

    Args:
        scores: of a row of traces.jsonl; the first is the primary scorer.

    Returns:
        the judgement; without scores it is unjudged.
    """
    row: Mapping[str, Any] = scores[0] if scores else {"value": None, "status": "unjudged"}
    name, parsed, why = (str(row.get(key) or "") for key in ("name", "parsed", "why"))
    return Judgement(name, row.get("value"), row.get("status", "judged"), parsed, why)


def outcome(first: Judgement, last: Judgement) -> str:
    """Classify an item by its first and its last evaluation.

    Args:
        first: judgement of the first evaluated stage.
        last: judgement of the last one.

    Returns:
        a key of `OUTCOMES`.
    """
    if last.status in ("unparsed", "refused", "truncated"):
        return "unparsed"
    if last.status == "error":
        return "no answer"
    if last.verdict == "unjudged":
        return "unjudged"
    if last.good:
        return "right throughout" if first.good else "fixed"
    return "broken" if first.good else "still wrong"


def find(run: Run, per_outcome: int) -> tuple[list[Example], dict[str, dict[str, int]]]:
    """Select example answers: of each task and outcome, the items with the smallest hash of their id.

    Args:
        run: with evaluations.
        per_outcome: number of examples of each.

    Returns:
        the examples, and task -> outcome -> number of all items.
    """
    if not run.examined:
        return [], {}
    first, last = _judgements(run.examined[0]), _judgements(run.examined[-1])
    groups: dict[tuple[str, str], list[str]] = {}
    for key, judged in last.items():
        if key in first:
            groups.setdefault((key[0], outcome(first[key], judged)), []).append(key[1])
    counts: dict[str, dict[str, int]] = {}
    requested: dict[tuple[str, str], str] = {}
    for (task, name), ids in sorted(
        groups.items(), key=lambda item: (item[0][0], list(OUTCOMES).index(item[0][1]))
    ):
        counts.setdefault(task, {})[name] = len(ids)
        for id in sorted(ids, key=lambda id: (io.unit_interval(task, id), id))[:per_outcome]:
            requested[task, id] = name
    return _collect(run, requested), counts


def _judgements(stage: StageFolder) -> dict[tuple[str, str], Judgement]:
    rows = io.read_jsonl(stage.folder / "traces.jsonl")
    return {(str(row["task"]), str(row["sample"]["id"])): judgement(row.get("scores") or ()) for row in rows}


def _collect(run: Run, requested: Mapping[tuple[str, str], str]) -> list[Example]:
    samples: dict[tuple[str, str], Sample] = {}
    answers: dict[tuple[str, str], dict[str, tuple[Trace, Judgement]]] = {key: {} for key in requested}
    for stage in run.examined:
        for row in io.read_jsonl(stage.folder / "traces.jsonl"):
            key = (str(row["task"]), str(row["sample"]["id"]))
            if key in requested:
                samples.setdefault(key, io.sample_from_json(row["sample"]))
                answers[key][stage.label] = (
                    io.trace_from_json(row["trace"]),
                    judgement(row.get("scores") or ()),
                )
    return [
        Example(task, name, samples[task, id], answers[task, id]) for (task, id), name in requested.items()
    ]
