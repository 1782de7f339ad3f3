"""Results of tools: convert what a function returned to a ToolResult of limited size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ToolError
from medxiaohe.types import Evidence, ImageRef, ToolResult

MAX_TEXT = 50_000  # characters of one result: about 12,000 tokens of English, a third of a usual context
MAX_IMAGES = 32  # of one result; each costs hundreds of tokens
MAX_ERROR = 2_000  # characters of an error
NOTHING = "nothing found"


def as_result(value: Any) -> ToolResult:
    """Convert what a tool returned to a ToolResult.

    Text is taken as it is, Evidence becomes a line `[id] text` with its images, a dataclass or mapping a line
    `name: value` for each field, a list its JSON; the last two are kept as JSON in `data`.

    Args:
        value: what the function of a tool returned.

    Returns:
        a result, not yet limited in size
    """
    if isinstance(value, ToolResult):
        return value
    if isinstance(value, ImageRef):
        return ToolResult("", (value,))
    if isinstance(value, Evidence):
        value = (value,)
    if isinstance(value, (tuple, list)) and (value or isinstance(value, tuple)):
        if all(isinstance(item, Evidence) for item in value):
            text = "\n".join(f"[{item.id}] {item.text}" for item in value) or NOTHING
            shown = tuple(image for item in value for image in item.images)
            return ToolResult("", (text, *shown), evidence=tuple(value))
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return ToolResult("", (_lines(named),), data=io.to_json(value))
    if isinstance(value, Mapping):
        return ToolResult("", (_lines(value),), data=io.to_json(value))
    if isinstance(value, (list, tuple)):
        data = io.to_json(value)
        return ToolResult("", (json.dumps(data, ensure_ascii=False),), data=data)
    return ToolResult("", (str(value),) if value is not None else ("done",))


def _lines(values: Mapping[Any, Any]) -> str:
    """Write one line for each field; texts unchanged, other values as JSON."""
    texts = {
        name: v if isinstance(v, str) else json.dumps(io.to_json(v), ensure_ascii=False)
        for name, v in values.items()
    }
    return "\n".join(f"{name}: {text}" for name, text in texts.items())


def limited(tool: str, result: ToolResult) -> ToolResult:
    """Limit the size of a result: text that is too long is cut, with a line that says so.

    Args:
        tool: name, for messages.
        result: of one call.

    Returns:
        the result. Evidence and data are never cut, since they would no longer be what the source says.

    Raises:
        ToolError: too much evidence or data, or too many images.
    """
    too_many = sum(isinstance(part, ImageRef) for part in result.parts)
    if too_many > MAX_IMAGES:
        raise ToolError(f"{tool} returned {too_many} images, more than {MAX_IMAGES}: ask for less")
    size = sum(len(item.text) for item in result.evidence)
    if result.data is not None:
        size = max(size, len(json.dumps(result.data, ensure_ascii=False)))
    if size > MAX_TEXT:
        raise ToolError(
            f"{tool} returned {size:,} characters, more than the {MAX_TEXT:,} of one result: ask for less"
        )
    if len(result.error) > MAX_ERROR:
        result = replace(result, error=f"{result.error[:MAX_ERROR]}...")
    length = sum(len(part) for part in result.parts if isinstance(part, str))
    if length <= MAX_TEXT + size:  # evidence as text includes its ids
        return result
    parts: list[str | ImageRef] = []
    room = MAX_TEXT
    for part in result.parts:
        if isinstance(part, str):
            part, room = part[:room], room - len(part[:room])
            if not part:
                continue
        parts.append(part)
    parts.append(f"[the result was cut: this is the first {MAX_TEXT:,} of {length:,} characters]")
    return replace(result, parts=tuple(parts))
