"""Sample several answers to each prompt and score them: the basis of prompt selection and rejection sampling.

Answers are drawn with the seeds 0, 1, ... of the transformers backend, a chunk of prompts at a time; a
finished chunk is on disk and is not drawn again after a kill.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.backends.transformers import transformers
from medxiaohe.recipe.settings import HOW, decisive
from medxiaohe.tasks import make
from medxiaohe.train.loop.fit import base_model, code, identity
from medxiaohe.train.rollouts import answer_rewards
from medxiaohe.train.rollouts.answer_rewards import Rewarding, RewardSettings
from medxiaohe.train.rollouts.prompt_tasks import ScoresPrompts
from medxiaohe.types import Sample

CHUNK = 64  # prompts; a finished chunk is on disk and is not asked again


@dataclass(frozen=True)
class DrawSettings(ScoresPrompts):
    """`draws` answers to each prompt; a prompt outside of `sources` and of the limits on words is not
    asked."""

    model: str = ""
    draws: int = 8  # answers to each prompt
    temperature: float = 1.0
    max_new_tokens: int = 64
    batch_size: Annotated[int, HOW] = 32
    sources: tuple[str, ...] = ()  # names of tasks; none: all
    min_words: int = 0  # of the prompt
    max_words: int = 0  # 0: no limit
    limit: int = 0  # prompts; 0: all
    right: float = 0.5  # an answer that earns at least so much is right
    reward: RewardSettings = field(default_factory=RewardSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1 or self.temperature <= 0 or not 0 < self.right <= 1:
            raise ConfigError("draws must be at least 1, temperature above 0 and right between 0 and 1")


@dataclass(frozen=True)
class Drawn:
    """A prompt with its answers; `rewards` has None for an answer that could not be judged."""

    sample: Sample
    answers: tuple[str, ...]
    rewards: tuple[float | None, ...]
    statuses: tuple[str, ...]

    def accuracy(self, right: float) -> float | None:
        """Compute the share of the judged answers that are right.

        Args:
            right: reward from which an answer is right.

        Returns:
            From 0 to 1; None when no answer was judged.
        """
        judged = [reward for reward in self.rewards if reward is not None]
        return sum(reward >= right for reward in judged) / len(judged) if judged else None


def draw(
    settings: DrawSettings, out: Path, data: Path, model: Path | None, tree: Path | None, label: str
) -> list[Drawn]:
    """Sample answers of the model to `prompts.jsonl` of a stage, and score them; finished chunks are not
    redrawn.

    Args:
        settings: draws, temperature, limits on prompts, and the reward.
        out: folder of the stage.
        data: folder with prompts.jsonl.
        model: folder of a training stage; None: `settings.model`.
        tree: folder of a built tree, for tasks and rewards that need one.
        label: name of the stage in messages.

    Returns:
        The prompts that the settings select, in order, with `draws` answers each.

    Raises:
        DataError: the limits leave no prompt.
    """
    base = base_model(settings, model)
    samples = wanted(list(io.read_samples(data / "prompts.jsonl")), settings)
    key = [
        label,
        decisive(settings),
        io.content(data, "prompts.jsonl"),
        identity(base),
        code(),
        answer_rewards.code(settings.reward.rules),
    ]
    file = io.scratch(out, key) / "draws.jsonl"
    io.drop_torn_line(file)
    rows = list(io.read_jsonl(file)) if file.exists() else []
    earned = Rewarding(
        {name: make(name, tree, from_data=True) for name in sorted({sample.source for sample in samples})},
        settings.reward,
        tree,
    )
    meter = progress.Meter(label, len(samples))
    meter.advance(len(rows))
    engine = None
    with earned.judge(tree):
        for start in range(len(rows), len(samples), CHUNK):
            engine = engine or transformers(
                base, settings.batch_size, settings.max_new_tokens, settings.temperature, settings.seed
            )
            chunk = samples[start : start + CHUNK]
            new = _answers(engine, chunk, settings, earned)
            io.append_jsonl(file, new)
            rows += new
            meter.advance(len(chunk))
    meter.close()
    return [
        Drawn(s, tuple(r["answers"]), tuple(r["rewards"]), tuple(r["statuses"]))
        for s, r in zip(samples, rows, strict=True)
    ]


def wanted(samples: Sequence[Sample], settings: DrawSettings) -> list[Sample]:
    """Select the samples that the settings ask for.

    Args:
        samples: of prompts.jsonl.
        settings: sources, min_words and max_words of the prompt, limit.

    Returns:
        Samples in their order.

    Raises:
        DataError: none is left.
    """
    results = [sample for sample in samples if not settings.sources or sample.source in settings.sources]
    sizes = {
        sample.id: len(" ".join(message.text for message in sample.prompt.messages).split())
        for sample in results
    }
    most = settings.max_words or max(sizes.values(), default=0)
    results = [sample for sample in results if settings.min_words <= sizes[sample.id] <= most]
    if not results:
        sources = Counter(sample.source for sample in samples)
        raise DataError(
            f"none of {len(samples)} prompts ({dict(sources)}) is left by sources, min_words and max_words:"
            " loosen them"
        )
    return results[: settings.limit or None]


def _answers(
    engine: Any, samples: Sequence[Sample], settings: DrawSettings, earned: Rewarding
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"id": sample.id, "answers": [], "rewards": [], "statuses": []} for sample in samples
    ]
    for number in range(settings.draws):
        # runs with different `seed` share no seed of a draw, up to 1000 draws
        replies = engine.with_seed(settings.seed * 1000 + number).reply(
            [sample.prompt.messages for sample in samples]
        )
        answers = [reply.text for reply in replies]
        for row, answer, reward in zip(rows, answers, earned.of(samples, answers), strict=True):
            row["answers"].append(answer)
            row["rewards"].append(reward.total)
            row["statuses"].append(reward.status)
    return rows
