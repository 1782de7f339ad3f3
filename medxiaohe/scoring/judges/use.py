"""How a run gets its judge, and how scorers reach it.

    with use.opened(settings.judge, task.scorers, tree=tree) as judge:   # None when no judge is named;
    JudgeFailed stops the run
        scores = ...                                                     # scorer(sample, trace), or
        scorer.many(pairs), in batches
        record = use.record(judge)                                       # JSON for the summary: self-test,
        prompts, calls, cost

A scorer that needs a judge is a judges.scorer.JudgedScorer: its `kind` says what it asks, and it asks
`use.current()`. Without a judge its scores are unjudged.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.models.asking import REPAIRS
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.models.spending import CallBudget
from medxiaohe.scoring.judges import belief, selftest
from medxiaohe.scoring.judges.model_judge import ModelJudge
from medxiaohe.scoring.judges.questions import Judge, digest
from medxiaohe.types import Scorer

RULES = "rules"
# change no verdict
ABOUT_HOW = (
    "api_key_env",
    "privacy",
    "timeout",
    "retries",
    "first_wait",
    "workers",
    "batch_size",
    "device",
    "gpus",
)
_using: list[Judge] = []
_tests: dict[str, selftest.Report] = {}


@dataclass(frozen=True)
class JudgeSettings:
    """Settings of a judge. `model` is "" for no judge, "rules" for the one without a language model, or what
    `backend` takes.
    """

    model: str = ""
    backend: str = "openai_compatible"
    options: dict[str, Any] = field(default_factory=dict)  # of the backend: url, api_key_env, privacy, ...
    batch: int = 8  # criteria or claims in one call
    retries: int = REPAIRS  # requests that show the judge what is wrong with its reply
    max_calls: int | None = None  # of each task, its self-test left out; what lies beyond is unjudged
    max_tokens: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0  # for a million tokens
    price_out: float = 0.0
    cache: str = ""  # a folder; "" is the cache of medxiaohe, "none" keeps nothing

    def __post_init__(self) -> None:
        if self.batch < 1 or self.retries < 0:
            raise ConfigError(
                f"judge.batch must be at least 1 and judge.retries at least 0, not {self.batch} and"
                f" {self.retries}"
            )
        self.budget  # noqa: B018  raises when it contradicts itself

    @property
    def budget(self) -> CallBudget:
        """Combine the limits and prices of the settings.

        Returns:
            The budget of one task.

        Raises:
            ConfigError: a limit or price is negative, or `max_cost` has no price.
        """
        return CallBudget(self.max_calls, self.max_tokens, self.max_cost, self.price_in, self.price_out)


def make(settings: JudgeSettings, tree: Path | None = None) -> Judge | None:
    """Build the judge that settings name.

    Args:
        settings: model, backend and limits.
        tree: folder of an entity.build stage, for the judge of rules.

    Returns:
        The judge; None where `model` is "".

    Raises:
        ConfigError: there is no such backend, or it has no such option.
    """
    if not settings.model:
        return None
    if settings.model == RULES:
        from medxiaohe.scoring.judges.rules import RuleJudge

        return RuleJudge.of(tree)
    backend = plugins.load("models", settings.backend)
    parameters = inspect.signature(backend).parameters
    common = {"max_new_tokens": 1024}
    options = {key: value for key, value in common.items() if key in parameters} | settings.options
    if unknown := [key for key in options if key not in parameters]:
        raise ConfigError(
            f"the backend {settings.backend} has no option {unknown[0]!r}"
            f"{plugins.nearest(unknown[0], parameters)}"
        )
    identity = {key: value for key, value in options.items() if key not in ABOUT_HOW}
    name = f"{settings.backend}:{settings.model}#{io.fingerprint([identity, _weights(settings.model)])[:8]}"
    folder = (
        None
        if settings.cache == "none"
        else Path(settings.cache).expanduser()
        if settings.cache
        else assets.cache_root() / "judges"
    )
    model = backend(settings.model, **options)
    return ModelJudge(
        model,
        name=name,
        batch=settings.batch,
        retries=settings.retries,
        budget=settings.budget,
        store=_cache(folder, name) if folder else None,
    )


def _cache(folder: Path, name: str) -> ReplyStore:
    """The replies of this judge, of all runs; the folder is for its owner only."""
    earlier = tuple(sorted(folder.glob("*.jsonl"))) if folder.is_dir() else ()  # verdicts of version 0.1
    return ReplyStore(folder / f"{digest(name)[:24]}.sqlite", shared=True, earlier=earlier)


@contextmanager
def using(judge: Judge | None) -> Iterator[Judge | None]:
    """Context in which scorers ask this judge.

    Args:
        judge: None leaves the current judge unchanged.

    Yields:
        The judge.
    """
    if judge is None:
        yield None
        return
    _using.append(judge)
    try:
        yield judge
    finally:
        _using.remove(judge)


def current() -> Judge | None:
    """Get the judge of the innermost `using` block.

    Returns:
        The judge, or None outside of one.
    """
    return _using[-1] if _using else None


@contextmanager
def opened(
    settings: JudgeSettings, scorers: Sequence[Scorer], tree: Path | None = None
) -> Iterator[Judge | None]:
    """Context with the judge of a run, self-tested on the kinds of questions that these scorers ask.

    Args:
        settings: of the judge.
        scorers: of the task; without one that needs a judge, none is built or tested.
        tree: folder of an entity.build stage, for the judge of rules.

    Yields:
        The judge, or None.

    Raises:
        ConfigError: the settings name no such judge.
        JudgeFailed: it does not pass its self-test.
    """
    needed = kinds(scorers)
    judge = make(settings, tree) if needed else None
    if judge is not None:
        with judge.free() if isinstance(judge, ModelJudge) else nullcontext():
            _tests[judge.name] = selftest.require(judge, needed)
    with using(judge):
        yield judge


def record(judge: Judge | None) -> dict[str, Any]:
    """Describe the judge for a result: name, prompts, cost, self-test, and agreement with physicians.

    Args:
        judge: as `opened` yields it.

    Returns:
        JSON values; {} without a judge.
    """
    if judge is None:
        return {}
    tested = _tests.get(judge.name)
    description = judge.to_json() if isinstance(judge, ModelJudge) else {"judge": judge.name}
    return description | {
        "self_test": tested.to_json() if tested else None,
        "agreement": belief.of(judge.name),
    }


def kinds(scorers: Sequence[Scorer]) -> tuple[str, ...]:
    """Collect the kinds of questions that scorers ask a judge.

    Args:
        scorers: of a task.

    Returns:
        Each kind once, in order; empty where no scorer needs a judge.
    """
    return tuple(dict.fromkeys(kind for scorer in scorers if (kind := getattr(scorer, "kind", ""))))


def _weights(model: str) -> list[str]:
    """What tells the weights of a local folder from others in the same place: config and sizes, not every
    byte; of a function in a file, the file."""
    code, folder = Path(model.rpartition(":")[0]), Path(model)
    if code.suffix == ".py" and code.is_file():
        return [io.sha256(code)]
    if not folder.is_dir():
        return []
    config = [io.sha256(path) for path in sorted(folder.glob("*.json"))]
    return config + [
        f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in sorted(folder.glob("*.safetensors"))
    ]
