"""Workflow: let the model answer, running the tools it calls until it calls none."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Case, Example, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, Need, tool_loop
from medxiaohe.types import Message, ToolCall

MAX_ROUNDS = 8
EXAMPLE = Example("B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=())
def answer(case: Case, rounds: int = MAX_ROUNDS, use: Need = "allowed") -> Generator[Any, Any, Answer]:
    """At most `rounds` rounds of tools; a conversation that still calls then ends with an error.

    Args:
        case: the item: prompt, tools and images.
        rounds: most rounds of tool calls.
        use: allowed, forced or none: whether tools may, must or cannot be called.

    Returns:
        the answer, with claims where there are some
    """
    return (yield from tool_loop(case, CALLS, rounds, use))
