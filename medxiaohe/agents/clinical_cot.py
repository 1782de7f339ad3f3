"""Workflow: a chain of thought that is a clinical rationale (arXiv 2312.07399).

paper says: rationales of a large model teach a small one; the rationale is asked for before the diagnosis
we do: the rationale is asked for at test time; teaching with it is `data.teach`
why: a workflow changes what is asked, not the weights
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
def clinical_cot(case: Case, rounds: int = 8, prompts: str = "") -> Generator[Any, Any, Answer]:
    """Findings, what each supports, conclusion; at most `rounds` rounds of tools.

    Args:
        case: the item: prompt, tools and images.
        rounds: most rounds of tool calls.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    talk = instructed(case.prompt.messages, prompt("clinical_cot", prompts))
    return (yield from tool_loop(case, CALLS, rounds, messages=talk))
