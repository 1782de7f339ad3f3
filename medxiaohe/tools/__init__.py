"""Tools: one file each. A tool is a plain function with type hints and a docstring, and the model sees just
these."""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from medxiaohe.errors import ConfigError, ToolError
from medxiaohe.types import Evidence, Tool, ToolResult

JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def tool(function: Callable[..., Any]) -> Tool:
    """Make a Tool of a function whose parameters are str, int, float or bool; one with a default may be left
    out."""
    if not function.__doc__:
        raise ConfigError(f"tool {function.__name__!r} needs a docstring: it is what the model reads")
    hints, required, properties = get_type_hints(function), [], {}
    for name, parameter in inspect.signature(function).parameters.items():
        if hints.get(name) not in JSON_TYPES:
            raise ConfigError(f"tool {function.__name__!r}: {name!r} must be one of str, int, float, bool")
        properties[name] = {"type": JSON_TYPES[hints[name]]}
        if parameter.default is parameter.empty:
            required.append(name)

    def run(**arguments: Any) -> ToolResult:
        return result(
            function(
                **{name: _fit(name, value, hints, function.__name__) for name, value in arguments.items()}
            )
        )

    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Tool(function.__name__, inspect.cleandoc(function.__doc__), schema, run)


def result(value: Any) -> ToolResult:
    """A tool may return text, evidence, or a ToolResult of its own."""
    if isinstance(value, ToolResult):
        return value
    if isinstance(value, tuple) and all(isinstance(one, Evidence) for one in value):
        text = "\n".join(f"[{one.id}] {one.text}" for one in value) or "nothing found"
        return ToolResult("", (text, *(image for one in value for image in one.images)), evidence=value)
    return ToolResult("", (str(value),))


def _fit(name: str, value: Any, hints: dict[str, Any], tool_name: str) -> Any:
    """The value when it has the type the tool states; a whole number is fine for a float, "70 kg" is not."""
    kind = hints.get(name)
    if kind is None:
        raise ToolError(
            f"{tool_name} has no parameter {name!r}; there are {', '.join(k for k in hints if k != 'return')}"
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ToolError(f"{tool_name}: {name} must be a JSON {JSON_TYPES[kind]}, not {value!r}")
    return value
