"""The answers on offer: what a model chooses from when it is asked by likelihood instead of by generation.

They follow from the kind of the task, which its example shows, and from the options a sample offers; never
from the gold of the item, which this file does not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.types import Model, Sample, Task

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def candidates(task: Task) -> Callable[[Sample], tuple[str, ...]] | None:
    """How to list the answers on offer to a sample of this task, or None where answers are free text."""
    example = task.example
    if task.tools or task.workflow != "answer":
        return None
    lettered = len(example.target) == 1 and example.target in LETTERS[: len(example.choices)]
    if lettered and example.target not in example.choices:
        return lambda sample: tuple(LETTERS[: len(sample.choices)])
    if example.target.casefold() in ("yes", "no", "maybe"):
        return lambda sample: (
            ("Yes", "No", "Maybe") if "maybe" in map(str.casefold, sample.choices) else ("Yes", "No")
        )
    if example.choices and example.target in example.choices:
        return lambda sample: sample.choices
    return None


def can_rank(engine: Model) -> bool:
    return hasattr(engine, "choice_nats")


def needed(task: Task, engine: Model) -> Callable[[Sample], tuple[str, ...]]:
    """The same, or ConfigError where this model or this task cannot be asked by likelihood."""
    if not can_rank(engine):
        raise ConfigError(
            f"the backend of {engine.name} gives no likelihoods: use transformers, or leave out mode rank"
        )
    offered = candidates(task)
    if offered is None:
        raise ConfigError(
            f"the task {task.name} has no fixed answer options: it cannot be ranked, only generated"
        )
    return offered


def nats(
    engine: Any, samples: list[Sample], offered: Callable[[Sample], tuple[str, ...]]
) -> list[list[float]]:
    """Of each sample, the negative log-likelihood of each answer on offer, the end of the turn included."""
    found = engine.choice_nats(
        [sample.prompt.messages for sample in samples], [offered(sample) for sample in samples]
    )
    return [[round(value, 6) for value in row] for row in found]
