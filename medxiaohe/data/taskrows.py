"""Samples of a task by its name, as this layer needs them: to train on, and to keep out of training."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import plugins
from medxiaohe.errors import ConfigError
from medxiaohe.types import Sample, Task


def task(name: str, options: Mapping[str, Any], tree: Path | None) -> Task:
    """The task, with the folder of the tree when its factory takes one."""
    factory = plugins.load("tasks", name)
    parameters = inspect.signature(factory).parameters
    for key in options:
        if key not in parameters:
            raise ConfigError(f"task {name}: unknown option {key!r}{plugins.nearest(key, parameters)}")
    given = dict(options)
    if "tree" in parameters and "tree" not in given and tree is not None:
        given["tree"] = tree
    made = factory(**given)
    if not isinstance(made, Task):
        raise ConfigError(f"{name} is not a task: it returned {type(made).__name__}")
    return made


def of_task(sample: Sample, task: Task) -> Sample:
    """A row whose source is the name of its task: by that name training finds the scorers."""
    return replace(sample, source=task.name, license=sample.license or task.license)
