"""Workflow: chain of thought without examples (arXiv 2205.11916; the idea is of arXiv 2201.11903).

paper says: a second request pulls the answer out of the chain
we do: the chain ends with a line "Answer:" of the same reply
why: scoring reads announced answers, and the budget is that of `answer`
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Case, Example, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.agents.parsing.prompts import instructed, prompt
from medxiaohe.types import Message, ToolCall

EXAMPLE = Example("Answer: B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=())
def cot(case: Case, rounds: int = 8, prompts: str = "") -> Generator[Any, Any, Answer]:
    """Think step by step, with at most `rounds` rounds of tools.

    Args:
        case: the item: prompt, tools and images.
        rounds: most rounds of tool calls.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    talk = instructed(case.prompt.messages, prompt("cot", prompts))
    return (yield from tool_loop(case, CALLS, rounds, messages=talk))
