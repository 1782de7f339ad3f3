"""Stage: rejection sampling (RFT): answers of the model that are right become rows to fine-tune on.

    instructions.jsonl   prompts with a right answer of the model's own, and the replayed rows of the mixture,
                         for train.sft
    rft.jsonl            {id, source, accuracy, right, taken} of every prompt that was asked

Rare successes are what there is to learn: a prompt that is right more often than `rare` is left out, and of
one prompt at most `most` different answers are taken. The paper says to distil rare successes back, and gives
no thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.train.loop.contamination_check import carry
from medxiaohe.train.loop.replay import with_old
from medxiaohe.train.rollouts.sampled_answers import Drawn, DrawSettings, draw
from medxiaohe.types import Message, Sample


@dataclass(frozen=True)
class RftSettings(DrawSettings):
    draws: int = 16  # answers to each prompt
    rare: float = 0.5  # a prompt with a greater share of right answers is left out
    most: int = 2  # different answers of one prompt
    # rows of the mixture's instructions for each new row, so that nothing else is forgotten
    replay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rare <= 1 or self.most < 1 or self.replay < 0:
            raise ConfigError("rare must be above 0 and at most 1, most at least 1, replay at least 0")


def rft(
    settings: RftSettings, out: Path, *, data: Path, model: Path | None = None, tree: Path | None = None
) -> dict[str, Any]:
    """Draw answers to the prompts of a mixture, keep rare right ones, and mix them with its instructions.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.
        model: folder of a training stage to start from; None: `settings.model`.
        tree: folder of a built tree, for tasks and rewards that need one.

    Returns:
        the summary of the stage: `distilled`, `replayed`, ...

    Raises:
        DataError: no prompt has a rare right answer.
    """
    drawn = draw(settings, out, data, model, tree, "rejection sampling")
    taken = {item.sample.id: list(successes(item, settings)) for item in drawn}
    rows = [row for item in drawn for row in taken[item.sample.id]]
    if not rows:
        raise DataError(
            f"none of {len(drawn)} prompts has a rare right answer: draw more often, raise `rare`, or take"
            " easier prompts"
        )
    mixed, replayed = with_old(rows, data, settings.replay, settings.seed)
    io.write_jsonl(out / "instructions.jsonl", mixed)
    carry(data, out)
    io.write_jsonl(out / "rft.jsonl", (_record(item, len(taken[item.sample.id]), settings) for item in drawn))
    return {
        "prompts": len(drawn),
        "draws": settings.draws,
        "distilled": len(rows),
        "prompts_distilled": sum(bool(rows_of_prompt) for rows_of_prompt in taken.values()),
        "replayed": replayed,
        "never_right": sum(item.accuracy(settings.right) == 0 for item in drawn),
        "left_out_as_easy": sum((item.accuracy(settings.right) or 0) > settings.rare for item in drawn),
        "unjudged": sum(item.accuracy(settings.right) is None for item in drawn),
    }


def successes(drawn: Drawn, settings: RftSettings) -> Iterator[Sample]:
    """Select the right answers of a prompt that is rarely right.

    Args:
        drawn: a prompt with its answers and rewards.
        settings: `right`, `rare` and `most`.

    Yields:
        Rows for fine-tuning, the best answer first, each text once, at most `most`.
    """
    if (drawn.accuracy(settings.right) or 0) > settings.rare:
        return
    # right answers by falling reward, each text once
    right = [
        (reward, answer)
        for reward, answer in zip(drawn.rewards, drawn.answers, strict=True)
        if reward and reward >= settings.right
    ]
    best = dict.fromkeys(answer.strip() for _, answer in sorted(right, key=lambda pair: -pair[0]))
    for number, answer in enumerate(list(best)[: settings.most]):
        messages = (*drawn.sample.prompt.messages, Message("assistant", (answer,)))
        yield replace(drawn.sample, id=f"{drawn.sample.id}/rft{number}", messages=messages)


def _record(drawn: Drawn, taken: int, settings: RftSettings) -> dict[str, Any]:
    right = sum(reward is not None and reward >= settings.right for reward in drawn.rewards)
    return {
        "id": drawn.sample.id,
        "source": drawn.sample.source,
        "accuracy": drawn.accuracy(settings.right),
        "right": right,
        "taken": taken,
    }
