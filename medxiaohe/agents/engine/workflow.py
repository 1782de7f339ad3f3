"""The decorator that converts a flow to `(prompts, model, tools) -> list[Trace]`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast, overload

from medxiaohe.agents.engine.case import Budget, Tools
from medxiaohe.agents.engine.drive import run
from medxiaohe.agents.engine.flows import About
from medxiaohe.agents.engine.requests import Flow
from medxiaohe.types import Model, Prompt, Trace


class Workflow(Protocol):
    """A workflow as evaluation, training and plug-ins use it. `flow` is the generator function."""

    flow: Flow
    about: About

    def __call__(
        self,
        prompts: Sequence[Prompt],
        model: Model | Mapping[str, Model],
        /,
        tools: Tools = (),
        budget: Budget | None = None,
        **settings: Any,
    ) -> list[Trace]: ...


@overload
def workflow(flow: Flow) -> Workflow: ...


@overload
def workflow(
    *, roles: Sequence[str] | None = None, ranks: bool | str = False
) -> Callable[[Flow], Workflow]: ...


def workflow(
    flow: Flow | None = None, *, roles: Sequence[str] | None = None, ranks: bool | str = False
) -> Workflow | Callable[[Flow], Workflow]:
    """Make a workflow of a flow: `NAME(prompts, model, tools=(), budget=None, **settings) -> list[Trace]`.

    Args:
        flow: a generator function whose first parameter is the Case; None if the decorator has arguments.
        roles: that the flow asks beside the default role ""; then a cast with another one, and an Ask of
            another one, are refused.
        ranks: the flow yields Rank: a backend without likelihoods is refused before anything is asked. The
            name of a setting: only where that setting is neither 0 nor empty.

    Returns:
        the workflow, or a decorator that makes it
    """

    def decorated(flow: Flow) -> Workflow:
        @functools.wraps(flow)
        def outer(
            prompts: Sequence[Prompt],
            model: Model | Mapping[str, Model],
            /,  # `prompts` is also a setting of workflows, a folder
            tools: Tools = (),
            budget: Budget | None = None,
            **settings: Any,
        ) -> list[Trace]:
            return run(outer, prompts, model, tools, budget, settings=settings)

        result = cast(Any, outer)
        result.flow = flow
        result.about = About(
            flow, getattr(flow, "__name__", "workflow"), None if roles is None else tuple(roles), ranks
        )
        return cast(Workflow, result)

    return decorated if flow is None else decorated(flow)
