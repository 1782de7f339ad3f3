"""Workflow: prompts that imitate how clinicians reason (arXiv 2308.06834).

paper says: four strategies (differential, intuitive, analytic, Bayesian), each with worked examples
we do: the strategy is an instruction without worked examples, and a setting
why: the examples belong to the paper's test set; the prompt is a file, so anybody may add some
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

from medxiaohe.agents.engine import Answer, Case, Example, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.agents.parsing.prompts import instructed, prompt
from medxiaohe.types import Message, ToolCall

Strategy = Literal["differential", "intuitive", "analytic", "bayesian"]
EXAMPLE = Example("Answer: B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=())
def diagnostic_cot(
    case: Case, strategy: Strategy = "differential", rounds: int = 8, prompts: str = ""
) -> Generator[Any, Any, Answer]:
    """Reason by one strategy of clinicians, with at most `rounds` rounds of tools.

    Args:
        case: the item: prompt, tools and images.
        strategy: how clinicians reason: a name of `Strategy`.
        rounds: most rounds of tool calls.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    talk = instructed(case.prompt.messages, prompt(f"diagnostic_cot_{strategy}", prompts))
    return (yield from tool_loop(case, CALLS, rounds, messages=talk))
