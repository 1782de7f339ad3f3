"""Answer options of a task, for scoring by likelihood in place of generation (lm-eval multiple_choice).

They follow from the kind of the task, which its example shows, and from the options of a sample; never
from the gold of the item, which this file does not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.types import Model, Sample, Task

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def candidates(task: Task) -> Callable[[Sample], tuple[str, ...]] | None:
    """Find how to list the answer options of the samples of a task.

    Args:
        task: of which the example and the workflow are read.

    Returns:
        sample -> its options (letters, yes and no, or texts); None for free text and for tasks with tools or
        a workflow
    """
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
    """Whether a model can score answer options by likelihood.

    Args:
        engine: the model.

    Returns:
        True if its backend has `choice_nats`
    """
    return hasattr(engine, "choice_nats")


def needed(task: Task, engine: Model) -> Callable[[Sample], tuple[str, ...]]:
    """Answer options of a task, required.

    Args:
        task: of which the example and the workflow are read.
        engine: the model that will score them.

    Returns:
        sample -> its options

    Raises:
        ConfigError: the backend of the model gives no likelihoods, or the task has no fixed options.
    """
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
    """Negative log-likelihood of each answer option, the end of the turn included.

    Args:
        engine: model with `choice_nats`.
        samples: items.
        offered: sample -> its options.

    Returns:
        for each sample one value in nats for each option, rounded to 6 places
    """
    values = engine.choice_nats(
        [sample.prompt.messages for sample in samples], [offered(sample) for sample in samples]
    )
    return [[round(value, 6) for value in row] for row in values]
