"""Rubrics beside a task's own scorer: static ones for every item, dynamic ones for single items (MedXIAOHE).

They are the second layer of the paper. Both are HealthBench's formula clipped to [0, 1] (scoring/rubric.py)
and ask the judge of the run in batches; an abstention leaves the score unjudged. Rows are (criterion,
points); negative points take away. In a file, one item a line:

    {"sample": "task/1", "criteria": [{"text": "...", "points": 5}]}

The line without "sample" is the static rubric.
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
    """A scorer by criteria: `always` for every item, `by_sample` by id; scores are those of rubric.clipped.

    `name` distinguishes it from other scorers in the log.
    """

    name: str
    always: Rows = ()
    by_sample: Mapping[str, Rows] = field(default_factory=dict)
    kind = "rubric"  # kind of question for the judge (scoring/judges/use.py)

    def has(self, sample: Sample) -> bool:
        """Whether there is a criterion for a sample.

        Args:
            sample: the item.

        Returns:
            True if the rubric can score it
        """
        return bool(self.rows(sample))

    def rows(self, sample: Sample) -> Rows:
        """Criteria for a sample.

        Args:
            sample: the item.

        Returns:
            (criterion, points), the static ones first
        """
        return (*self.always, *self.by_sample.get(sample.id, ()))

    def with_rubric(self, sample: Sample) -> Sample:
        """Replace the target of a sample by these criteria.

        Args:
            sample: the item.

        Returns:
            the sample as rubric.clipped reads it

        Raises:
            DataError: there is no criterion with positive points for it.
        """
        result = replace(sample, target=to_target(self.rows(sample)))
        criteria(result)
        return result

    def __call__(self, sample: Sample, trace: Trace) -> Score:
        return self.many([(sample, trace)])[0]

    def many(self, pairs: Sequence[tuple[Sample, Trace]]) -> list[Score]:
        """Score several answers; the judge is called with all of them in one batch.

        Args:
            pairs: (item, trace with the answer).

        Returns:
            one score from 0 to 1 for each pair, in order; unjudged where the judge abstained

        Raises:
            DataError: a sample has no criterion with positive points.
        """
        return clipped.many([(self.with_rubric(sample), trace) for sample, trace in pairs])


def read(path: Path) -> Rubric:
    """Read the rubrics of a .jsonl file.

    Args:
        path: JSON lines {sample, criteria: [{text, points}]}; without `sample`: for every item.

    Returns:
        one scorer of the name "rubrics"; of two lines for a sample the last counts, static lines add up

    Raises:
        DataError: a line has another form; the message names it.
    """
    always: list[tuple[str, float]] = []
    by_sample: dict[str, Rows] = {}
    for number, row in enumerate(io.read_jsonl(path), 1):
        try:
            rows = tuple(
                (criterion.text, criterion.points)
                for criterion in criteria(Sample("", (), json.dumps({"criteria": row["criteria"]})))
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


def in_use(failed: Mapping[str, int], judged: Mapping[str, int], least: float = 0.05) -> frozenset[str]:
    """Criteria that answers still fail often enough to learn from.

    A dynamic criterion is added when answers often fail it and dropped when hardly any fails it any more
    (Baichuan-M3, 3.2.1). Counts come from the `why` of rollouts.jsonl or from a judge run over old answers.

    Args:
        failed: criterion -> number of answers that failed it.
        judged: criterion -> number of answers that were judged by it.
        least: least failure rate, from 0 to 1, of a criterion that stays in use.

    Returns:
        the criteria whose failure rate is at least that
    """
    return frozenset(text for text, count in judged.items() if count and failed.get(text, 0) / count >= least)
