"""What the tests of the conversation engine share: casts, traces as bytes, workflows that call tools."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from flows_for_tests import ROLES, Hashing

from medxiaohe import io
from medxiaohe.agents.engine import (
    Answer,
    Ask,
    BudgetSpent,
    Case,
    Note,
)
from medxiaohe.types import Trace


def rows(traces: Sequence[Trace]) -> list[bytes]:
    return [io.encoded(trace) for trace in traces]


def cast(concurrent: bool = False, delay: float = 0.0) -> dict[str, Hashing]:
    models = [Hashing(name or "default", concurrent, delay) for name in ROLES]
    return dict(zip(ROLES, models, strict=True))


def endless(case: Case) -> Generator[Any, Any, Answer]:
    talk = list(case.prompt.messages)
    while True:
        talk.append((yield Ask("", tuple(talk))))


def thrifty(case: Case) -> Generator[Any, Any, Answer]:
    replies = []
    try:
        while True:
            replies.append((yield Ask("", case.prompt.messages)).text)
    except BudgetSpent as spent:
        yield Note("spent", str(spent))
        return Answer(f"{len(replies)} replies")
