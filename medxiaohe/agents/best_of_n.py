"""Workflow: the solution that a verifier scores highest (arXiv 2110.14168).

paper says: 100 solutions, scored by a verifier that was trained on right and wrong ones
we do: 10, scored in JSON by the role `verifier` (cast a trained one); without a score none is chosen
why: 100 solutions and their scores are 200 requests a case
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, workflow
from medxiaohe.agents.parsing.blocks import block
from medxiaohe.agents.parsing.prompts import instructed, prompt, user
from medxiaohe.agents.parsing.structured import ask_json, json_or, number_in
from medxiaohe.types import Message, ToolCall

EXAMPLE = Example('Answer: {"score": 7}', Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=("verifier",))
def best_of_n(case: Case, samples: int = 10, prompts: str = "") -> Generator[Any, Any, Answer]:
    """`samples` solutions at the same time, each scored; of equal scores the first."""
    chain = instructed(case.prompt.messages, prompt("cot", prompts))
    numbers = [prompt("sample", prompts, number=n, samples=samples) for n in range(1, samples + 1)]
    scores: list[float | None] = []
    try:
        replies = yield [Ask("", instructed(chain, number)) for number in numbers]
        for n, reply in enumerate(replies, start=1):
            shown = block("solution", reply.text)
            talk = (*case.prompt.messages, user("best_of_n_verify", prompts, number=n, solution=shown))
            score = json_or(None, ask_json("verifier", talk, number_in("score", 0, 10)))
            scores.append((yield from score) if reply.text.strip() and not reply.calls else None)
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")
    yield Note("scores", scores)
    if not (valid := [score for score in scores if score is not None]):
        return Answer(error="no solution has a score")
    return Answer(replies[scores.index(max(valid))].text)
