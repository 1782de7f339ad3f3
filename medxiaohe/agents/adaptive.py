"""Workflow: as many agents as the question is complex (MDAgents, arXiv 2404.15155).

paper says: low: one agent; moderate: a group of specialists that discusses; high: several teams
we do: low: `cot`; moderate: `self_consistency` of 5; high: `panel`; a complexity that cannot be read
    after one repair counts as moderate and is noted
why: each branch is a workflow that can be measured alone
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.cot import cot
from medxiaohe.agents.engine import Answer, BudgetSpent, Case, Example, Note, workflow
from medxiaohe.agents.panel import ROLES, panel
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.agents.parsing.structured import ask_json, json_or, one_of
from medxiaohe.agents.self_consistency import self_consistency
from medxiaohe.types import Message, ToolCall

EXAMPLE = Example("Answer: B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))


@workflow(roles=ROLES)
def adaptive(case: Case, samples: int = 5, rounds: int = 3, prompts: str = "") -> Generator[Any, Any, Answer]:
    """Ask how complex the question is, then run the workflow for it."""
    talk = (*case.prompt.messages, user("adaptive_check", prompts))
    try:
        words = one_of("complexity", ("low", "moderate", "high"))
        level = yield from json_or("moderate", ask_json("", talk, words))
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")
    yield Note("complexity", level)
    branches = {  # generators: the one that is chosen runs, the others never start
        "low": cot.flow(case, prompts=prompts),
        "moderate": self_consistency.flow(case, samples=samples, prompts=prompts),
        "high": panel.flow(case, rounds=rounds, prompts=prompts),
    }
    return (yield from branches[level])  # type: ignore[no-any-return]
