"""Run a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from medxiaohe.recipe import load, shipped
from medxiaohe.recipe.run import Done
from medxiaohe.recipe.run import run as run_recipe


def run(
    recipe: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    until: str = "",
    accept_change: bool = False,
    allow_code: bool = False,
    say: Callable[[str], None] = print,
) -> list[Done]:
    """Run every stage of a recipe that is not done yet, as `medxiaohe run` does.

    Args:
        recipe: a YAML file, or the name of a recipe that comes with the package, such as quickstart.
        out: the run folder, instead of the recipe's own.
        settings: parameter or stage.setting -> value, such as {"sft.max_steps": 10}.
        until: the last stage to run.
        accept_change: run finished stages again whose settings, inputs or code changed.
        allow_code: the recipe may name Python code; such a recipe is a program.
        say: receives a line about each stage.

    Returns:
        the stages with their folders and summaries.

    Raises:
        ConfigError: something in the recipe is wrong, or a finished stage was made from something else.
    """
    overrides = [f"{key}={_value(value)}" for key, value in (settings or {}).items()]
    loaded = load.load(
        shipped.recipe(Path(recipe)), overrides, Path(out) if out is not None else None, allow_code=allow_code
    )
    return run_recipe(loaded, say=say, accept_change=accept_change, until=until)


def _value(value: Any) -> str:
    """Format a value for `--set`: YAML on one line."""
    return (
        str(yaml.safe_dump(value, default_flow_style=True, width=10**6))
        .removesuffix("\n")
        .removesuffix("...")
        .strip()
    )
