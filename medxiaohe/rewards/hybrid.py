"""The layered hybrid reward (MedXIAOHE): R = gate * (c + s), correctness c and process and form s.

    c       the weighted mean of rule and rubric scorers, in [0, 1], rounded to whole steps; None when one of
            them is unjudged
    gate    0 when a safety rule reports a critical violation: the total is then exactly 0
    s       process and shaping, less than half a step of c in either direction; 0 for an answer whose c is 0

So a violation earns exactly 0; a wrong, refused or unparsed answer earns exactly 0; and no form makes a worse
answer beat a better one. The paper states the layers and these properties, and gives neither formula nor
weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from medxiaohe.errors import ConfigError
from medxiaohe.rewards import process, safety, shaping
from medxiaohe.rewards.steps import ALL_OR_NOTHING, step, whole_steps
from medxiaohe.scoring._answer import outside_thoughts
from medxiaohe.types import Message, Sample, Score, Scorer, Trace

# A reply that leaves another answer open, although a parser of single answers may read one out of it.
HEDGE = re.compile(
    r"\bor(?: maybe| perhaps| possibly)? (?:something|anything|somewhere) else\b"
    r"|\bor(?: maybe| perhaps| possibly)? (?:another|any other|one of the other|the other) ?"
    r"(?:one|answer|option|choice|diagnosis|disease|condition|drug|dose|value|number|code)?s?(?=\W*(?:$|[.,;\n]))"
    r"|\bi(?: am|'m) (?:not |un)(?:sure|certain)\b|\bi (?:do not|don't) know\b|\bjust (?:a guess|guessing)\b"
    r"|\b(?:hard|difficult|impossible) to (?:say|tell)\b|不确定|不好说|或者?其他|不知道",
    re.IGNORECASE,
)
PARTS = ("constraint_coverage", "logical_robustness", "exploration_depth", "format", "length")
ROOM = 0.49  # of a step: form may move the reward by less than half of it


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of s, and `shaping`, the most that s may move the reward."""

    shaping: float = 0.1
    constraint_coverage: float = 1.0
    logical_robustness: float = 1.0
    exploration_depth: float = 1.0
    format: float = 1.0
    length: float = 1.0
    target_words: int = 400  # a longer answer loses its share of `length`, all of it at twice as many words
    gate: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.shaping < 0.5:
            raise ConfigError(
                "shaping must be at least 0 and below 0.5, so that form never outweighs a right answer, not"
                f" {self.shaping}"
            )
        if min(self.of_parts().values()) < 0 or self.target_words < 1:
            raise ConfigError("the weights of a reward must be at least 0, and target_words at least 1")

    def of_parts(self) -> dict[str, float]:
        """Weights of process and form by name.

        Returns:
            one entry for each of PARTS
        """
        return {name: getattr(self, name) for name in PARTS}


@dataclass(frozen=True)
class Reward:
    """A reward and its parts for the log; a `total` of None (a judge failed) is left out of training."""

    total: float | None
    correct: float | None
    status: str = "judged"  # that of the first score that has another, or "unsafe"
    parts: dict[str, float] = field(default_factory=dict)
    why: str = ""


def answered(sample: Sample, reply: str) -> Trace:
    """Trace of one reply to the prompt of a sample.

    Args:
        sample: the item.
        reply: text of the answer.

    Returns:
        the messages of the prompt and one assistant message
    """
    return Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (reply,))))


Weighted = Sequence[tuple[Scorer, float]]


def hybrid(
    sample: Sample,
    trace: Trace,
    scorers: Weighted,
    weights: Weights | None = None,
    rules: Sequence[safety.Rule] | None = None,
) -> Reward:
    """Hybrid reward of one answer.

    Args:
        sample: the item.
        trace: with the answer.
        scorers: (scorer, weight above 0); their weighted mean is correctness.
        weights: of process and form, and whether the gate is on; None: the defaults.
        rules: of the safety gate; None: those of rewards/safety.py.

    Returns:
        total from 0 to below 1 + half a step, with its parts; None where a scorer could not judge

    Raises:
        ConfigError: there are no scorers, or a weight is not above 0.
    """
    return hybrid_many([(sample, trace)], scorers, weights, rules)[0]


def hybrid_many(
    pairs: Sequence[tuple[Sample, Trace]],
    scorers: Weighted,
    weights: Weights | None = None,
    rules: Sequence[safety.Rule] | None = None,
) -> list[Reward]:
    """Hybrid rewards of several answers; a scorer with a judge is called once for all that pass the gate.

    Args:
        pairs: (item, trace with the answer).
        scorers: (scorer, weight above 0); their weighted mean is correctness.
        weights: of process and form, and whether the gate is on; None: the defaults.
        rules: of the safety gate; None: those of rewards/safety.py.

    Returns:
        one reward for each pair, in order

    Raises:
        ConfigError: there are no scorers, or a weight is not above 0.
    """
    if not scorers or any(not weight > 0 for _, weight in scorers):
        raise ConfigError("a reward needs scorers, each with a weight above 0")
    weights = weights or Weights()
    # gate: answers with a violation are not scored
    broken = [safety.violations(*pair, rules) if weights.gate else () for pair in pairs]
    judged = [pair for pair, violations in zip(pairs, broken, strict=True) if not violations]
    # one column of scores for each scorer, transposed to one row for each answer
    columns = [_scores(scorer, judged) for scorer, _ in scorers]
    rows = iter(zip(*columns, strict=True))
    return [
        (
            Reward(0.0, None, "unsafe", why=f"unsafe: {violations[0]}")
            if violations
            else _reward(*pair, next(rows), scorers, weights)
        )
        for pair, violations in zip(pairs, broken, strict=True)
    ]


def _scores(scorer: Scorer, pairs: Sequence[tuple[Sample, Trace]]) -> list[Score]:
    scores = list(scorer.many(pairs)) if hasattr(scorer, "many") else [scorer(*pair) for pair in pairs]
    return [_committed(score, trace) for score, (_, trace) in zip(scores, pairs, strict=True)]


def _committed(score: Score, trace: Trace) -> Score:
    """The score, or 0 for a single answer that the reply takes back ("or something else")."""
    if (
        score.value
        and score.name in ALL_OR_NOTHING
        and (hedge := HEDGE.search(outside_thoughts(trace.answer)))
    ):
        return Score(
            score.name, 0.0, "unparsed", score.parsed, f"{hedge.group()!r} leaves another answer open"
        )
    return score


def _reward(
    sample: Sample, trace: Trace, scores: Sequence[Score], scorers: Weighted, weights: Weights
) -> Reward:
    if lost := [score for score in scores if score.value is None]:
        return Reward(None, None, "unjudged", why=f"{lost[0].name}: {lost[0].why}")
    status = next((score.status for score in scores if score.status != "judged"), "judged")
    why = "; ".join(f"{score.name} {score.value:g}: {score.why[:80]}" for score in scores)
    shares = [weight for _, weight in scorers]
    # c, the weighted mean in whole steps
    size = step([getattr(scorer, "with_rubric", _same)(sample) for scorer, _ in scorers], scores, shares)
    correct = whole_steps([score.value or 0.0 for score in scores], shares, size)
    if correct == 0:
        return Reward(0.0, 0.0, status, why=why)
    # s: signed mean of process and form in [-1, 1], times less than half a step
    parts = {**process.parts(sample, trace), **shaping.parts(trace, weights.target_words)}
    room = min(weights.shaping, ROOM * float(size))
    return Reward(
        float(correct) + room * _signed_mean(parts, weights.of_parts()), float(correct), status, parts, why
    )


def _same(sample: Sample) -> Sample:
    return sample


def _signed_mean(parts: dict[str, float], weights: dict[str, float]) -> float:
    """Weighted mean of the parts, mapped from [0, 1] to [-1, 1]; parts that do not apply are left out."""
    share = sum(weights[name] for name in parts)
    return sum((2 * value - 1) * weights[name] for name, value in parts.items()) / share if share else 0.0
