"""Evaluate models on tasks, and score single replies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.evals.running.judging import judge
from medxiaohe.models.players import player_of
from medxiaohe.recipe import load
from medxiaohe.recipe.run import run as run_recipe
from medxiaohe.tasks import make
from medxiaohe.types import Message, Sample, Score, Task, Trace

STAGE = "run"  # the folder of the stage below the run folder


def load_task(name: str, **options: Any) -> Task:
    """Load a task.

    Args:
        name: a name of `medxiaohe tasks`, a YAML file, or file.py:function.
        **options: of the task, such as path.

    Returns:
        the task: `samples(split)`, scorers, tools, licence

    Raises:
        ConfigError: there is no such task or option; the sentence names the nearest one.
    """
    return make(name, options=options)


def score(task: Task | str, sample: Sample, reply: str | Trace) -> list[Score]:
    """Score one reply to one item by all scorers of a task; the first score is the task's.

    Args:
        task: a task, or its name.
        sample: the item, from `task.samples(split)`.
        reply: what the model wrote, or the trace of a workflow.

    Returns:
        one Score for each scorer: value from 0 to 1 (None: unjudged), status, what was read

    Raises:
        ConfigError: there is no such task.
    """
    if isinstance(reply, str):
        reply = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (reply,))))
    return judge(load_task(task) if isinstance(task, str) else task, sample, reply)


@dataclass(frozen=True)
class Results:
    """Scores of an evaluation.

    Attributes:
        folder: of the finished stage: results.json, the items and the replies.
        record: results.json.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def tasks(self) -> dict[str, Mapping[str, Any]]:
        """Scores of each task.

        Returns:
            task -> n, mean, low and high (95 % interval), unparsed, refused, truncated, constant.
        """
        return {name: row["scores"] for name, row in self.record["tasks"].items()}

    def __getitem__(self, task: str) -> Mapping[str, Any]:
        scores = self.tasks
        if task not in scores:
            raise KeyError(f"no task {task!r} was evaluated; there are {', '.join(scores)}")
        return scores[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def to_pandas(self) -> Any:
        """Convert the scores to a table.

        Returns:
            a pandas.DataFrame, one row a task: model, score, interval, majority baseline, unparsed and
            refused.

        Raises:
            MissingExtra: pandas is not installed.
        """
        plugins.need("pandas", why="Results.to_pandas")
        import pandas  # type: ignore[import-untyped]

        rows = [
            {"model": self.record["model"]["name"], "task": name, **row} for name, row in self.tasks.items()
        ]
        return pandas.DataFrame(rows).rename(columns={"constant": "majority_baseline"})

    def __repr__(self) -> str:
        parts = [
            f"{name} {row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}] n={row['n']}"
            for name, row in self.tasks.items()
            if row.get("mean") is not None
        ]
        return f"Results({'; '.join(parts)})"


def evaluate(
    model: str,
    tasks: str | Sequence[str | Mapping[str, Any]],
    *,
    limit: int | None = None,
    out: str | PathLike[str] | None = None,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> Results:
    """Evaluate a model on tasks, as `medxiaohe eval run` does; the same call continues an interrupted one.

    Args:
        model: starter, a folder, a finished training stage, a hub id, URL#NAME, or file.py:function.
        tasks: names, or {name, limit, split, args}.
        limit: items of each task; all when left out.
        out: the run folder; out/eval/ with a name made of the settings when left out.
        say: receives a line about progress.
        **settings: of the stage evals.run, such as max_new_tokens, workflow, tools, seed.

    Returns:
        scores by task: mean, 95 % interval, baseline, n, unparsed; `to_pandas()` makes a table of them

    Raises:
        ConfigError: no task, or no such model, task or setting.
    """
    names = [tasks] if isinstance(tasks, str) else list(tasks)
    if not names:
        raise ConfigError("evaluate needs at least one task: see `medxiaohe tasks`")
    player = player_of(model)
    rows = [{"name": name, "limit": limit} if isinstance(name, str) else dict(name) for name in names]
    options = {**player.options, **settings.pop("options", {})}
    values = {"tasks": rows, "model": player.model, "backend": player.backend, "options": options, **settings}
    stage = load.stage(STAGE, "evals.run", values)
    folder = Path(out) if out is not None else Path("out/eval") / io.fingerprint([stage.settings])[:12]
    done = run_recipe(load.Recipe(folder.name, folder, (stage,)), say=say)
    return Results(done[0].folder, io.read_json(done[0].folder / "results.json"))
