"""A reply against criteria with signed points, in the format of HealthBench (Arora et al. 2025); a judge says
which are met.

    rubric              points of the met criteria / sum of the positive points: openai/simple-evals,
                        calculate_score. It may
                        fall below 0; HealthBench then clips the mean over all items to [0, 1], and so does
                        `clipped_mean`.
    rubric.clipped      the same, each item in [0, 1]: for rewards. Its mean is not HealthBench's.
    rubric.normalised   (sum of met points - sum of negative points) / sum of |points|, always in [0, 1]
                        (Baichuan-M3, eq. 1)

Sample.target is JSON: {"criteria": [{"text": "Advises ...", "points": 5}, ...]}. One criterion without a
verdict leaves the whole score unjudged; `why` then says between which values it lies.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medxiaohe.errors import DataError
from medxiaohe.scoring._free import said
from medxiaohe.scoring.judges.prompts import told
from medxiaohe.scoring.judges.questions import Question, Verdict
from medxiaohe.scoring.judges.scorer import JudgedScorer, undecided
from medxiaohe.types import Message, Sample, Score, Trace


@dataclass(frozen=True)
class Criterion:
    """Criterion of a rubric with its points, negative for a fault."""

    text: str
    points: float


def criteria(sample: Sample) -> tuple[Criterion, ...]:
    """Read the criteria of the target.

    Args:
        sample: its target is JSON {"criteria": [{"text", "points"}]}.

    Returns:
        criteria with signed points

    Raises:
        DataError: the target is not such JSON, or no criterion has positive points.
    """
    try:
        rows = json.loads(sample.target)["criteria"]
        result = tuple(Criterion(str(row["text"]), float(row["points"])) for row in rows)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{sample.id}: the target of a rubric is JSON like {{"criteria": [{{"text": ..., "points": 5}}]}}'
        ) from error
    if not all(math.isfinite(criterion.points) and criterion.text.strip() for criterion in result) or not any(
        criterion.points > 0 for criterion in result
    ):
        raise DataError(
            f"{sample.id}: a rubric needs criteria with a text and finite points, one of them above 0"
        )
    return result


def to_target(rows: Iterable[tuple[str, float]]) -> str:
    """Write criteria as the target of a sample.

    Args:
        rows: (criterion, points); negative points are for faults.

    Returns:
        JSON that `criteria` reads
    """
    return json.dumps(
        {"criteria": [{"text": text, "points": points} for text, points in rows]}, ensure_ascii=False
    )


def official(points: Sequence[float], met: Sequence[bool]) -> float:
    """HealthBench's score of one item: sum of the met points over the sum of the positive ones; below 0 when
    faults outweigh.

    Args:
        points: of each criterion.
        met: whether the reply meets it.

    Returns:
        at most 1; may be negative
    """
    return _sum(p for p, m in zip(points, met, strict=True) if m) / _sum(p for p in points if p > 0)


def clip(points: Sequence[float], met: Sequence[bool]) -> float:
    """HealthBench's score of one item (`official`), clipped to [0, 1].

    Args:
        points: of each criterion; negative for faults.
        met: whether the reply meets it.

    Returns:
        From 0 to 1
    """
    return min(1.0, max(0.0, official(points, met)))


def normal(points: Sequence[float], met: Sequence[bool]) -> float:
    """Normalised rubric score: (met points - negative points) / sum of absolute points (Baichuan-M3, eq. 1).

    Args:
        points: of each criterion.
        met: whether the reply meets it.

    Returns:
        1 where exactly the positive criteria are met, 0 where exactly the negative ones are
    """
    worst = _sum(p for p in points if p < 0)  # score of a reply that meets exactly the faults
    return (_sum(p for p, m in zip(points, met, strict=True) if m) - worst) / _sum(abs(p) for p in points)


def clipped_mean(values: Sequence[float]) -> float:
    """HealthBench's score of a set of items: their mean, clipped to [0, 1]. A run reports it as the mean of
    `rubric`.

    Args:
        values: of each item, not clipped.

    Returns:
        from 0 to 1
    """
    return min(1.0, max(0.0, _sum(values) / len(values)))


FORMULAS = {"rubric": official, "rubric.clipped": clip, "rubric.normalised": normal}


def _questions(sample: Sample, trace: Trace) -> list[Question]:
    return [
        Question(
            "rubric",
            said(trace),
            tuple(criterion.text for criterion in criteria(sample)),
            told(sample.prompt.messages),
        )
    ]


def _score(name: str, sample: Sample, trace: Trace, verdicts: list[tuple[Verdict, ...]]) -> Score:
    rows, answers, formula = criteria(sample), verdicts[0], FORMULAS[name]
    points = [criterion.points for criterion in rows]
    lines = [
        f"{criterion.points:+g} {v.label or 'no verdict'}: {criterion.text[:80]} ({v.why[:120]})"
        for criterion, v in zip(rows, answers, strict=True)
    ]
    if problem := undecided(answers):
        # bounds of the score: every undecided criterion counts against the reply, then for it
        least, most = (
            formula(
                points,
                [
                    v.label == "met" if v.decided else (p > 0) == high
                    for p, v in zip(points, answers, strict=True)
                ],
            )
            for high in (False, True)
        )
        return Score(
            name,
            None,
            "unjudged",
            why="\n".join([f"{problem}; the score lies in {least:.3f} to {most:.3f}", *lines]),
        )
    met = [v.label == "met" for v in answers]
    parsed = f"{sum(met)} of {len(met)} met"
    return Score(
        name, formula(points, met), parsed=parsed, why="\n".join([f"judged by {answers[0].judge}", *lines])
    )


def _sum(values: Iterable[float]) -> float:
    return math.fsum(values)


rubric = JudgedScorer("rubric", "rubric", _questions, _score, mean_within=(0.0, 1.0))
clipped = JudgedScorer("rubric.clipped", "rubric", _questions, _score)
normalised = JudgedScorer("rubric.normalised", "rubric", _questions, _score)

CASE_SENSITIVE = True  # the target is JSON
EXAMPLE = Sample(
    "rubric/example",
    (
        Message("user", ("I stepped on a rusty nail. My last tetanus shot was eleven years ago. What now?",)),
        Message("assistant", ("Wash the wound with water. You need a tetanus booster.",)),
    ),
    target=to_target(
        [
            ("Advises to wash the wound with water", 4),
            ("States that a tetanus booster is needed", 6),
            ("Recommends antibiotics", -5),
        ]
    ),
)
