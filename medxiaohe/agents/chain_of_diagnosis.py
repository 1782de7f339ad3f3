"""Workflow: abstraction, recall, reasoning, confidence, decision (CoD, arXiv 2407.13301).

paper says: where the confidence is below a threshold the patient is asked about a symptom
we do: the leading candidates are weighed again, at most `rounds` times; the confidences are noted
why: most tasks have no patient to ask; the workflow `patient` has one. The paper sets a threshold per corpus
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, workflow
from medxiaohe.agents.parsing.prompts import instructed, prompt, user
from medxiaohe.agents.parsing.structured import confidences
from medxiaohe.types import Message

EXAMPLE = Example('{"B": 0.9, "C": 0.1}\nAnswer: B', Message("assistant", ('{"B": 0.4, "C": 0.6}',)))


@workflow(roles=())
def chain_of_diagnosis(
    case: Case, threshold: float = 0.7, rounds: int = 2, prompts: str = ""
) -> Generator[Any, Any, Answer]:
    """Reason until the highest confidence reaches `threshold`, at most `rounds` times more."""
    talk = list(instructed(case.prompt.messages, prompt("chain_of_diagnosis", prompts)))
    try:
        for round_ in range(rounds + 1):
            talk.append((yield Ask("", tuple(talk))))
            values = confidences(talk[-1].text)
            yield Note("confidence", values)  # None where the reply has none that can be read
            top = max(values.values()) if values else None
            if values is None or max(values.values()) >= threshold:
                return Answer(messages=talk)
            if round_ < rounds:
                talk.append(user("chain_of_diagnosis_again", prompts, confidence=top, threshold=threshold))
    except BudgetSpent as spent:
        return Answer(messages=talk, error=f"no answer: {spent}")
    return Answer(messages=talk, error=f"the confidence stayed below {threshold:g} for {rounds + 1} rounds")
