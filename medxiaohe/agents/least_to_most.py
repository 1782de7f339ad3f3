"""Workflow: split the question into simpler ones and answer them in order (arXiv 2205.10625).

paper says: worked examples show the model how to split
we do: an instruction asks for at most `most`; without any the question is answered at once, noted
why: prompts are files; examples of one's own go into least_to_most_split.txt
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.types import Message, ToolCall

EXAMPLE = Example("Answer: B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))
NUMBERED = re.compile(r"^\s*\d{1,2}\s*[.):、]\s*(\S.*)$", re.MULTILINE)


@workflow(roles=())
def least_to_most(
    case: Case, most: int = 4, rounds: int = 8, prompts: str = ""
) -> Generator[Any, Any, Answer]:
    """At most `most` simpler questions, then the question itself, with at most `rounds` rounds of tools."""
    talk = list(case.prompt.messages)
    try:
        split = yield Ask("", (*talk, user("least_to_most_split", prompts, most=most)))
        steps = [step.strip() for step in NUMBERED.findall(split.text)][:most]
        yield Note("questions", steps)
        for step in steps:
            talk.append(user("least_to_most_solve", prompts, question=step))
            talk.append((yield Ask("", tuple(talk))))
    except BudgetSpent as spent:
        return Answer(messages=talk, error=f"no answer: {spent}")
    talk.append(user("least_to_most_answer", prompts))
    return (yield from tool_loop(case, CALLS, rounds, messages=talk))
