"""Med-RwR's rewards (arXiv 2510.18303): R = w_f f + w_a a + w_q q + w_c c, weights 1, 5, 0.4 and 5.

    f   format: 1 when the conversation is of the grammar, 1 more when it retrieved and is right
    a   accuracy: value of the task's scorer
    q   query: |S_Q n S_G| / |S_Q| + |S_K n S_G| / |S_K|, the entities of query, retrieved text and gold, each
        linked to the tree
    c   confidence gain: log [pi(gold | with retrieved text) / pi(gold | without)], at most `most_gain` in
        either direction

docs/agentic.md lists where the official code departs from this, and what we do where the paper is silent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from medxiaohe.errors import ConfigError
from medxiaohe.rewards.hybrid import Reward
from medxiaohe.types import Score

RIGHT = 0.5  # accuracy from which an answer counts as right


@dataclass(frozen=True)
class RwrWeights:
    """Weights of the paper. `most_gain` bounds the log ratio in nats (the paper does not); 0: no bound."""

    format: float = 1.0
    accuracy: float = 5.0
    query: float = 0.4
    confidence: float = 5.0
    most_gain: float = 1.0

    def __post_init__(self) -> None:
        if (
            min(self.format, self.accuracy, self.query, self.confidence, self.most_gain) < 0
            or not self.accuracy
        ):
            raise ConfigError(
                "the weights of the reward rwr must be at least 0, and that of accuracy above 0"
            )


@dataclass(frozen=True)
class Seen:
    """Observations of a conversation that the reward depends on."""

    conforms: bool
    retrieved: bool
    query_entities: Collection[str] = ()
    retrieved_entities: Collection[str] = ()
    gold_entities: Collection[str] = ()
    similarity: float | None = None  # of the image and the queries, with an encoder of both; None: without
    gain: float | None = None  # log ratio in nats; None: nothing was retrieved, or no gold


def rwr(score: Score, seen: Seen, weights: RwrWeights | None = None) -> Reward:
    """Reward R of one conversation, with its parts.

    Args:
        score: of the answer, by the task's scorer.
        seen: form of the conversation, entities of what it retrieved, and the gain of confidence.
        weights: of the four parts; None: those of the paper.

    Returns:
        the weighted sum with its parts, rounded to 4 places in the log; total None where the scorer could not
        judge
    """
    weights = weights or RwrWeights()
    if score.value is None:
        return Reward(None, None, "unjudged", why=f"{score.name}: {score.why}")
    # f: the grammar, and 1 more for a right answer that retrieved
    right = score.value >= RIGHT
    parts = {
        "format": float(seen.conforms) + float(seen.conforms and seen.retrieved and right),
        "accuracy": score.value,
    }
    # q: precision of the query's and of the retrieved entities, plus the similarity of image and query
    if seen.retrieved:
        parts["query"] = overlap(seen.query_entities, seen.gold_entities) + overlap(
            seen.retrieved_entities, seen.gold_entities
        )
        parts["query"] += seen.similarity or 0.0
        # c: log ratio in nats, clipped to [-most_gain, most_gain]
        if seen.gain is not None:
            parts["confidence"] = (
                max(-weights.most_gain, min(weights.most_gain, seen.gain)) if weights.most_gain else seen.gain
            )
    total = sum(getattr(weights, name) * value for name, value in parts.items())
    return Reward(
        total, score.value, score.status, {name: round(value, 4) for name, value in parts.items()}, score.why
    )


def overlap(entities: Collection[str], gold: Collection[str]) -> float:
    """Share of entities that are of the gold: |entities n gold| / |entities|.

    Args:
        entities: ids of those of a query or of retrieved text.
        gold: ids of entities of the gold.

    Returns:
        from 0 to 1; 0 for no entities
    """
    ids, gold_ids = set(entities), set(gold)
    return len(ids & gold_ids) / len(ids) if ids else 0.0
