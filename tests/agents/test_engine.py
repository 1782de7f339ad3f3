"""The conversation engine: one trace however it runs, batches, steps, tools and their images."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_for_tests import cast, rows
from flows_for_tests import WORDS, Hashing, double, drawn, prompts, user
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import io
from medxiaohe.agents.engine import (
    Answer,
    Ask,
    Budget,
    Case,
    Journal,
    Use,
    asked,
    replay,
    run,
)
from medxiaohe.errors import DataError, ModelError, RetrieverDown
from medxiaohe.models.asking import Client
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools import tool
from medxiaohe.types import ImageRef, Message, Prompt, Tool, ToolResult, Trace

programs = st.lists(st.lists(st.sampled_from(WORDS), max_size=4), max_size=6)
budgets = st.builds(Budget, st.integers(1, 12), st.integers(1, 6), st.none() | st.integers(1, 400))


@given(programs, budgets, st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_lock_step_and_flowing_give_the_same_traces_and_so_does_a_replay(
    program: list[list[str]], budget: Budget, number: int
) -> None:
    given_ = {"settings": {"program": program}}
    step = run(drawn, prompts(number), cast(), [double], budget, **given_)
    flow = run(drawn, prompts(number), cast(True), [double], budget, **given_)
    assert rows(step) == rows(flow) and [t.prompt.id for t in step] == [p.id for p in prompts(number)]
    for trace in step:
        read = io.trace_from_json(json.loads(io.encoded(trace)))
        assert io.encoded(read) == io.encoded(trace)
        assert io.encoded(replay(read, drawn, budget)) == io.encoded(trace)
        assert trace.stop in ("answered", "budget") and [s.n for s in trace.steps] == [
            *range(len(trace.steps))
        ]
        assert sum(s.kind in ("ask", "rank") for s in trace.steps) <= budget.asks
        assert sum(s.kind == "use" for s in trace.steps) <= budget.calls


def failing(concurrent: bool) -> Client:
    """A client of a model that fails on the second turn of case p/1."""

    def answer(talk: Sequence[Message]) -> str:
        if talk[0].text == prompts(2)[1].messages[0].text and len(talk) > 1:
            raise ModelError("too long")
        return "go on"

    client = Client(scripted("m", answer))
    client.concurrent = concurrent  # type: ignore[attr-defined]
    return client


def two_turns(case: Case) -> Generator[Any, Any, str]:
    messages = list(case.prompt.messages)
    first = yield Ask("doctor", [*messages])
    second = yield Ask("doctor", [*messages, first, user("and?")])
    return second.text + "!"


def test_a_request_that_the_model_fails_on_ends_its_case_and_no_other(tmp_path: Path) -> None:
    traces = run(two_turns, prompts(3), failing(False), journal=Journal(tmp_path / "journal"))
    assert rows(traces) == rows(run(two_turns, prompts(3), failing(True)))
    assert [trace.answer for trace in traces] == ["go on!", "", "go on!"]
    assert (traces[1].error, traces[1].stop, len(traces[1].steps)) == ("too long", "failed", 2)
    read = io.trace_from_json(json.loads(io.encoded(traces[1])))
    assert read == traces[1] and io.encoded(replay(read, two_turns)) == io.encoded(traces[1])
    mended = Client(scripted("m", lambda talk: "mended"))
    resumed = run(two_turns, prompts(3), mended, journal=Journal(tmp_path / "journal"))
    assert [trace.answer for trace in resumed] == ["go on!", "mended!", "go on!"] and mended.spent.calls == 1


def test_slow_replies_change_the_order_of_answers_and_not_the_trace() -> None:
    program = [["ask", "view", "fresh"], ["tools"], ["use", "view"], ["note"], ["tools", "rank"]]
    step = run(drawn, prompts(9), cast(), [double], settings={"program": program})
    flow = run(drawn, prompts(9), cast(True, 0.01), [double], settings={"program": program})
    assert rows(step) == rows(flow)


def test_nobody_waits_for_the_slowest() -> None:
    """One reply is held back until all other conversations are complete: in lock-step that would hang."""
    others_done = threading.Event()
    finished: list[int] = []

    class Server:
        name, concurrent, workers = "server", True, 4

        def reply(self, conversations: Sequence[Any], tools: Sequence[Tool] = ()) -> list[Message]:
            if conversations[0][0].text == "question 0" and len(conversations[0]) == 1:
                assert others_done.wait(20), "the others wait for this one"
            return [Message("assistant", ("fine",))]

    def three(case: Case) -> Generator[Any, Any, Answer]:
        talk = list(case.prompt.messages)
        for _ in range(3):
            talk.append((yield Ask("", tuple(talk))))
        return Answer(messages=talk)

    def done(number: int, trace: Trace) -> None:
        finished.append(number)
        if len(finished) == 7:
            others_done.set()

    traces = run(three, prompts(8), Server(), done=done)
    assert finished[-1] == 0 and sorted(finished) == [*range(8)] and all(t.answer == "fine" for t in traces)


def test_asks_of_one_model_with_the_same_tools_are_one_batch() -> None:
    sizes: list[int] = []

    class Batched(Hashing):
        def reply(self, conversations: Sequence[Any], tools: Sequence[Tool] = ()) -> list[Message]:
            sizes.append(len(conversations))
            return super().reply(conversations, tools)

    program = [["ask", "view", "fresh"], ["ask"], ["tools"]]
    run(drawn, prompts(5), Batched(), settings={"program": program})
    assert sizes == [15, 5, 5]


def test_steps_do_not_repeat_conversations_and_give_them_back_whole() -> None:
    seen: list[tuple[Message, ...]] = []

    class Watched(Hashing):
        def reply(self, conversations: Sequence[Any], tools: Sequence[Tool] = ()) -> list[Message]:
            seen.extend(tuple(messages) for messages in conversations)
            return super().reply(conversations, tools)

    (trace,) = run(drawn, prompts(1), Watched(), settings={"program": [["ask"], ["view", "ask"]] * 15})
    asks = [step.n for step in trace.steps if step.kind == "ask"]
    assert [asked(trace, n) for n in asks] == seen and len(seen) == 45
    assert sum(map(len, seen)) == 600 and sum(len(step.given["add"]) for step in trace.steps) < 60
    with pytest.raises(DataError, match="has no messages"):
        asked(trace, 99)


def picture(name: str) -> ImageRef:
    return ImageRef(f"/nowhere/{name}.png", sha256=name)


def test_tools_see_the_images_of_their_own_case_and_those_that_tools_returned() -> None:
    seen: dict[str, list[tuple[str, ...]]] = {}

    def tools(case: Case) -> list[Tool]:
        shown = tuple(image.sha256 for image in case.images)
        seen.setdefault(case.prompt.id, []).append(shown)

        @tool
        def crop(image: int) -> ToolResult:
            """A part of an image."""
            return ToolResult("", ("part", picture(f"{shown[image - 1]}+")))

        return [crop]

    def twice(case: Case) -> Generator[Any, Any, Answer]:
        yield Use("crop", {"image": 1})
        yield [Use("crop", {"image": 1}), Use("crop", {"image": 2})]
        return Answer(" ".join(image.sha256 for image in case.images))

    asked_ = [Prompt(name, (Message("user", (picture(name), "?")),)) for name in "ab"]
    traces = run(twice, asked_, scripted(), tools)
    assert [trace.answer for trace in traces] == ["a a+ a+ a++", "b b+ b+ b++"]
    assert seen["a"] == [("a",), ("a", "a+"), ("a", "a+", "a+", "a++")]


def test_a_fault_of_a_call_is_a_result_and_a_dead_retriever_stops_the_run() -> None:
    @tool
    def broken(query: str) -> str:
        """Always fails."""
        raise ValueError("no such thing")

    @tool
    def dead(query: str) -> str:
        """Always down."""
        raise RetrieverDown("the retriever is down: start it")

    def uses(name: str) -> Any:
        def flow(case: Case) -> Generator[Any, Any, Answer]:
            result = yield Use(name, {"query": "x"})
            return Answer(result.error)

        return flow

    (trace,) = run(uses("broken"), prompts(1), scripted(), [broken])
    assert "no such thing" in trace.answer
    for concurrent in (False, True):
        with pytest.raises(RetrieverDown, match="start it"):
            run(uses("dead"), prompts(3), scripted(), [dead], concurrent=concurrent)
