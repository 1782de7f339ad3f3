"""Doing recorded work again: pure tools and the workflow of a trace, and the pixels of its regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.agents.engine import is_flow
from medxiaohe.agents.engine.replay import replay
from medxiaohe.errors import DataError, MedError
from medxiaohe.tools.toolbox import call_tool, describe_tools
from medxiaohe.traces import Replayed, by_digest
from medxiaohe.types import ImageRef, Step, Tool, ToolCall, Trace


def pixels(image: ImageRef) -> bytes | None:
    """RGB bytes of a region, behind its width; None where Pillow is not installed or the file is gone."""
    try:
        from medxiaohe.images import open_image

        shown = open_image(image)
    except ImportError:
        return None
    except DataError:
        if not Path(image.uri).exists():
            return None
        raise
    return shown.width.to_bytes(4, "big") + shown.tobytes()


def replayed(trace: Trace, folder: Path) -> Iterator[Replayed]:
    """Run the pure tools of a trace, and its workflow over the recorded results."""
    versions = dict(one.rpartition("@")[::2] for one in trace.origin.get("tools", "").split(", ") if one)
    for step in trace.steps:
        if step.kind == "use":
            yield _call(step, versions)
    yield _workflow(trace)


@cache
def _tool(name: str) -> Tool | None:
    """A tool as it is installed here; the tools of other people's files are never run."""
    try:
        return describe_tools([name])[0] if name in plugins.available("tools") else None
    except MedError:
        return None


@cache
def _flow(name: str) -> Any:
    return plugins.load("workflows", name) if name in plugins.available("workflows") else None


def _call(step: Step, versions: dict[str, str]) -> Replayed:
    tool = _tool(step.who)
    if tool is None:
        return Replayed(step.n, None, "a tool is not installed here")
    if why := _not_here(tool, versions.get(step.who)):
        return Replayed(step.n, None, why)
    given: Any = step.given
    result = call_tool(ToolCall(given["id"], step.who, given["arguments"]), [tool])
    same = io.to_json(result) == io.to_json(step.got)
    return Replayed(step.n, same, "" if same else f"the tool {step.who} gives another result")


def _not_here(tool: Tool, version: str | None) -> str:
    if version is not None and version != tool.version:
        return "a tool is of another version here"
    if not tool.pure or tool.effects != "none":
        return "a tool is not pure"
    return "a tool needs resources that the trace does not hold" if tool.needs else ""


def _workflow(trace: Trace) -> Replayed:
    name = trace.origin.get("workflow", "")
    function = _flow(name)
    if function is None:
        return Replayed(-1, None, "the trace names no workflow that is installed here")
    if not is_flow(function):
        return Replayed(-1, None, "the workflow has no record to replay")
    if trace.stop == "budget":
        return Replayed(-1, None, "the workflow was stopped by its budget")
    try:
        again = by_digest(replay(trace, function))
    except DataError as error:
        return Replayed(-1, False, str(error))
    if not again.claims:  # they were added behind the workflow, which makes none
        again = replace(again, claims=trace.claims, rulings=trace.rulings)
    again = replace(again, origin=trace.origin)
    same = io.to_json(again) == io.to_json(trace)
    return Replayed(-1, same, "" if same else f"the workflow {name} ends otherwise on these results")
