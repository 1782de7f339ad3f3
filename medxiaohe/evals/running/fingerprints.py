"""What a number depends on, as digests: the items, the prompts, the code that reads and scores answers, the
packages."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import json
import platform
from pathlib import Path
from typing import Any

import medxiaohe
from medxiaohe import io
from medxiaohe.models.request_key import shown_part
from medxiaohe.recipe.identity import plugin_code
from medxiaohe.scoring.judges import prompts, use
from medxiaohe.scoring.judges.use import JudgeSettings
from medxiaohe.tasks import Fingerprint, _reads
from medxiaohe.types import Message, Sample, Task

PACKAGES = ("torch", "transformers", "tokenizers", "vllm", "pillow", "numpy")


class Digest:
    """Of all items of a task in their order; where a file lies does not count, what is in it does."""

    def __init__(self) -> None:
        self.n, self._items, self._prompts, self.whole = 0, hashlib.sha256(), hashlib.sha256(), Fingerprint()

    def add(self, sample: Sample) -> None:
        self.n += 1
        self.whole.add(sample)
        gold = sample.messages[-1].text if sample.messages and sample.messages[-1].role == "assistant" else ""
        row = [sample.id, sample.target, sample.choices, gold, sample.patient_id, sample.study_id]
        images = [shown_part(image) for image in sample.images]
        self._items.update(_bytes([row, images]))
        self._prompts.update(_bytes(shown(sample.prompt.messages)))

    def facts(self) -> dict[str, Any]:
        return {"n": self.n, "items": self._items.hexdigest()[:16], "prompts": self._prompts.hexdigest()[:16]}


def shown(messages: tuple[Message, ...]) -> list[Any]:
    return [[message.role, *map(shown_part, message.parts)] for message in messages]


def _bytes(value: Any) -> bytes:
    return (
        json.dumps(io.to_json(value), ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
        + b"\n"
    )


def template(task: Task) -> str:
    """Of the prompt of the task's hand-made example: it changes when the way of asking does, whatever the
    data."""
    messages = [
        [m.role, *(part if isinstance(part, str) else "image" for part in m.parts)]
        for m in task.example.prompt.messages
    ]
    return io.fingerprint(messages)


def scorers(task: Task) -> dict[str, str]:
    """Name -> a digest of the scorer's source and of what it imports from scoring."""
    return {name_of(scorer): source(scorer) for scorer in task.scorers}


def judge(settings: JudgeSettings, task: Task, tree: Path | None = None) -> dict[str, Any]:
    """Who judges, and with which prompts; {} where no scorer needs a judge."""
    asked = use.kinds(task.scorers)
    if not asked or not settings.model:
        return {}
    made = use.make(settings, tree)
    return {
        "judge": made.name if made else "",
        "prompts": {kind: prompts.version(kind) for kind in asked if kind in prompts.TASK},
    }


def name_of(scorer: Any) -> str:
    """As it is called in a task: `findings.grounded` is the function `grounded` of the file of `findings`."""
    scorer = _reads.unwrapped(scorer)
    name = str(getattr(scorer, "name", "") or getattr(scorer, "__name__", type(scorer).__name__))
    package, _, file = str(getattr(scorer, "__module__", "")).rpartition(".")
    return (
        f"{file}.{name}"
        if package == "medxiaohe.scoring" and inspect.isroutine(scorer) and name != file
        else name
    )


def source(function: Any) -> str:
    """16 hex digits of the files that define a scorer, or an object and the functions it holds, of all that
    these import, and of the options it was given."""
    options = io.to_json(function.keywords) if isinstance(function, functools.partial) else {}
    return io.fingerprint([_reads.source_files(function), json.dumps(options, sort_keys=True, default=str)])


def task_code(name: str) -> str:
    """The version of a task: 16 hex digits of the file that defines it and of what that imports."""
    return plugin_code("tasks", name)


def packages() -> dict[str, str]:
    versions = {"medxiaohe": medxiaohe.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
