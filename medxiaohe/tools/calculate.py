"""Arithmetic: the one calculator that serves every formula."""

import ast
import math
import operator
from collections.abc import Callable

from medxiaohe.errors import ToolError
from medxiaohe.tools import tool

BINARY: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
CALLS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "ln": math.log, "log10": math.log10, "abs": abs,
    "min": min, "max": max,
    "round": round,
}  # fmt: skip
LARGEST = 1e15
LONGEST = 500  # characters


@tool(example={"expression": "(140 - 51) * 39 * 0.85 / (2.07 * 72)"})
def calculate(expression: str) -> str:
    """The value of an arithmetic expression: numbers, + - * / ** ( ), sqrt, exp, ln, log10, abs, min, max,
    round."""
    try:
        if len(expression) > LONGEST:
            raise ToolError(f"the expression is longer than {LONGEST} characters")
        value = _value(ast.parse(expression.replace("^", "**").replace("×", "*").strip(), mode="eval").body)
    except (
        SyntaxError,
        TypeError,
        ValueError,
        ZeroDivisionError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ToolError(f"cannot compute {expression[:80]!r}: {error}") from error
    return f"{value:.10g}"


def _value(node: ast.expr) -> float:
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ):
        return _bounded(float(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return -_value(node.operand) if isinstance(node.op, ast.USub) else _value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        return _bounded(BINARY[type(node.op)](_value(node.left), _value(node.right)))
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in CALLS
        and not node.keywords
    ):
        values = [_value(arg) for arg in node.args]
        if node.func.id == "round" and len(values) == 2:
            return round(values[0], int(values[1]))
        return _bounded(float(CALLS[node.func.id](*values)))
    raise ToolError("only numbers, + - * / ** ( ) and sqrt, exp, ln, log10, abs, min, max, round are allowed")


def _bounded(value: float) -> float:
    if isinstance(value, complex) or not abs(value) <= LARGEST:
        raise ToolError("the value is too large, or no real number")
    return value
