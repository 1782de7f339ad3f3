"""Open tools by name and execute tool calls.

    open_tools      tools by their names, with the resources they need
    task_tools      those of a task, and those the settings add
    describe_tools  tools as a model is shown them, for rows that nobody calls from and for documentation
    call_tool       one call of a model, with the images of its conversation

Evaluation, rollouts, demonstrations, training rows and servers all use these, so a tool is the same in each.
A resource is what a tool works on besides its arguments: `images` are those of the conversation, given at
each call; every other one (`library`, the passages that `search` searches) is given once, by the task
(`Task.resources`) or by the settings. A tool whose resource is missing is refused, never run with test data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from medxiaohe import plugins
from medxiaohe.errors import ConfigError, MedError, ToolError
from medxiaohe.tools import mcp
from medxiaohe.tools.toolbox.parameters import checked
from medxiaohe.tools.toolbox.results import as_result, limited
from medxiaohe.tools.toolbox.time_limit import OutOfTime, within
from medxiaohe.types import ImageRef, Message, Task, Tool, ToolCall, ToolResult

PRIVACY = "privacy"  # the resource that says what may leave this machine (privacy/guard.py)
IMAGES = "images"  # the resource that is given at each call: the images of the conversation
HOW_TO_GIVE = {
    "library": "set `library` of the task or evaluation, or `retriever` of training, to a file of passages or"
    " a store",
    "cases": "set `stores.cases` of the evaluation, or --library cases=FILE of `ask`, to passages with"
    " images",
    "prototypes": "set `stores.prototypes` of the evaluation to a file of benchmarks/intents.py",
}


def open_tools(names: Iterable[str], resources: Mapping[str, Any] | None = None) -> tuple[Tool, ...]:
    """Open tools by their names, each with the resources it needs.

    Args:
        names: of tools that ship ("zoom"), of a file ("mine/eye.py:eye") or of a package ("my_pkg.eye:eye").
            A name may also stand for a function without parameters that returns a Tool. "mcp:" and an address
            or a command are all tools of an MCP server (tools/mcp/client.py).
        resources: by name ("library"), or by tool and name ("search.library"); a value that is a function is
            called, once, when a tool needs it.

    Returns:
        A tool for each name, in order. Tools that need `images` get them at each call.

    Raises:
        ConfigError: no such tool; two tools of one name; a required resource is missing.
    """
    available = _Resources(resources or {})
    privacy = available.get(PRIVACY, "local_only")
    named = [tool for name in dict.fromkeys(names) for tool in _tools_of(name, privacy)]
    tools = tuple(_complete(tool, available) for tool in named)
    called = [tool.name for tool in tools]
    if twice := next((name for name in called if called.count(name) > 1), ""):
        raise ConfigError(f"two tools are called {twice!r}: leave one of them out")
    return tools


def task_tools(
    task: Task, names: Iterable[str] = (), resources: Mapping[str, Any] | None = None
) -> tuple[Tool, ...]:
    """Open the tools that settings name, and then those of the task; the settings win where two have one
    name.

    Args:
        task: its `tools`, with its `resources`.
        names: tools of the settings.
        resources: preferred to those of the task.

    Returns:
        tools with their resources.

    Raises:
        ConfigError: there is no such tool, or a resource is missing.
    """
    merged = {**task.resources, **(resources or {})}
    added = open_tools(names, merged)
    taken = {tool.name for tool in added}
    own = [name for name in dict.fromkeys(task.tools) if _named(name).name not in taken]
    return (*added, *open_tools(own, merged))


def describe_tools(names: Iterable[str]) -> tuple[Tool, ...]:
    """Load tools by their names as a model is shown them; they have no resources, so they cannot be
    called.

    Args:
        names: of tools; one that occurs twice is returned once.

    Returns:
        tools without resources

    Raises:
        ConfigError: there is no such tool.
    """
    return tuple(map(_named, dict.fromkeys(names)))


def bind(tool: Tool, /, **resources: Any) -> Tool:
    """Bind resources to a tool; those that it does not take are ignored.

    Args:
        tool: what is bound.
        resources: name -> resource.

    Returns:
        the tool; what it still needs is in `needs`
    """
    taken = {name: value for name, value in resources.items() if name in (*tool.needs, *tool.options)}
    pure = tool.pure and all(getattr(value, "pure", True) for value in taken.values())
    return replace(
        tool,
        run=partial(tool.run, **taken) if taken else tool.run,
        needs=tuple(name for name in tool.needs if name not in taken),
        options=tuple(name for name in tool.options if name not in taken),
        pure=pure,
        effects="reads" if not pure and tool.pure and tool.effects == "none" else tool.effects,
    )


def conversation_images(messages: Iterable[Message]) -> tuple[ImageRef, ...]:
    """List the images of a conversation in order, those that tools returned included; tools count them
    from 1.

    Args:
        messages: the conversation so far.

    Returns:
        images in order
    """
    results: list[ImageRef] = []
    for message in messages:
        for part in message.parts:
            shown = part.parts if isinstance(part, ToolResult) else (part,)
            results += [item for item in shown if isinstance(item, ImageRef)]
    return tuple(results)


def call_tool(call: ToolCall, tools: Sequence[Tool], images: Sequence[ImageRef] = ()) -> ToolResult:
    """Execute one tool call of a model.

    Args:
        call: name and arguments as the model wrote them.
        tools: those the model was offered.
        images: of the conversation so far (`conversation_images`), for tools that look at them.

    Returns:
        the result, with the id of the call. What is wrong with the call or goes wrong inside the tool is
        its error, which the model may read and correct: an unknown tool or argument, an image that does
        not exist, an exception, a time limit.

    Raises:
        MedError: an error that no model can correct, such as RetrieverDown.
    """
    by_name = {tool.name: tool for tool in tools}
    tool = by_name.get(call.name)
    try:
        if tool is None:
            raise ToolError(f"no tool {call.name!r}{plugins.nearest(str(call.name), by_name)}")
        arguments = checked(tool.name, tool.parameters, call.arguments)
        if IMAGES in tool.needs and not images:
            raise ToolError(f"{tool.name} looks at an image of the conversation, and there is none")
        bound = bind(tool, images=tuple(images))
        if bound.needs:
            raise _missing(bound, bound.needs[0])
        value = within(tool.seconds, partial(bound.run, **arguments))
        return replace(limited(tool.name, as_result(value)), call_id=call.id)
    except ToolError as error:
        return limited(call.name, ToolResult(call.id, (), error=f"ToolError: {error}"))
    except OutOfTime:
        assert tool is not None
        done = "; it may have been done all the same" if tool.effects == "writes" else ""
        return ToolResult(
            call.id, (), error=f"ToolError: {tool.name} gave no result within {tool.seconds:g} s{done}"
        )
    except MedError:
        raise
    except Exception as error:
        return limited(call.name, ToolResult(call.id, (), error=f"{type(error).__name__}: {error}"))


class _Resources:
    """Resources by name; a value that is a function is called once, when it is first needed."""

    def __init__(self, resources: Mapping[str, Any]):
        self._given = dict(resources)

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str, default: Any) -> Any:
        """Look up a resource, and build it where it is a function.

        Args:
            name: of the resource.
            default: returned where there is none of this name.

        Returns:
            its value.
        """
        try:
            return self[name]
        except KeyError:
            return default

    def __getitem__(self, name: str) -> Any:
        if callable(self._given[name]):
            self._given[name] = self._given[name]()
        return self._given[name]


def _complete(tool: Tool, resources: _Resources) -> Tool:
    result = {}
    for name in (*tool.needs, *tool.options):
        own = f"{tool.name}.{name}"  # a resource of this tool alone
        if own in resources or name in resources:
            result[name] = resources[own if own in resources else name]
        elif name in tool.needs and name != IMAGES:
            raise _missing(tool, name)
    return bind(tool, **result)


def _missing(tool: Tool, name: str) -> ConfigError:
    advice = HOW_TO_GIVE.get(name, f"give `{name}` in the task's resources")
    return ConfigError(f"the tool {tool.name} needs a {name} and has none: {advice}")


def _tools_of(name: str, privacy: str) -> tuple[Tool, ...]:
    """The tool of a name, or all tools of an MCP server."""
    if not name.startswith(mcp.PREFIX):
        return (_named(name),)
    from medxiaohe.tools.mcp.client import server_tools

    return server_tools(name, privacy)


def _named(name: str) -> Tool:
    """The tool of a name, without resources."""
    result: Any = plugins.load("tools", name)
    if isinstance(result, Tool):
        return result
    built = _called(name, result) if callable(result) else result
    if not isinstance(built, Tool):
        raise ConfigError(f"{name} is no tool but a {type(built).__name__}: put @tool above the function")
    return built


def _called(name: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except TypeError as error:
        raise ConfigError(f"{name} is no tool, and no function that returns one: {error}") from error
