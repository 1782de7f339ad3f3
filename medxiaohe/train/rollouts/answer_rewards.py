"""Rewards of answers in training: the task's own first scorer, or the hybrid reward around it (MedXIAOHE)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.recipe.identity import plugin_code
from medxiaohe.recipe.settings import InputPath
from medxiaohe.rewards import rubrics, safety
from medxiaohe.rewards.hybrid import Reward, Weights, answered, hybrid_many
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.use import JudgeSettings
from medxiaohe.scoring.parsers import strict_only
from medxiaohe.types import Sample, Score, Scorer, Task, Trace


@dataclass(frozen=True)
class RewardSettings:
    """`scorer` is the task's first scorer as it is; `hybrid` adds rubrics, the safety gate, process and
    form."""

    kind: Literal["scorer", "hybrid"] = "scorer"
    weights: Weights = field(default_factory=Weights)
    rubrics: InputPath = ""  # a file of rewards/rubrics.py
    rubric_weight: float = 1.0  # the task's own scorer has 1
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    parser: str = "strict"  # how answers are read; a reward takes no other reading (scoring/parsers)
    rules: tuple[str, ...] = ()  # of the safety gate (rewards/safety.py), or file.py:function; () is all

    def __post_init__(self) -> None:
        strict_only(self.parser, "reward")
        if self.rubric_weight <= 0:
            raise ConfigError(f"rubric_weight must be above 0, not {self.rubric_weight}")
        if self.rubrics and self.kind != "hybrid":
            raise ConfigError("rubrics are part of the hybrid reward: set kind to hybrid")
        if self.rules and self.kind != "hybrid":
            raise ConfigError("safety rules are part of the hybrid reward: set kind to hybrid")
        safety.known(self.rules)


class Rewarding:
    """Rewards of answers to samples of several tasks; a judge gets all answers of a kind at once."""

    def __init__(self, tasks: Mapping[str, Task], settings: RewardSettings, tree: Path | None = None):
        """`tree` gives the safety gate further names of drugs."""
        self.tasks, self.settings = tasks, settings
        self.rules = safety.rules(settings.rules, tree) if settings.kind == "hybrid" else ()
        self.rubric = rubrics.read(Path(settings.rubrics)) if settings.rubrics else rubrics.Rubric("none")

    def scorers(self) -> list[Scorer]:
        """List the scorers whose judges must be open: the first of each task, and the rubric where one is
        set.

        Returns:
            Scorers, in the order of the tasks.
        """
        return [
            *(task.scorers[0] for task in self.tasks.values()),
            *([self.rubric] if self.settings.rubrics else []),
        ]

    def of(self, samples: Sequence[Sample], answers: Sequence[str]) -> list[Reward]:
        """Compute the reward of single answers.

        Args:
            samples: one for each answer.
            answers: texts of the policy.

        Returns:
            Rewards in the order of the answers; `total` is None where an answer could not be judged.
        """
        return self.of_traces(
            [(sample, answered(sample, answer)) for sample, answer in zip(samples, answers, strict=True)]
        )

    def of_traces(self, pairs: Sequence[tuple[Sample, Trace]]) -> list[Reward]:
        """Compute the reward of conversations.

        Args:
            pairs: (sample, trace of its conversation). Those of one task are scored together.

        Returns:
            Rewards in the order of the pairs; `total` is None where an answer could not be judged.
        """
        groups: dict[tuple[str, bool], list[int]] = {}
        for number, (sample, _) in enumerate(pairs):
            groups.setdefault((sample.source, self.rubric.has(sample)), []).append(number)
        result: dict[int, Reward] = {}
        for (source, has_rubric), numbers in groups.items():
            chosen = [pairs[i] for i in numbers]
            result |= zip(
                numbers, self._group(self.tasks[source].scorers[0], has_rubric, chosen), strict=True
            )
        return [result[i] for i in range(len(pairs))]

    def _group(self, scorer: Scorer, has_rubric: bool, pairs: Sequence[tuple[Sample, Trace]]) -> list[Reward]:
        if self.settings.kind == "hybrid":
            beside = [(self.rubric, self.settings.rubric_weight)] if has_rubric else []
            return hybrid_many(pairs, [(scorer, 1.0), *beside], self.settings.weights, self.rules)
        return [
            _plain(score)
            for score in (
                scorer.many(pairs) if hasattr(scorer, "many") else (scorer(*pair) for pair in pairs)
            )
        ]

    @contextmanager
    def judge(self, tree: Path | None) -> Iterator[Any]:
        """Open the judge of the settings, tested on its own questions, for as long as training runs; a
        context manager.

        Args:
            tree: folder of a built tree, for judges that need one.

        Yields:
            The judge; None where no scorer needs one.
        """
        with use.opened(self.settings.judge, self.scorers(), tree) as judge:
            yield judge


def _plain(score: Score) -> Reward:
    return Reward(score.value, score.value, score.status, why=score.why)


def row(sample: Sample, answer: str, reward: Reward, hybrid: bool) -> dict[str, Any]:
    """Format a row of rollouts.jsonl.

    Args:
        sample: the prompt.
        answer: text of the policy.
        reward: what it earned.
        hybrid: whether to add `correct` and the parts of the hybrid reward.

    Returns:
        {sample, answer, reward, status, why}, with `correct` and `parts` where `hybrid`.
    """
    result = {
        "sample": sample.id,
        "answer": answer,
        "reward": reward.total,
        "status": reward.status,
        "why": reward.why,
    }
    return result | ({"correct": reward.correct, "parts": reward.parts} if hybrid else {})


def code(rules: Sequence[str] = ()) -> str:
    """Hash the code that decides what an answer earns: every reward, every scorer, and the user's own
    `rules`.

    Args:
        rules: of the safety gate; those of the form FILE.py:NAME are hashed too.

    Returns:
        A hexadecimal digest.
    """
    names = [name for folder in ("rewards", "scoring") for name in io.code.modules_below(folder)]
    own = [plugin_code("", name) for name in rules if ":" in name]
    return io.fingerprint([io.code.digest(*names), *own]) if own else io.code.digest(*names)
