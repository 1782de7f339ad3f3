"""Tasks: one file each. A task is a benchmark and a training environment: samples, and the way to judge them."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import plugins
from medxiaohe.errors import ConfigError
from medxiaohe.types import Sample, Task


def make(name: str, tree: Path | None = None, options: Mapping[str, Any] | None = None, data: Path | None = None) -> Task:
    """The task `name` with its options, and with the folders of the tree and of the corpus where its factory takes them.

    Raises ConfigError for an unknown task or option, and for something that is not a task.
    """
    factory = plugins.load("tasks", name)
    known = inspect.signature(factory).parameters
    given = dict(options or {})
    for key in given:
        if key not in known:
            raise ConfigError(f"the task {name} has no option {key!r}{plugins.nearest(key, known)}")
    for role, folder in (("tree", tree), ("data", data)):
        if role in known and role not in given and folder is not None:
            given[role] = folder
    made = factory(**given)
    if not isinstance(made, Task):
        raise ConfigError(f"{name} is not a task: it returned {type(made).__name__}")
    return made


def named(sample: Sample, task: Task) -> Sample:
    """A row whose source is the name of its task: by that name training finds the scorers."""
    return replace(sample, source=task.name, license=sample.license or task.license)
