"""Fingerprints of what a number depends on: items, prompts, code that reads and scores answers, packages."""

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
    """Digest of all items of a task in order; of a file its content counts, not its path."""

    def __init__(self) -> None:
        self.n, self._items, self._prompts, self.whole = 0, hashlib.sha256(), hashlib.sha256(), Fingerprint()

    def add(self, sample: Sample) -> None:
        """Add an item.

        Args:
            sample: the next item in the order of the task.
        """
        self.n += 1
        self.whole.add(sample)
        gold = sample.messages[-1].text if sample.messages and sample.messages[-1].role == "assistant" else ""
        row = [sample.id, sample.target, sample.choices, gold, sample.patient_id, sample.study_id]
        images = [shown_part(image) for image in sample.images]
        self._items.update(_bytes([row, images]))
        self._prompts.update(_bytes(shown(sample.prompt.messages)))

    def facts(self) -> dict[str, Any]:
        """Digests of the items so far.

        Returns:
            {n, items, prompts}, digests as 16 hexadecimal digits
        """
        return {"n": self.n, "items": self._items.hexdigest()[:16], "prompts": self._prompts.hexdigest()[:16]}


def shown(messages: tuple[Message, ...]) -> list[Any]:
    """Messages as they are digested.

    Args:
        messages: of a prompt.

    Returns:
        for each message its role and parts; an image is the digest of its bytes
    """
    return [[message.role, *map(shown_part, message.parts)] for message in messages]


def _bytes(value: Any) -> bytes:
    return (
        json.dumps(io.to_json(value), ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
        + b"\n"
    )


def template(task: Task) -> str:
    """Fingerprint of the prompt template: of the task's hand-made example, whatever the data.

    Args:
        task: whose example is read.

    Returns:
        16 hexadecimal digits
    """
    messages = [
        [m.role, *(part if isinstance(part, str) else "image" for part in m.parts)]
        for m in task.example.prompt.messages
    ]
    return io.fingerprint(messages)


def scorers(task: Task) -> dict[str, str]:
    """Fingerprints of the scorers of a task.

    Args:
        task: whose scorers are read.

    Returns:
        name -> digest of the scorer's source and of what it imports from scoring
    """
    return {name_of(scorer): source(scorer) for scorer in task.scorers}


def judge(settings: JudgeSettings, task: Task, tree: Path | None = None) -> dict[str, Any]:
    """Judge of a task and versions of its prompts.

    Args:
        settings: of the judge.
        task: whose scorers are read.
        tree: folder of a tree for the judge of rules; None: without one.

    Returns:
        {judge, prompts: kind -> version}; {} if no scorer needs a judge or none is set
    """
    kinds = use.kinds(task.scorers)
    if not kinds or not settings.model:
        return {}
    instance = use.make(settings, tree)
    return {
        "judge": instance.name if instance else "",
        "prompts": {kind: prompts.version(kind) for kind in kinds if kind in prompts.TASK},
    }


def name_of(scorer: Any) -> str:
    """Name of a scorer in a task.

    Args:
        scorer: function or object.

    Returns:
        such as `findings.grounded` for the function `grounded` in findings.py
    """
    scorer = _reads.unwrapped(scorer)
    name = str(getattr(scorer, "name", "") or getattr(scorer, "__name__", type(scorer).__name__))
    package, _, file = str(getattr(scorer, "__module__", "")).rpartition(".")
    return (
        f"{file}.{name}"
        if package == "medxiaohe.scoring" and inspect.isroutine(scorer) and name != file
        else name
    )


def source(function: Any) -> str:
    """Fingerprint of the source of a scorer.

    Args:
        function: scorer, partial or object with functions.

    Returns:
        16 hexadecimal digits of the files that define it, of all that these import, and of its options
    """
    options = io.to_json(function.keywords) if isinstance(function, functools.partial) else {}
    return io.fingerprint([_reads.source_files(function), json.dumps(options, sort_keys=True, default=str)])


def task_code(name: str) -> str:
    """Version of a task.

    Args:
        name: of the task.

    Returns:
        16 hexadecimal digits of the file that defines it and of what that imports
    """
    return plugin_code("tasks", name)


def packages() -> dict[str, str]:
    """Versions of Python, medxiaohe and the packages that can change a number.

    Returns:
        name -> version, without packages that are not installed
    """
    versions = {"medxiaohe": medxiaohe.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
