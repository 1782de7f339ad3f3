"""Stage: demonstrations of a task by an expert, its tools really run, as rows for train.sft: how tool use
starts (pain 20).

    instructions.jsonl   the expert's conversations that earned full marks, and replayed rows of the mixture
    demonstrations.jsonl {id, answer, value, calls, error} of every item that was shown

An expert is a model for workflows, such as `medxiaohe.tasks.bedside:expert`, or a stronger model behind a
server. It sees prompts, never golds; a conversation that does not earn `right` is left out, and so is a
question that the test split asks in the same words.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.identity import Reads
from medxiaohe.tasks import make, named, reads
from medxiaohe.tools.toolbox import task_tools
from medxiaohe.train.loop.contamination_check import carry
from medxiaohe.train.loop.replay import with_old

CHUNK = 32  # items that the workflow runs together


@dataclass(frozen=True)
class DemonstrateSettings:
    task: str  # whose training items are shown
    expert: str = ""  # module:attribute, a model; or give `backend`
    backend: str = ""
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)  # of the backend
    number: int = 100  # items to show
    right: float = 1.0  # a demonstration that scores less is left out
    # rows of the mixture's instructions for each demonstration, so that nothing else is forgotten
    replay: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if bool(self.expert) == bool(self.backend):
            raise ConfigError("name an expert (module:attribute) or a backend with its model, one of the two")
        if self.number < 1 or self.replay < 0:
            raise ConfigError("number must be at least 1 and replay at least 0")

    def reads(self, inputs: Mapping[str, Path]) -> Reads:
        """List the data, scorers, tools and workflow of the task, for the identity of the stage
        (recipe/identity.py).

        Args:
            inputs: folders of the stage's inputs; `tree` is used.

        Returns:
            Digests of files and modules.
        """
        return reads(self.task, {}, split="train", tree=inputs.get("tree"))


def demonstrate(
    settings: DemonstrateSettings, out: Path, *, data: Path, tree: Path | None = None
) -> dict[str, Any]:
    """Let the expert work on the first items of the task's train split, and keep what it did right.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage, whose instructions are replayed.
        tree: folder of a built tree, for tasks and rewards that need one.

    Returns:
        the summary of the stage: `shown`, `kept`, `with_calls`, `replayed`

    Raises:
        DataError: the expert solved no item.
    """
    task = make(settings.task, tree)
    tested = {_words(sample) for sample in task.samples("test")}
    items = itertools.islice(
        (named(sample, task) for sample in task.samples("train") if _words(sample) not in tested),
        settings.number,
    )
    expert = _expert(settings)
    workflow, tools = plugins.load("workflows", task.workflow), task_tools(task)
    shown, rows = [], []
    meter = progress.Meter("demonstrate", settings.number)
    while chunk := list(itertools.islice(items, CHUNK)):
        for sample, trace in zip(
            chunk, workflow([sample.prompt for sample in chunk], expert, tools), strict=True
        ):
            score = task.scorers[0](sample, trace)
            calls = [call.name for message in trace.messages for call in message.calls]
            shown.append(
                {
                    "id": sample.id,
                    "answer": trace.answer,
                    "value": score.value,
                    "calls": calls,
                    "error": trace.error,
                }
            )
            if score.value is not None and score.value >= settings.right and not trace.error:
                rows.append(replace(sample, id=f"{sample.id}/shown", messages=trace.messages))
        meter.advance(len(chunk))
    meter.close()
    if not rows:
        last = shown[-1]["error"] or shown[-1]["answer"] if shown else "no item"
        raise DataError(
            f"the expert solved none of {len(shown)} items of {settings.task} (the last: {last!r}): take"
            " another, or lower `right`"
        )
    mixed, replayed = with_old(rows, data, settings.replay, settings.seed)
    io.write_jsonl(out / "instructions.jsonl", mixed)
    carry(data, out)
    io.write_jsonl(out / "demonstrations.jsonl", shown)
    used = sum(bool(row["calls"]) for row in shown)
    return {"shown": len(shown), "kept": len(rows), "with_calls": used, "replayed": replayed}


def _expert(settings: DemonstrateSettings) -> Any:
    if settings.expert:
        return plugins.load_object(settings.expert)
    return plugins.load("models", settings.backend)(settings.model, **settings.options)


def _words(sample: Any) -> str:
    return " ".join(" ".join(message.text for message in sample.prompt.messages).casefold().split())
