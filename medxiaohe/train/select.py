"""Stage: prompts for reinforcement learning on which the model is right sometimes (an SFT accuracy of
60 to 80 %).

    prompts.jsonl     the prompts that were kept, for train.rl
    selection.jsonl   {id, source, accuracy, judged, kept} of every prompt that was asked

The paper gives the band and not the number of answers behind it: with 8 draws it holds 5 and 6 of 8. Prompts
of `always` (the paper adds tool reasoning and conflicts over several turns) are kept whatever their accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.train.loop.contamination_check import carry, refuse_unchecked
from medxiaohe.train.rollouts.sampled_answers import Drawn, DrawSettings, draw


@dataclass(frozen=True)
class SelectSettings(DrawSettings):
    low: float = 0.6  # prompts answered right less often are too hard
    high: float = 0.8  # prompts answered right more often are too easy
    always: tuple[str, ...] = ()  # sources
    allow_contaminated: bool = False  # choose among prompts that were compared with no test split
    # prompts: where fewer are in the band, those nearest to it are added; always and never right ones are not
    at_least: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.low <= self.high <= 1:
            raise ConfigError(f"low and high must be shares with low <= high, not {self.low} and {self.high}")


def select(
    settings: SelectSettings, out: Path, *, data: Path, model: Path | None = None, tree: Path | None = None
) -> dict[str, Any]:
    """Ask every prompt `draws` times and keep those in the band.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.
        model: folder of a training stage to start from; None: `settings.model`.
        tree: folder of a built tree, for tasks and rewards that need one.

    Returns:
        the summary of the stage: `prompts`, `kept`, `histogram`, `too_hard`, `too_easy`

    Raises:
        DataError: no prompt is in the band.
    """
    refuse_unchecked(data, settings.allow_contaminated, "choose prompts")
    drawn = draw(settings, out, data, model, tree, "choose prompts")
    accuracies = [item.accuracy(settings.right) for item in drawn]
    selected = chosen(drawn, accuracies, settings)
    if not selected:
        seen = dict(sorted(histogram(accuracies).items()))
        raise DataError(
            f"no prompt has an accuracy of {settings.low:g} to {settings.high:g} ({seen}): widen the band, or"
            " set at_least"
        )
    carry(data, out)
    io.write_jsonl(out / "prompts.jsonl", (prompt.sample for i, prompt in enumerate(drawn) if i in selected))
    io.write_jsonl(
        out / "selection.jsonl",
        (
            {
                "id": prompt.sample.id,
                "source": prompt.sample.source,
                "accuracy": accuracy,
                "judged": sum(reward is not None for reward in prompt.rewards),
                "kept": i in selected,
            }
            for i, (prompt, accuracy) in enumerate(zip(drawn, accuracies, strict=True))
        ),
    )
    judged = [accuracy for accuracy in accuracies if accuracy is not None]
    statuses = Counter(status for item in drawn for status in item.statuses)
    return {
        "prompts": len(drawn),
        "kept": len(selected),
        "draws": settings.draws,
        "accuracy": round(sum(judged) / len(judged), 4) if judged else None,
        "too_hard": sum(accuracy < settings.low for accuracy in judged),
        "too_easy": sum(accuracy > settings.high for accuracy in judged),
        "never_right": sum(accuracy == 0 for accuracy in judged),
        "always_right": sum(accuracy == 1 for accuracy in judged),
        "unjudged": len(accuracies) - len(judged),
        "histogram": {f"{share:g}": n for share, n in sorted(histogram(judged).items())},
        "answers": dict(sorted(statuses.items())),
        "by_source": dict(sorted(Counter(drawn[i].sample.source for i in selected).items())),
    }


def chosen(drawn: Sequence[Drawn], accuracies: Sequence[float | None], settings: SelectSettings) -> set[int]:
    """Select prompts in the accuracy band, those of the sources in `always`, and the nearest where these are
    too few.

    Args:
        drawn: prompts with their answers.
        accuracies: of each prompt; None where none of its answers was judged.
        settings: band [low, high], `always`, `at_least`.

    Returns:
        Indices of the prompts. Prompts that are always or never right are not added for `at_least`.
    """
    # prompts within the band
    inside = {
        i
        for i, accuracy in enumerate(accuracies)
        if accuracy is not None and settings.low <= accuracy <= settings.high
    }
    selected = inside | {i for i, item in enumerate(drawn) if item.sample.source in settings.always}
    # distance of an accuracy from the band; 0 and 1 are left out, for equal rewards give no gradient
    away = {
        i: max(settings.low - accuracy, accuracy - settings.high)
        for i, accuracy in enumerate(accuracies)
        if accuracy is not None and i not in selected and 0 < accuracy < 1
    }
    nearest = sorted(away, key=lambda i: (away[i], i))
    return selected | set(nearest[: max(0, settings.at_least - len(selected))])


def histogram(accuracies: Sequence[float | None]) -> dict[float, int]:
    """Count prompts by accuracy, rounded to tenths.

    Args:
        accuracies: None is left out.

    Returns:
        Accuracy -> number of prompts.
    """
    return dict(Counter(round(accuracy, 1) for accuracy in accuracies if accuracy is not None))
