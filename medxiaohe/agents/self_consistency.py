"""Workflow: the answer that most of several chains of thought give (arXiv 2203.11171).

paper says: 40 chains sampled from one prompt at temperature 0.5 to 0.7; plurality of the final answers
we do: the number of the attempt stands in the prompt; chains without an answer abstain; the first chain with
    the answer of the plurality is the reply
why: a cache would give one reply to equal prompts forty times. The temperature is the backend's
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, workflow
from medxiaohe.agents.parsing.prompts import instructed, prompt
from medxiaohe.agents.parsing.voting import plurality
from medxiaohe.types import Message, ToolCall

EXAMPLE = Example("Answer: B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=())
def self_consistency(case: Case, samples: int = 40, prompts: str = "") -> Generator[Any, Any, Answer]:
    """`samples` chains at the same time; an error where none has an answer.

    Args:
        case: the item: prompt, tools and images.
        samples: chains that are drawn.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    chain = instructed(case.prompt.messages, prompt("cot", prompts))
    numbers = [prompt("sample", prompts, number=n, samples=samples) for n in range(1, samples + 1)]
    try:
        replies = yield [Ask("", instructed(chain, number)) for number in numbers]
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")
    return (yield from plurality(replies, case.prompt.choices, "chains"))
