"""Workflow: the solution that a small adapter ranks first (MedAdapter, arXiv 2405.03000).

paper says: several solutions are sampled; an encoder of the size of BERT, trained on right and wrong ones
    (the adapter), scores each, and the best is the answer
we do: `samples` solutions; the role `ranker`, a model of any size that train.sft made of judged solutions,
    is asked whether each is right, and the likelihood of "yes" against "no" is its score
why: any causal model in the house may be the adapter; the backend of all roles must give likelihoods
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Rank, workflow
from medxiaohe.agents.parsing.blocks import block
from medxiaohe.agents.parsing.prompts import instructed, prompt, user
from medxiaohe.types import Message, ToolCall

EXAMPLE = Example("Answer: B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=("ranker",), ranks=True)
def adapter_ranker(case: Case, samples: int = 8, prompts: str = "") -> Generator[Any, Any, Answer]:
    """`samples` solutions at the same time, each ranked; of equal scores the first, of empty ones none."""
    chain = instructed(case.prompt.messages, prompt("cot", prompts))
    numbers = [prompt("sample", prompts, number=n, samples=samples) for n in range(1, samples + 1)]
    try:
        replies = [reply for reply in (yield [Ask("", instructed(chain, number)) for number in numbers])]
        replies = [reply for reply in replies if reply.text.strip() and not reply.calls]
        shown = [block("solution", reply.text) for reply in replies]
        asks = [user("adapter_ranker_right", prompts, number=n, solution=s) for n, s in enumerate(shown, 1)]
        nats = yield [Rank((*case.prompt.messages, item), ("yes", "no"), "ranker") for item in asks]
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")
    scores = [1 / (1 + math.exp(min(yes - no, 700.0))) for yes, no in nats]
    yield Note("scores", scores)
    best = max(range(len(scores)), key=scores.__getitem__, default=None)
    return Answer(error="every solution is empty") if best is None else Answer(replies[best].text)
