"""Rubrics beside a task's own scorer: static ones for every item, dynamic ones for single items (MedXIAOHE,
second layer).

    static(rows)      the same criteria for every answer: the quality of a domain, the experience of a user
    dynamic(rows_of)  criteria of their own for each sample id; `dynamic.has(sample)` says whether there are
                      any

Both are HealthBench's formula clipped to [0, 1] (scoring/rubric.py) and ask the judge of the run in batches;
an abstention leaves the score unjudged. Rows are (criterion, points); negative points take away. In a file,
one item a line: {"sample": "task/1", "criteria": [{"text": "...", "points": 5}]}; the line without "sample"
is the static rubric.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.rubric import clipped, criteria, to_target
from medxiaohe.types import Sample, Score, Trace

Rows = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Rubric:
    """A scorer. `name` keeps it apart from others in the log; its Score is that of rubric.clipped."""

    name: str
    always: Rows = ()
    by_sample: Mapping[str, Rows] = field(default_factory=dict)
    kind = "rubric"  # what the judge is asked as, see scoring/judges/use.py

    def has(self, sample: Sample) -> bool:
        """Whether there is a criterion for the sample."""
        return bool(self.rows(sample))

    def rows(self, sample: Sample) -> Rows:
        """(criterion, points) for the sample: the static ones first."""
        return (*self.always, *self.by_sample.get(sample.id, ()))

    def with_rubric(self, sample: Sample) -> Sample:
        """The sample with these criteria as its target; DataError when it has none."""
        found = replace(sample, target=to_target(self.rows(sample)))
        criteria(found)
        return found

    def __call__(self, sample: Sample, trace: Trace) -> Score:
        return self.many([(sample, trace)])[0]

    def many(self, pairs: Sequence[tuple[Sample, Trace]]) -> list[Score]:
        """Scores of several answers; the judge is asked about all of them at once."""
        return clipped.many([(self.with_rubric(sample), trace) for sample, trace in pairs])


def read(path: Path) -> Rubric:
    """The rubrics of a .jsonl file. DataError names the line that is none.

    Args:
        path: JSON lines {sample, criteria: [{text, points}]}; without `sample`: for every item.

    Returns:
        the rubrics

    Raises:
        DataError: a line has another form.
    """
    always: list[tuple[str, float]] = []
    by_sample: dict[str, Rows] = {}
    for number, row in enumerate(io.read_jsonl(path), 1):
        try:
            rows = tuple(
                (one.text, one.points)
                for one in criteria(Sample("", (), json.dumps({"criteria": row["criteria"]})))
            )
        except (KeyError, DataError) as error:
            raise DataError(
                f'{path}:{number}: a rubric is {{"sample": ID, "criteria": [{{"text": ..., "points": 5}}]}}'
            ) from error
        if "sample" in row:
            by_sample[str(row["sample"])] = rows
        else:
            always += rows
    return Rubric("rubrics", tuple(always), by_sample)


def in_use(failed: Mapping[str, int], asked: Mapping[str, int], least: float = 0.05) -> frozenset[str]:
    """Criteria that answers still fail often enough to teach something: at least `least` of those asked.

    A dynamic criterion is taken in when answers often fail it and dropped when hardly any does any more
    (Baichuan-M3, 3.2.1). Counts come from the `why` of rollouts.jsonl or from a judge run over old answers.

    Args:
        failed: criterion -> answers that failed it.
        asked: criterion -> answers that were judged by it.
        least: least share of failures of a criterion that is kept.

    Returns:
        criteria to keep
    """
    return frozenset(text for text, count in asked.items() if count and failed.get(text, 0) / count >= least)
