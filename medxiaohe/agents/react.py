"""Workflow: think, search, and decide, in plain text lines (ReAct, Yao and others 2023), for models with or
without tool calls.

A reply of the model is one step. A reply that fits SEARCH is answered with what the tool `search` finds, and
the model goes on; every other reply is its last word, which the caller reads. A model that calls tools the
native way may do so.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Answer, Case, Example, workflow
from medxiaohe.agents.engine.tool_loop import Grammar, tool_loop
from medxiaohe.types import Message, ToolCall, ToolResult

MAX_STEPS = 6
SEARCH = re.compile(r"\s*Thought:[ \t]*(?P<thought>\S[^\n]*)\n+Search:[ \t]*(?P<query>\S[^\n]{0,300})\s*")
NOTHING = "nothing found"
EXAMPLE = Example("Thought: it is clear\nDecide: 1", Message("assistant", ("Thought: more\nSearch: scurvy",)))


@workflow(roles=())
def react(case: Case, steps: int = MAX_STEPS) -> Generator[Any, Any, Answer]:
    """At most `steps` steps; a conversation that still searches then ends with an error.

    Args:
        case: the item: prompt, tools and images.
        steps: most steps of thought and search.

    Returns:
        the answer, with claims where there are some
    """
    return (yield from tool_loop(case, REACT, steps))


def _calls(reply: Message, round_: int) -> Sequence[ToolCall]:
    match = SEARCH.fullmatch(reply.text)
    if reply.calls or not match:
        return reply.calls
    return (ToolCall(f"step_{round_}", "search", {"query": match["query"].strip()}),)


def _shown(reply: Message, results: Sequence[ToolResult]) -> Message:
    if reply.calls:
        return Message("tool", tuple(results))
    texts = [
        part for result in results for part in (result.error, *result.parts) if isinstance(part, str) and part
    ]
    return Message("user", ("Observation: " + ("\n".join(texts) or NOTHING),))


REACT = Grammar(_calls, _shown, native=False, unfinished="no decision after {rounds} steps", last_word=False)
