"""Workflow: ensemble refinement, chains that are weighed together (Med-PaLM 2, arXiv 2305.09617).

paper says: 11 sampled chains; the model reads them all and answers again, 33 times; plurality
we do: the same, with numbers of the attempts in the prompts; replies without an answer abstain
why: a cache would give one reply to equal prompts. 44 requests a case: compare at equal budget
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, workflow
from medxiaohe.agents.parsing.blocks import block
from medxiaohe.agents.parsing.prompts import instructed, prompt, user
from medxiaohe.agents.parsing.voting import plurality
from medxiaohe.types import Message, ToolCall

EXAMPLE = Example("Answer: B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=())
def ensemble(
    case: Case, chains: int = 11, refinements: int = 33, prompts: str = ""
) -> Generator[Any, Any, Answer]:
    """`chains` at the same time, then `refinements` that read all of them."""
    first = instructed(case.prompt.messages, prompt("cot", prompts))
    numbers = [prompt("sample", prompts, number=n, samples=chains) for n in range(1, chains + 1)]
    try:
        views = yield [Ask("", instructed(first, number)) for number in numbers]
        fields = {
            "number": chains,
            "views": "\n\n".join(block(f"chain {n}", v.text) for n, v in enumerate(views, 1)),
        }
        asks = [user("ensemble_refine", prompts, attempt=n, **fields) for n in range(1, refinements + 1)]
        replies = yield [Ask("", (*case.prompt.messages, last)) for last in asks]
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")
    return (yield from plurality(replies, case.prompt.choices, "refinements"))
