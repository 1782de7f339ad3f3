"""Plans of indicators, weights and tools: validation, and the decision from their results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe import plugins
from medxiaohe.agents.parsing.blocks import text_of
from medxiaohe.agents.parsing.structured import number_in, text_in
from medxiaohe.models.asking import Unreadable
from medxiaohe.types import ToolResult

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
CLOSE = 1e-9  # a sum of weights this far below the threshold still reaches it


def decide(rows: Sequence[Mapping[str, Any]], threshold: float) -> tuple[float, str]:
    """Decide yes or no: whether the sum of weight times result reaches a threshold (MedAgent-Pro, arXiv
    2503.18968).

    Args:
        rows: with `weight` and `result`, which is 0, 1 or None.
        threshold: in the unit of the weights.

    Returns:
        (sum over the rows with a result, decision); the decision is "" if the rows without a result could
        change it
    """
    # sum of w_i * x_i over the steps with a result; the steps without one can add at most their weights
    total = sum(float(row["weight"]) * row["result"] for row in rows if row["result"] is not None)
    open_ = sum(float(row["weight"]) for row in rows if row["result"] is None)
    if total >= threshold - CLOSE:
        return total, "yes"
    return total, "" if total + open_ >= threshold - CLOSE else "no"


def number_of(result: ToolResult, field: str) -> tuple[float | None, str]:
    """Read the number that a tool returned.

    Args:
        result: of the tool.
        field: of the fields that the tool returned, such as "count"; "" takes the one number of its text.

    Returns:
        (number, ""), or (None, why there is no number)
    """
    if result.error:
        return None, result.error
    if field:
        value = result.data.get(field) if isinstance(result.data, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            fields = ", ".join(result.data) if isinstance(result.data, Mapping) else "none"
            return None, f"it gives no number {field!r}: its fields are {fields}"
        return float(value), ""
    numbers = NUMBER.findall(text_of(result))
    if len(numbers) != 1:
        return None, f"it must give one number, not {len(numbers)}; or name a field"
    return float(numbers[0]), ""


def valid(value: Any, tools: Sequence[str]) -> dict[str, Any]:
    """Validate a plan and fill in its optional fields.

    Args:
        value: of the JSON that the planner wrote.
        tools: names of those that a step may use.

    Returns:
        threshold and steps

    Raises:
        Unreadable: the plan cannot be executed; the message tells the planner what to repair.
    """
    steps = value.get("steps") if isinstance(value, dict) else None
    if not isinstance(steps, list) or not steps:
        raise Unreadable('the object needs "steps": a list of objects')
    threshold, read = number_in("threshold", 0, 1e9)(value), []
    for step in steps:
        row = {"indicator": text_in("indicator")(step), "weight": number_in("weight", 0, 1e9)(step)}
        row |= {"tool": step.get("tool") or "", "arguments": step.get("arguments") or {}, "image": 0}
        if row["tool"] and row["tool"] not in tools:
            raise Unreadable(
                f"there is no tool {str(row['tool'])!r}{plugins.nearest(str(row['tool']), tools)}"
            )
        sides = [side for side in ("at_least", "at_most") if side in step]
        if row["tool"] and (len(sides) != 1 or not isinstance(row["arguments"], dict)):
            raise Unreadable(
                f'the step {row["indicator"]!r} needs "arguments" and one of "at_least" and "at_most"'
            )
        row |= {"side": sides[0], "limit": number_in(sides[0], -1e9, 1e9)(step)} if row["tool"] else {}
        row["field"] = text_in("field")(step) if "field" in step else ""
        row["image"] = int(number_in("image", 1, 1000)(step)) if "image" in step else 0
        read.append(row)
    if sum(row["weight"] for row in read) < threshold - CLOSE or threshold <= 0:
        raise Unreadable(f"the weights cannot reach the threshold {threshold:g}, or it is not above 0")
    return {"threshold": threshold, "steps": read}
