"""Replay recorded work: pure tools and the workflow of a trace, and the pixels of its regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.agents.engine import is_flow
from medxiaohe.agents.engine.replay import replay
from medxiaohe.errors import DataError, MedError
from medxiaohe.evals.running.origin import STORE_TOOL, store_digest, tool_digest
from medxiaohe.retrieval.library import open_library
from medxiaohe.tools.toolbox import bind, call_tool, conversation_images, describe_tools
from medxiaohe.traces import Replayed
from medxiaohe.traces.blobs import Blobs
from medxiaohe.traces.records import renamed
from medxiaohe.types import ImageRef, Step, Tool, ToolCall, ToolResult, Trace

LIBRARY = "library"


def pixels(image: ImageRef) -> bytes | None:
    """Decode the pixels of an image or region.

    Args:
        image: by its path and box.

    Returns:
        its width (4 bytes, big-endian), then the bytes of its pixels, row by row; None if Pillow is not
        installed or the file is missing.

    Raises:
        DataError: the file exists but is not a readable image.
    """
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


class Replayer:
    """Replays the pure tools of traces, and their workflows on the recorded results."""

    def __init__(self, blobs: Blobs, stores: Mapping[str, str] | None = None) -> None:
        """`stores` are files or folders that `search` and its like search, by name; "library" is the one of
        `search`."""
        self.blobs = blobs
        self.stores = {name: Path(path) for name, path in (stores or {}).items()}
        self._libraries: dict[str, Any] = {}

    def __call__(self, trace: Trace) -> Iterator[Replayed]:
        versions = dict(
            item.rpartition("@")[::2] for item in trace.origin.get("tools", "").split(", ") if item
        )
        for step in trace.steps:
            if step.kind == "use":
                yield self._call(trace, step, versions)
        yield _workflow(trace)

    def _call(self, trace: Trace, step: Step, versions: dict[str, str]) -> Replayed:
        tool = _tool(step.who)
        if tool is None:
            return Replayed(step.n, None, "a tool is not installed here")
        recorded = trace.origin.get(f"tool.{step.who}", "")
        same_code = not recorded or recorded == _digest(step.who)
        if versions.get(step.who, tool.version) != tool.version or not same_code:
            return Replayed(step.n, None, "a tool is of another version here")
        if LIBRARY in tool.needs:
            store, why = self._library(trace, step.who)
            if why:
                return Replayed(step.n, None, why)
            tool = bind(tool, library=store)
        if not tool.pure or tool.effects != "none":
            return Replayed(step.n, None, "a tool is not pure")
        if set(tool.needs) - {"images"}:
            return Replayed(step.n, None, "a tool needs resources that the trace does not hold")
        shown = self._images(trace, step)
        if tool.needs and shown is None:
            return Replayed(step.n, None, "an image is not in blobs/")
        request: Any = step.given
        result = call_tool(ToolCall(request["id"], step.who, request["arguments"]), [tool], shown or ())
        return self._same(step, result)

    def _same(self, step: Step, result: ToolResult) -> Replayed:
        """Compare a result with the recorded one; pictures by their pixels, because PNG files of equal
        pixels differ between versions of a library."""
        now, then = renamed(io.to_json(result)), renamed(io.to_json(step.got))
        if now == then:
            return Replayed(step.n, True)
        why = f"the tool {step.who} gives another result"
        if _without_pictures(now) != _without_pictures(then):
            return Replayed(step.n, False, why)
        for picture, recorded in zip(_pictures(result), _pictures(step.got), strict=True):
            path = self.blobs.path(recorded.sha256)
            if path is None:
                return Replayed(step.n, None, "an image is not in blobs/")
            if pixels(picture) != pixels(replace(recorded, uri=str(path))):
                return Replayed(step.n, False, why)
        return Replayed(step.n, True)

    def _library(self, trace: Trace, tool: str) -> tuple[Any, str]:
        """Open the store that a tool searches; the second value states why that failed."""
        name = tool.removeprefix(STORE_TOOL) if tool.startswith(STORE_TOOL) else LIBRARY
        if name not in self.stores:
            return None, "a store was not given: name it with --library"
        recorded = trace.origin.get(f"store.{name}", "")
        if not recorded:
            return None, "the trace has no digest of a store"
        if name not in self._libraries:
            path = self.stores[name]
            self._libraries[name] = store_digest(path), open_library(str(path))
        digest, store = self._libraries[name]
        return store, "" if digest == recorded else "a store is another one here"

    def _images(self, trace: Trace, step: Step) -> tuple[ImageRef, ...] | None:
        """Collect the images that a step could use, as files; None if one is missing."""
        before = trace.steps[: max(step.after, default=-1) + 1]
        results = list(conversation_images(trace.prompt.messages))
        for item in before:
            if item.kind == "use" and isinstance(item.got, ToolResult):
                results += [part for part in item.got.parts if isinstance(part, ImageRef)]
        paths = [self.blobs.path(image.sha256) for image in results]
        if not all(paths):
            return None
        return tuple(replace(image, uri=str(path)) for image, path in zip(results, paths, strict=True))


def replayed(trace: Trace, folder: Path) -> Iterator[Replayed]:
    """Replay a trace with only the files of its folder's blobs/.

    Args:
        trace: whose tool calls and workflow are run again.
        folder: of traces.

    Yields:
        one result for each tool call, then one for the workflow (step -1), with `None` where it could not
        be replayed.
    """
    return Replayer(Blobs(folder))(trace)


def _pictures(result: Any) -> list[ImageRef]:
    images = [part for part in result.parts if isinstance(part, ImageRef)]
    return images + [image for item in result.evidence for image in item.images]


def _without_pictures(value: Any) -> Any:
    """Remove names and digests of images from JSON, to compare the rest."""
    if isinstance(value, dict):
        named = value.get("type") == "ImageRef" or {"uri", "sha256"} <= value.keys()
        return {k: _without_pictures(v) for k, v in value.items() if not (named and k in ("uri", "sha256"))}
    return [_without_pictures(item) for item in value] if isinstance(value, list) else value


@cache
def _tool(name: str) -> Tool | None:
    """Load a tool that is installed here; tools of user files are never run."""
    available = plugins.available("tools")
    try:
        if name not in available and name.startswith(STORE_TOOL):
            return replace(describe_tools(["search"])[0], name=name)
        return describe_tools([name])[0] if name in available else None
    except MedError:
        return None


@cache
def _digest(name: str) -> str:
    tool = _tool(name)
    return tool_digest(tool) if tool is not None else ""


@cache
def _flow(name: str) -> Any:
    return plugins.load("workflows", name) if name in plugins.available("workflows") else None


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
        again = replay(trace, function)
    except DataError as error:
        return Replayed(-1, False, str(error))
    if not again.claims:  # they were added behind the workflow, which makes none
        again = replace(again, claims=trace.claims, rulings=trace.rulings)
    again = replace(again, origin=trace.origin)
    same = renamed(io.to_json(again)) == io.to_json(trace)
    return Replayed(-1, same, "" if same else f"the workflow {name} ends otherwise on these results")
