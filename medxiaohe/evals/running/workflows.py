"""Workflow and tools of an evaluation: those of the task, unless the settings name others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from medxiaohe import plugins
from medxiaohe.agents.engine import Budget, Journal, Tools, about, is_flow, options, run
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.settings import build
from medxiaohe.retrieval.controls import SOURCES, Knowledge, controlled
from medxiaohe.retrieval.library import open_library
from medxiaohe.retrieval.resources import resources as resources
from medxiaohe.tools.toolbox import bind, describe_tools, open_tools
from medxiaohe.types import Model, Prompt, Task, Tool, Trace


@dataclass(frozen=True)
class Chosen:
    """A workflow with its settings and the budget of each case."""

    name: str
    function: Any
    settings: Mapping[str, Any]
    budget: Budget | None = None

    def traces(
        self,
        prompts: Sequence[Prompt],
        models: Mapping[str, Model],
        tools: Tools,
        journal: Journal | None = None,
    ) -> list[Trace]:
        """Run the workflow on prompts.

        Args:
            prompts: of the items.
            models: role -> model; "" plays the roles that are not named.
            tools: of the workflow.
            journal: results of earlier, interrupted work; None: start over.

        Returns:
            one trace for each prompt, in order

        Raises:
            DataError: a function of the user's left a prompt out or changed their order.
        """
        if is_flow(self.function):
            return run(
                self.function, prompts, models, tools, self.budget, settings=self.settings, journal=journal
            )
        traces: list[Trace] = self.function(prompts, models[""], tools)
        if [trace.prompt.id for trace in traces] != [prompt.id for prompt in prompts]:
            raise DataError(f"the workflow {self.name} must return one trace for each prompt, in order")
        return traces

    def check_roles(self, roles: Collection[str]) -> None:
        """Check that the workflow has roles.

        Args:
            roles: names of roles.

        Raises:
            ConfigError: it lacks one of them (the message has the nearest), or is a function without roles.
        """
        if roles and not is_flow(self.function):
            raise ConfigError(f"the workflow {self.name} is a function without roles: give it one model")
        names = about(self.function).roles
        if unknown := [role for role in roles if names is not None and role not in names]:
            available = f"its roles are {', '.join(names)}" if names else "it has the default role alone"
            near = plugins.nearest(unknown[0], names or ())
            raise ConfigError(f"the workflow {self.name} has no role {unknown[0]!r}{near}: {available}")


def with_workflow(task: Task, workflow: Mapping[str, Any], tools: Sequence[str]) -> Task:
    """Replace the workflow and the tools of a task by those of the settings.

    Args:
        task: of the evaluation.
        workflow: settings of the workflow, `name` among them; {}: the task's own.
        tools: names; (): the task's own.

    Returns:
        the task with both
    """
    name = str(workflow.get("name") or task.workflow)
    return replace(task, workflow=name, tools=tuple(tools) or task.tools)


def chosen(name: str, workflow: Mapping[str, Any]) -> Chosen:
    """Load a workflow with its settings.

    Args:
        name: of `medxiaohe list workflows`, or file.py:function.
        workflow: {name, budget, and settings of the workflow itself}.

    Returns:
        the workflow

    Raises:
        ConfigError: an unknown workflow, setting or limit; the message has the nearest.
    """
    function = plugins.load("workflows", name)
    own_settings = {key: value for key, value in workflow.items() if key not in ("name", "budget")}
    budget = build(Budget, workflow["budget"], "workflow.budget") if "budget" in workflow else None
    if is_flow(function):
        return Chosen(name, function, options(function, own_settings), budget)
    if own_settings or budget:
        raise ConfigError(
            f"the workflow {name} is a function without settings or budget: make it a flow with @workflow, or"
            f" leave out {', '.join(map(repr, (*own_settings, *(['budget'] if budget else []))))}"
        )
    return Chosen(name, function, {})


def tools_of(
    names: Sequence[str],
    resource_of: Mapping[str, Any],
    stores: Mapping[str, str],
    knowledge: Knowledge = "right",
    seed: int = 0,
) -> tuple[Tool, ...]:
    """Open tools by name, and one more `search_NAME` for each named store, with a control of knowledge.

    Args:
        names: of tools.
        resource_of: name -> resource, or a function that returns it.
        stores: NAME -> path; `graph`, `cases` and `prototypes` are resources already.
        knowledge: the control of every source; "none" drops all tools that read one.
        seed: of random controls.

    Returns:
        the named tools, then those of the stores by name

    Raises:
        ConfigError: a tool lacks what it needs, or its source has no such control.
    """
    sources = dict(resource_of)
    if knowledge == "none":
        return open_tools([name for name in names if not needs_source(name)], sources)
    if knowledge != "right":
        for name in [key for key in sources if key.rpartition(".")[2] in SOURCES]:
            sources[name] = cache(partial(_controlled, name, sources[name], knowledge, seed))
    (search,) = describe_tools(["search"])
    searches = []
    for name in sorted(set(stores) - {"graph", "cases", "prototypes"}):
        store = _controlled(name, cache(partial(open_library, stores[name])), knowledge, seed)
        about = f"{search.description} This library is {name}."
        searches.append(replace(bind(search, library=store), name=f"search_{name}", description=about))
    return (*open_tools(names, sources), *searches)


def needs_source(name: str) -> bool:
    """Whether a tool reads a source of knowledge.

    Args:
        name: of the tool.

    Returns:
        True if one of its needs is in SOURCES

    Raises:
        ConfigError: no tool has this name.
    """
    (tool,) = describe_tools([name])
    return any(need in SOURCES for need in tool.needs)


def _controlled(name: str, source: Any, knowledge: Knowledge, seed: int) -> Any:
    opened = source() if callable(source) else source
    return opened if knowledge == "right" else controlled(name, opened, knowledge, seed)
