"""Tasks: one file each. A task is a benchmark and a training environment: samples, and the way to judge
them."""

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.assets import digests
from medxiaohe.errors import ConfigError
from medxiaohe.recipe.identity import Reads
from medxiaohe.tasks import _reads
from medxiaohe.types import ImageRef, Sample, Task


def make(
    name: str,
    tree: Path | None = None,
    options: Mapping[str, Any] | None = None,
    data: Path | None = None,
    *,
    from_data: bool = False,
) -> Task:
    """Build a task by name, with its options and the folders that its factory takes.

    Args:
        name: of a task that ships, a YAML file, or FILE.py:FUNCTION.
        tree: folder of a built tree, given to factories with a parameter `tree`.
        options: of the factory; they win over `tree` and `data`.
        data: folder of a corpus, given to factories with a parameter `data`.
        from_data: a row or a file names the task, not a person: its code must have been allowed.

    Returns:
        The task.

    Raises:
        ConfigError: there is no such task or option, or the factory returns something else.
        CodeRefused: the name stands for code that nobody allowed.
    """
    factory = plugins.load("tasks", name, from_data=from_data)
    parameters = inspect.signature(factory).parameters
    arguments = dict(options or {})
    _check_options(name, arguments, parameters)
    for role, folder in (("tree", tree), ("data", data)):
        if role in parameters and role not in arguments and folder is not None:
            arguments[role] = folder
    result = factory(**arguments)
    if not isinstance(result, Task):
        raise ConfigError(f"{name} is not a task: it returned {type(result).__name__}")
    return result


def reads(
    name: str, options: Mapping[str, Any], *, split: str, tree: Path | None = None, data: Path | None = None
) -> Reads:
    """Hash the data files that a task reads and the code that scores it.

    Args:
        name: of the task.
        options: of its factory; files and folders they name count as data.
        split: whose items are read.
        tree: folder of a tree, for tasks that take one; its content is not repeated.
        data: folder of a corpus, the same.

    Returns:
        Digests of data and of code, by name.

    Raises:
        ConfigError: there is no such task or option.
    """
    folders = [folder for folder in (tree, data) if folder is not None]
    result = _reads.reads(make(name, tree, options, data), split, folders)
    return Reads({shown: digests.content(path) for shown, path in _reads.paths(options).items()}) | result


def check_options(name: str, options: Mapping[str, Any]) -> Task | None:
    """Check the name and options of a task; the factory of somebody's own file is not called.

    Returns:
        The task, where it ships with medxiaohe or is a task file; None for somebody's own code.

    Raises:
        ConfigError: there is no such task, or it has no such option.
    """
    factory = plugins.load("tasks", name)
    _check_options(name, options, inspect.signature(factory).parameters)
    return None if ":" in name else make(name, None, options)


def _check_options(name: str, options: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    for key in options:
        if key not in parameters:
            raise ConfigError(f"the task {name} has no option {key!r}{plugins.nearest(key, parameters)}")


def named(sample: Sample, task: Task) -> Sample:
    """Set the source of a row to the name of its task: by that name training finds the scorers.

    Args:
        sample: an item of the task.
        task: its task.

    Returns:
        the same row with `source` and `license` set
    """
    return replace(sample, source=task.name, license=sample.license or task.license)


class Fingerprint:
    """Running hash of items: 16 hex digits that change when an item, its gold, its pixels, its cluster or the
    order does; paths do not count.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, s: Sample) -> None:
        """Add the next item.

        Args:
            s: an item; its images count by their digest.
        """
        parts = [
            [
                part if isinstance(part, str) else part.sha256
                for part in m.parts
                if isinstance(part, str | ImageRef)
            ]
            for m in s.messages
        ]
        row = [s.id, parts, s.target, s.choices, s.patient_id, s.study_id, io.to_json(s.facts)]
        self._digest.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode())

    def __str__(self) -> str:
        return self._digest.hexdigest()[:16]


def fingerprint(samples: Iterable[Sample]) -> str:
    """Hash items with their golds, images by digest; equal items in equal order give equal hashes.

    Args:
        samples: in the order of the task.

    Returns:
        the digest, as hexadecimal text
    """
    running = Fingerprint()
    for sample in samples:
        running.add(sample)
    return str(running)


def prompt_id(task: Task) -> str:
    """Name the prompt of a task with a hash of its words, those of the made-up example, so that no data set
    changes it.

    Args:
        task: whose example is asked.

    Returns:
        NAME@HASH
    """
    return f"{task.prompt or task.name}@{io.fingerprint([message.text for message in task.example.prompt.messages])[:8]}"  # noqa: E501


def changed(task: Task, split: str, samples: Iterable[Sample]) -> str:
    """Compare all items of a split with the fingerprint that the task was written with.

    Args:
        task: with the fingerprints that it was written with.
        split: of the items.
        samples: all items of the split.

    Returns:
        a sentence, or ""
    """
    return differs(task, split, fingerprint(samples)) if task.fingerprints.get(split) else ""


def differs(task: Task, split: str, actual: str) -> str:
    """Compare a fingerprint with the one that the task was written with.

    Args:
        task: with its fingerprints.
        split: of the items.
        actual: fingerprint of the items that were read.

    Returns:
        A sentence where they differ, or ""; "" as well where the task was written without one.
    """
    expected = task.fingerprints.get(split, "")
    return (
        f"{task.name} ({split}) has fingerprint {actual}, not {expected}: the data changed"
        if actual != (expected or actual)
        else ""
    )
