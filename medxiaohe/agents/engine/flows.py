"""Metadata of a flow: its name, its roles, its settings; and the origin of its traces."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medxiaohe import STATEMENT, io
from medxiaohe.agents.engine.requests import Flow
from medxiaohe.errors import WorkflowError
from medxiaohe.recipe.settings import build
from medxiaohe.types import Tool


@dataclasses.dataclass(frozen=True)
class About:
    """A flow: a generator function whose first parameter is the Case and whose others are its settings."""

    flow: Flow
    name: str
    roles: tuple[str, ...] | None = None  # that it asks, where it declares them
    # it yields Rank, so every backend must give likelihoods; the name of a setting: only where that is set
    ranks: bool | str = False

    def needs_likelihoods(self, settings: Mapping[str, Any]) -> bool:
        """Check whether the flow ranks answers.

        Args:
            settings: those left out have their defaults.

        Returns:
            True if every backend must give likelihoods.
        """
        if not isinstance(self.ranks, str):
            return self.ranks
        default = inspect.signature(self.flow).parameters[self.ranks].default
        return bool(settings.get(self.ranks, default))


def about(flow: Any) -> About:
    """Describe a flow, decorated or not.

    Args:
        flow: a generator function, a partial of one, or a workflow.

    Returns:
        name, roles and whether it ranks; roles are unknown (None) without a decorator.
    """
    result = getattr(flow, "about", None)
    if isinstance(result, About):
        return result
    inner = flow.func if isinstance(flow, functools.partial) else flow
    return About(flow, getattr(inner, "__name__", "workflow"))


def is_flow(thing: Any) -> bool:
    """Check whether a workflow is a flow of this engine.

    Args:
        thing: a workflow.

    Returns:
        False for a plain function `(prompts, model, tools) -> list[Trace]`.
    """
    return isinstance(getattr(thing, "about", None), About)


def settings_type(flow: Any) -> type:
    """A dataclass of the settings of a flow: its parameters behind the Case, with their defaults.

    Args:
        flow: a flow or workflow.

    Returns:
        a frozen dataclass

    Raises:
        WorkflowError: a parameter has no default.
    """
    facts = about(flow)
    inner = facts.flow.func if isinstance(facts.flow, functools.partial) else facts.flow
    hints = typing.get_type_hints(inner, include_extras=True)
    fields: list[Any] = []
    for parameter in list(inspect.signature(facts.flow).parameters.values())[1:]:
        if parameter.default is parameter.empty:
            raise WorkflowError(
                f"the setting {parameter.name!r} of the workflow {facts.name} has no default: give it one"
            )
        default = dataclasses.field(default_factory=_always(parameter.default))
        fields.append((parameter.name, hints.get(parameter.name, Any), default))
    return dataclasses.make_dataclass("Settings", fields, frozen=True)


def _always(value: Any) -> Callable[[], Any]:
    return lambda: value


def options(flow: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the settings of a flow.

    Args:
        flow: whose parameters they are.
        settings: name -> value, as read from YAML or JSON.

    Returns:
        keyword arguments of the types that the flow declares.

    Raises:
        ConfigError: an unknown setting (the nearest is named), or a value of a wrong type.
    """
    if not settings:
        return {}
    built = build(settings_type(flow), io.to_json(dict(settings)), f"workflow {about(flow).name}")
    return {name: getattr(built, name) for name in settings}


def named(name: str, settings: Mapping[str, Any], tools: Sequence[Tool]) -> dict[str, str]:
    """Build the origin of a trace.

    Args:
        name: of the workflow.
        settings: those that were set; {} for the defaults.
        tools: of the case.

    Returns:
        workflow, statement of intended use, settings as JSON, and tools with their versions.
    """
    result = {"workflow": name, "statement": STATEMENT}
    if settings:
        result["settings"] = json.dumps(io.to_json(settings), ensure_ascii=False, sort_keys=True)
    if tools:
        result["tools"] = ", ".join(f"{tool.name}@{tool.version}" for tool in tools)
    return result
