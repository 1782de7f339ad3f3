"""Replay a workflow on the recorded results of a trace: no model, no tool, the same bytes."""

from __future__ import annotations

import json
from typing import Any

from medxiaohe import io
from medxiaohe.agents.engine.case import Budget, Case
from medxiaohe.agents.engine.conversation import Conversation
from medxiaohe.agents.engine.flows import about, options
from medxiaohe.agents.engine.requests import Ask, Flow, Rank
from medxiaohe.errors import DataError
from medxiaohe.types import Step, Tool, ToolResult, Trace


def replay(trace: Trace, flow: Flow, budget: Budget | None = None, *, memory: Any = None) -> Trace:
    """Run a workflow with the recorded results of a trace instead of models and tools.

    Args:
        trace: whose origin has the settings and the names of tools.
        flow: the workflow that left the trace.
        budget: of asks and calls; None for the limits of `Budget`.
        memory: as for `run`.

    Returns:
        the trace that the workflow leaves now

    Raises:
        DataError: the workflow requests something else than the trace recorded.
    """
    facts = about(flow)
    by = trace.origin.get("workflow", facts.name)
    if by != facts.name:
        raise DataError(f"the trace of {trace.prompt.id!r} is of the workflow {by}, not of {facts.name}")
    settings = options(flow, json.loads(trace.origin.get("settings", "{}")))
    case = Case(trace.prompt, _stand_ins(trace), memory)
    talk = Conversation(
        facts.name, facts.flow(case, **settings), case, budget or Budget(), trace.origin, facts.roles
    )
    while not talk.done:
        talk.advance()
        for n in list(talk.waiting):
            recorded = trace.steps[n] if n < len(trace.steps) else None
            if recorded is not None and isinstance(talk.waiting[n], (Ask, Rank)):
                talk.name_model(n, recorded.model)
            if recorded is None or _request(recorded) != _request(talk.steps[n]):
                raise DataError(
                    f"step {n} of the trace of {trace.prompt.id!r} is not what the workflow {facts.name}"
                    " requests: it was recorded by another workflow, or with other settings"
                )
            talk.put(n, recorded.got, (recorded.tokens_in, recorded.tokens_out))
    return talk.trace


def _request(step: Step) -> Any:
    """Request of a step as JSON, without its result."""
    return io.to_json(Step(step.n, step.kind, step.who, step.model, step.after, step.given))


def _stand_ins(trace: Trace) -> list[Tool]:
    """Build tools with the recorded names that are never run."""

    def never(**_: Any) -> ToolResult:
        raise DataError("a tool is not run in a replay")

    names = [item.rpartition("@")[::2] for item in trace.origin.get("tools", "").split(", ") if item]
    return [Tool(name, "", {}, never, version=version) for name, version in names]
