"""A trace is replayed without a model; a killed run resumes with the same bytes and asks nothing twice."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_for_tests import cast, endless, rows, thrifty
from flows_for_tests import Hashing, double, drawn, prompts, user

from medxiaohe import io, plugins
from medxiaohe.agents.engine import (
    Journal,
    replay,
    run,
)
from medxiaohe.errors import DataError
from medxiaohe.tools import tool
from medxiaohe.types import Message, Prompt, Tool


@pytest.mark.parametrize("name", plugins.available("workflows"))
def test_every_workflow_is_replayed_without_a_model(name: str) -> None:
    facts = {"patient": [{"topic": "history", "text": "My gums bleed."}], "results": []}
    asked_ = [Prompt(f"p/{i}", (user(f"question {i}"),), facts=facts) for i in range(3)]
    function = plugins.load("workflows", name)
    for trace in function(asked_, Hashing(), [double]):
        read = io.trace_from_json(json.loads(io.encoded(trace)))
        assert io.encoded(replay(read, function)) == io.encoded(trace) and trace.steps


def test_a_replay_finds_what_another_workflow_or_another_hand_wrote() -> None:
    program = {"program": [["ask"], ["tools", "use"], ["fresh"]]}
    (trace,) = run(drawn, prompts(1), cast(), [double], settings=program)
    with pytest.raises(DataError, match="the trace of 'p/0' is of the workflow drawn, not of thrifty"):
        replay(trace, thrifty)
    for n, step in enumerate(trace.steps):
        if step.kind != "ask" or n + 1 == len(trace.steps):
            continue
        forged = list(trace.steps)
        forged[n] = replace(step, who="judge")
        with pytest.raises(DataError, match=f"step {n} "):
            replay(replace(trace, steps=tuple(forged)), drawn)
    with pytest.raises(DataError, match="step 2"):
        replay(replace(trace, steps=trace.steps[:2]), drawn)


class Killed(Exception):
    pass


class Dying(Hashing):
    """Dies at the `left`-th conversation, as a process does: nothing after it runs."""

    def __init__(self, left: int, **more: Any) -> None:
        super().__init__(**more)
        self.left = left

    def _reply(self, messages: list[Message], tools: Sequence[Tool]) -> Message:
        self.left -= 1
        if self.left < 0:
            raise Killed
        return super()._reply(messages, tools)

    def replies(self, conversations: Sequence[Any], tools: Sequence[Tool] = ()) -> Any:
        for i, messages in enumerate(conversations):
            reply = self._reply(list(messages), tools)
            self.asked += 1
            yield [(i, reply)]


def test_killed_at_any_request_it_goes_on_to_the_same_bytes_and_asks_nothing_twice(tmp_path: Path) -> None:
    program = {"program": [["ask", "view"], ["tools"], ["use", "fresh"], ["rank"], ["tools"], ["ask"]]}
    calls: list[int] = []

    @tool
    def once(number: int) -> str:
        """Twice the number."""
        calls.append(number)
        return str(2 * number)

    impure = replace(once, name="double", pure=False)
    whole = run(drawn, prompts(3), Dying(10**6), [impure], settings=program)
    number, in_calls = sum(s.kind == "ask" for t in whole for s in t.steps), len(calls)
    assert number > 15 and in_calls > 3
    for concurrent, at in itertools.product((False, True), range(0, number, 2)):
        calls.clear()
        path = tmp_path / f"{concurrent}{at}.jsonl"
        first = Dying(at)
        with pytest.raises(Killed):
            run(
                drawn,
                prompts(3),
                first,
                [impure],
                settings=program,
                journal=Journal(path),
                concurrent=concurrent,
            )
        second = Dying(10**6)
        again = run(
            drawn,
            prompts(3),
            second,
            [impure],
            settings=program,
            journal=Journal(path),
            concurrent=concurrent,
        )
        assert first.asked + second.asked == number and len(calls) == in_calls, f"killed at {at}"
        assert rows(again) == rows(whole), f"killed at {at}"


def test_a_journal_is_of_its_window_and_a_torn_line_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    model = Hashing()
    run(drawn, prompts(2), model, settings={"program": [["ask"], ["ask"]]}, journal=journal)
    assert model.asked == 4
    with open(journal.path, "a") as file:
        file.write('{"at": 0, "key": "to')
    run(drawn, prompts(2), model, settings={"program": [["ask"], ["ask"]]}, journal=Journal(journal.path))
    assert model.asked == 4
    later = Journal(journal.path)
    later.begin(2)
    run(drawn, prompts(2), model, settings={"program": [["ask"], ["ask"]]}, journal=later)
    assert model.asked == 8
    later.end()
    assert not journal.path.exists()


def test_ctrl_c_does_not_wait_for_the_replies_in_flight() -> None:
    class Slow:
        name, concurrent, workers = "slow", True, 2

        def reply(self, conversations: Sequence[Any], tools: Sequence[Tool] = ()) -> list[Message]:
            if conversations[0][0].text == "question 0":
                raise KeyboardInterrupt
            time.sleep(60)
            return []

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(endless, prompts(2), Slow())
    assert time.monotonic() - began < 30
