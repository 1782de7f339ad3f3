"""A case ends at its budget of asks, calls, tokens or seconds, and keeps what it has."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest
from engine_for_tests import endless, thrifty
from flows_for_tests import Hashing, double, prompts

from medxiaohe.agents.engine import (
    Answer,
    Ask,
    Budget,
    BudgetSpent,
    Case,
    Note,
    Use,
    run,
)
from medxiaohe.errors import ConfigError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.types import Message


def stubborn(case: Case) -> Generator[Any, Any, Answer]:
    while True:
        try:
            yield Ask("", case.prompt.messages)
        except BudgetSpent:
            yield Note("spent")


def caller(case: Case) -> Generator[Any, Any, Answer]:
    while True:
        yield [Use("double", {"number": 1}), Use("double", {"number": 2})]


@pytest.mark.parametrize(
    ("flow", "budget", "said"),
    [
        (endless, Budget(asks=5), "5 asks"),
        (stubborn, Budget(asks=5), "5 asks"),
        (endless, Budget(tokens=300), "300 tokens"),
        (caller, Budget(calls=7), "7 calls"),
    ],
)
@pytest.mark.parametrize("concurrent", [False, True])
def test_a_workflow_that_never_stops_ends_at_its_budget_and_its_steps_are_kept(
    flow: Any, budget: Budget, said: str, concurrent: bool
) -> None:
    traces = run(flow, prompts(2), Hashing(), [double], budget, concurrent=concurrent)
    for trace in traces:
        assert trace.stop == "budget" and said in trace.error and trace.answer == ""
        assert 0 < len(trace.steps) < 30


def test_at_its_limit_a_workflow_may_return_what_it_has() -> None:
    (trace,) = run(thrifty, prompts(1), Hashing(), budget=Budget(asks=4))
    assert trace.answer == "4 replies" and trace.stop == "budget" and trace.error == ""
    assert trace.steps[-1].given == "the budget of 4 asks is spent"


def test_seconds_are_a_limit_too() -> None:
    (trace,) = run(thrifty, prompts(1), Hashing(delay=0.01), budget=Budget(asks=10**6, seconds=0.1))
    assert trace.stop == "budget" and "0.1 seconds" in trace.steps[-1].given


def test_tokens_are_those_the_backend_counts() -> None:
    class Counting(Hashing):
        def count(self, messages: Sequence[Message]) -> int:
            return 10 * len(messages)

    (trace,) = run(thrifty, prompts(1), Counting(), budget=Budget(tokens=55))
    assert trace.answer == "3 replies" and (trace.steps[0].tokens_in, trace.steps[0].tokens_out) == (10, 10)


def test_notes_without_end_are_cut() -> None:
    def talks_to_itself(case: Case) -> Generator[Any, Any, Answer]:
        while True:
            yield Note("hm")

    (trace,) = run(talks_to_itself, prompts(1), scripted())
    assert trace.stop == "budget" and "notes" in trace.error


@pytest.mark.parametrize("limit", ["asks", "calls", "tokens", "seconds"])
def test_a_budget_of_nothing_is_refused(limit: str) -> None:
    with pytest.raises(ConfigError, match=f"the budget of {limit} must be above 0, not 0"):
        Budget(**{limit: 0})
