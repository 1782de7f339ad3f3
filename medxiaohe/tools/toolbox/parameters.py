"""Parameters of tools: convert type hints to JSON schema, and check the arguments that a model wrote."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from medxiaohe.errors import ConfigError, ToolError
from medxiaohe.plugins import nearest

JSON_TYPES: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
ALLOWED = "str, int, float, bool, Literal, list[str], list[int], list[float], or X | None of these"
MAX_NUMBER = sys.float_info.max
MAX_SHOWN = 80  # characters of an argument in an error message


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Evaluate the type hints of a function.

    Args:
        function: of a tool.

    Returns:
        name of a parameter -> its type

    Raises:
        ConfigError: a type is imported for type checkers only.
    """
    try:
        return get_type_hints(function)
    except NameError as error:
        raise ConfigError(
            f"tool {function.__name__!r}: {error}: import the types of its parameters outside TYPE_CHECKING"
        ) from error


def schema_of(
    tool: str, parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, None]]:
    """Build the JSON schema of parameters from their type hints.

    Args:
        tool: name, for messages.
        parameters: those that the model sees.
        hints: parameter -> type.

    Returns:
        (schema, {name: None} for each parameter that may be None and has no default).

    Raises:
        ConfigError: a parameter has no type hint, or one that no JSON schema of tools says.
    """
    properties: dict[str, Any] = {}
    required: list[str] = []
    absent: dict[str, None] = {}
    for parameter in parameters:
        name = parameter.name
        properties[name] = schema = _schema(hints.get(name))
        if schema is None:
            raise ConfigError(f"tool {tool!r}: {name!r} must be one of {ALLOWED}")
        if parameter.default is parameter.empty:
            if "null" in _types(schema):
                absent[name] = None
            else:
                required.append(name)
    return {
        "type": "object", "properties": properties, "required": required, "additionalProperties": False,
    }, absent  # fmt: skip


def _schema(hint: Any) -> dict[str, Any] | None:
    """Convert one type hint to JSON schema; None where it has none."""
    if isinstance(hint, type) and hint in JSON_TYPES:
        return {"type": JSON_TYPES[hint]}
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        others = [item for item in inner if item is not types.NoneType]
        schema = _schema(others[0]) if len(others) == 1 and len(inner) == 2 else None
        if schema is None:
            return None
        schema = {**schema, "type": [*_types(schema), "null"]}
        return {**schema, "enum": [*schema["enum"], None]} if "enum" in schema else schema
    if origin is Literal:
        kinds = {type(value) for value in inner}
        if len(kinds) != 1 or not kinds <= JSON_TYPES.keys():
            return None
        return {"type": JSON_TYPES[kinds.pop()], "enum": list(inner)}
    if origin is list and len(inner) == 1 and inner[0] in (str, int, float):
        return {"type": "array", "items": {"type": JSON_TYPES[inner[0]]}}
    return None


def checked(tool: str, schema: Mapping[str, Any], arguments: Any) -> dict[str, Any]:
    """Check the arguments of a call and convert them to the types of the schema.

    Args:
        tool: name, for messages.
        schema: of the parameters.
        arguments: as the model wrote them.

    Returns:
        arguments; an integer is accepted for a float and 2.0 for an int, "70 kg" is neither.

    Raises:
        ToolError: an argument is unknown, missing or of another type; the sentence says what is allowed.
    """
    if not isinstance(arguments, Mapping):
        raise ToolError(f"the arguments of {tool} must be a JSON object, not {_shown(arguments)}")
    properties: Mapping[str, Any] = schema.get("properties", {})
    if unknown := next((name for name in arguments if name not in properties), None):
        raise ToolError(f"{tool} has no parameter {_shown(unknown)}{nearest(str(unknown), properties)}")
    if missing := [name for name in schema.get("required", ()) if name not in arguments]:
        raise ToolError(f"{tool} needs the parameter {' and '.join(missing)}")
    return {
        name: _value(f"{tool}: {name}", properties[name], value)
        for name, value in arguments.items()
    }  # fmt: skip


def _value(label: str, schema: Mapping[str, Any], value: Any) -> Any:
    kinds = _types(schema)
    if value is None and "null" in kinds:
        return None
    if "array" in kinds and isinstance(value, (list, tuple)):
        return [_value(f"{label}[{i}]", schema.get("items", {}), item) for i, item in enumerate(value)]
    # a schema without a type, of a tool without the decorator, accepts any value
    fits, fitted = not kinds, value
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and not abs(value) <= MAX_NUMBER:
        raise ToolError(f"{label} must be a finite number")
    for kind in kinds:
        if kind == "string" and isinstance(value, str):
            fits = True
        elif kind == "boolean" and isinstance(value, bool):
            fits = True
        elif kind == "object" and isinstance(value, Mapping):
            fits = True
        elif kind == "number" and is_number:
            fits, fitted = True, float(value)
        elif kind == "integer" and is_number and float(value).is_integer():
            fits, fitted = True, int(value)
    if not fits:
        names = " or ".join("list" if kind == "array" else kind for kind in kinds)
        raise ToolError(f"{label} must be a JSON {names}, not {_shown(value)}")
    if "enum" in schema and not any(fitted == item and type(fitted) is type(item) for item in schema["enum"]):
        allowed = ", ".join(map(repr, schema["enum"]))
        raise ToolError(f"{label} must be one of {allowed}, not {_shown(value)}")
    return fitted


def _types(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
