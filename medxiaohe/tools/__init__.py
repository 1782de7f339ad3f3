"""Tools: one file each. A tool is a plain function with type hints and a docstring; the decorator `tool`
makes it one that a model may call, and `tools.toolbox` finds, completes and calls it."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, overload

from medxiaohe.errors import ConfigError
from medxiaohe.tools.toolbox.parameters import hints_of, schema_of
from medxiaohe.tools.toolbox.results import as_result
from medxiaohe.types import Effects, Tool, ToolResult

EFFECTS: tuple[Effects, ...] = ("none", "reads", "writes")


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    version: str = "1",
    pure: bool = True,
    effects: Effects = "none",
    example: Mapping[str, Any] | None = None,
    seconds: float = 30.0,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    version: str = "1",
    pure: bool = True,
    effects: Effects = "none",
    example: Mapping[str, Any] | None = None,
    seconds: float = 30.0,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a Tool of a function, as `@tool` or as `@tool(example={...}, version="2")`.

    The model sees the name, the docstring and the parameters before `*`. Each of these is a str, int, float,
    bool, Literal, list[str], list[int], list[float], or `X | None` of them; one with a default, or that may
    be None, may be left out. Parameters after `*` are resources, which the toolbox gives and the model never
    sees: `images` are those of the conversation, other names come from the task or the settings
    (toolbox.open_tools).

    The function may return text, Evidence, a tuple of Evidence, a ToolResult, or a dataclass, mapping or
    list, which is shown as lines and recorded as JSON. It raises ToolError with a sentence the model can act
    on. It runs in a thread of its own, with a time limit.

    Args:
        function: the function, where the decorator is used without arguments.
        version: changes whenever the same arguments may give another result than before.
        pure: whether the same arguments and resources always give the same result.
        effects: what a call does besides its result: "none", "reads" or "writes" files or services.
        example: arguments that work, for the documentation and the contract test.
        seconds: time limit of one call.

    Returns:
        the Tool, or a decorator that makes one where `function` is left out.

    Raises:
        ConfigError: the function has no docstring, or a parameter of another type; unknown effects; a
            negative time limit.
    """
    if function is None:
        return lambda target: _made(target, version, pure, effects, dict(example or {}), seconds)
    return _made(function, version, pure, effects, dict(example or {}), seconds)


def _made(
    function: Callable[..., Any],
    version: str,
    pure: bool,
    effects: Effects,
    example: Mapping[str, Any],
    seconds: float,
) -> Tool:
    name = function.__name__
    if not function.__doc__:
        raise ConfigError(f"tool {name!r} needs a docstring: it is what the model reads")
    if effects not in EFFECTS or seconds < 0:
        raise ConfigError(f"tool {name!r}: effects are {', '.join(EFFECTS)}, and seconds at least 0")
    shown: list[inspect.Parameter] = []
    resources: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigError(f"tool {name!r}: {parameter.name!r} must be a parameter with a name of its own")
        (resources if parameter.kind is parameter.KEYWORD_ONLY else shown).append(parameter)
    parameters, absent = schema_of(name, shown, hints_of(function))

    @wraps(function)  # so that the function and its file can be found from the tool
    def run(**arguments: Any) -> ToolResult:
        return as_result(function(**{**absent, **arguments}))

    return Tool(
        name,
        inspect.cleandoc(function.__doc__),
        parameters,
        run,
        version=version,
        pure=pure,
        effects=effects,
        example=example,
        needs=tuple(resource.name for resource in resources if resource.default is resource.empty),
        options=tuple(resource.name for resource in resources if resource.default is not resource.empty),
        seconds=seconds,
    )
