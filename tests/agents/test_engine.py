"""The engine: one trace whichever way it runs, budgets, replay, resuming, and what it refuses."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flows_for_tests import ROLES, WORDS, Hashing, double, drawn, prompts, user
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import STATEMENT, io, plugins
from medxiaohe.agents.engine import (
    Answer,
    Ask,
    Budget,
    BudgetSpent,
    Case,
    Cast,
    Journal,
    Note,
    Rank,
    Use,
    asked,
    replay,
    run,
    workflow,
)
from medxiaohe.errors import ConfigError, DataError, ModelError, RetrieverDown, WorkflowError
from medxiaohe.models.asking import Client
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools import tool
from medxiaohe.types import ImageRef, Message, Model, Prompt, Tool, ToolCall, ToolResult, Trace

programs = st.lists(st.lists(st.sampled_from(WORDS), max_size=4), max_size=6)
budgets = st.builds(Budget, st.integers(1, 12), st.integers(1, 6), st.none() | st.integers(1, 400))


def rows(traces: Sequence[Trace]) -> list[bytes]:
    return [io.encoded(trace) for trace in traces]


def cast(concurrent: bool = False, delay: float = 0.0) -> dict[str, Hashing]:
    models = [Hashing(name or "default", concurrent, delay) for name in ROLES]
    return dict(zip(ROLES, models, strict=True))


# ---- one trace, however it runs ----------------------------------------------------------------------


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


# ---- tools ------------------------------------------------------------------------------------------


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


# ---- budget -----------------------------------------------------------------------------------------


def endless(case: Case) -> Generator[Any, Any, Answer]:
    talk = list(case.prompt.messages)
    while True:
        talk.append((yield Ask("", tuple(talk))))


def stubborn(case: Case) -> Generator[Any, Any, Answer]:
    while True:
        try:
            yield Ask("", case.prompt.messages)
        except BudgetSpent:
            yield Note("spent")


def thrifty(case: Case) -> Generator[Any, Any, Answer]:
    replies = []
    try:
        while True:
            replies.append((yield Ask("", case.prompt.messages)).text)
    except BudgetSpent as spent:
        yield Note("spent", str(spent))
        return Answer(f"{len(replies)} replies")


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


# ---- what a workflow may do -------------------------------------------------------------------------


def text(case: Case) -> Generator[Any, Any, Any]:
    yield "what?"


def mixed(case: Case) -> Generator[Any, Any, Any]:
    yield [Ask("", case.prompt.messages), 7]


def fails(case: Case) -> Generator[Any, Any, Any]:
    reply = yield Ask("", case.prompt.messages)
    return Answer(str({}[reply.text]))


def nothing(case: Case) -> Generator[Any, Any, Any]:
    yield Ask("", case.prompt.messages)


def no_generator(case: Case) -> Answer:
    return Answer("B")


def secret(case: Case) -> Generator[Any, Any, Any]:
    yield Note("a set", object())
    return Answer("")


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (text, "the workflow text yielded a str after 0 steps: it may yield Ask, Rank, Use, Note"),
        (mixed, "yielded a int"),
        (fails, "the workflow fails raised KeyError after 1 steps"),
        (nothing, "the workflow nothing returned a NoneType: it must return an Answer or text"),
        (no_generator, "the workflow no_generator is no generator"),
        (secret, "noted 'a set' with what JSON cannot hold"),
    ],
)
@pytest.mark.parametrize("concurrent", [False, True])
def test_a_workflow_that_breaks_its_contract_is_a_sentence(flow: Any, said: str, concurrent: bool) -> None:
    with pytest.raises(WorkflowError, match=said) as error:
        run(flow, prompts(3), Hashing(), concurrent=concurrent)
    assert error.value.exit_code == 3 and "\n" not in str(error.value)


def test_traces_before_an_error_have_been_handed_out() -> None:
    def third_fails(case: Case) -> Generator[Any, Any, Answer]:
        reply = yield Ask("", case.prompt.messages)
        if case.prompt.id == "p/2":
            yield reply
        return Answer(reply.text)

    kept: dict[int, Trace] = {}
    with pytest.raises(WorkflowError, match="yielded a Message"):
        run(third_fails, prompts(5), Hashing(), done=kept.__setitem__)
    assert sorted(kept) == [0, 1] and all(trace.answer for trace in kept.values())


def test_a_cast_names_the_roles_of_the_workflow() -> None:
    with pytest.raises(ConfigError, match="no role 'directer'; did you mean 'director'"):
        run(drawn, prompts(1), {"": Hashing(), "directer": Hashing()})
    with pytest.raises(ConfigError, match="no model for the role 'judge'"):
        run(lambda case: (yield Ask("judge", case.prompt.messages)), prompts(1), {"doctor": Hashing()})
    with pytest.raises(ConfigError, match="the cast has no model"):
        Cast({})

    @workflow(roles=("judge",))
    def asks_another(case: Case) -> Generator[Any, Any, Answer]:
        yield Ask("jury", case.prompt.messages)
        return Answer()

    with pytest.raises(
        WorkflowError, match="asks the role 'jury', which it does not declare; there are judge"
    ):
        asks_another(prompts(1), Hashing())


def test_each_role_is_played_by_its_own_model() -> None:
    (trace,) = run(drawn, prompts(1), cast(), settings={"program": [["ask", "view", "fresh"]]})
    assert [(step.who, step.model) for step in trace.steps] == [
        ("", "default"),
        ("cardiologist", "cardiologist"),
        ("director", "director"),
    ]


def test_ranking_needs_likelihoods() -> None:
    def ranks(case: Case) -> Generator[Any, Any, Answer]:
        nats = yield Rank(case.prompt.messages, ("yes", "no"))
        return Answer("yes" if nats[0] < nats[1] else "no")

    with pytest.raises(ConfigError, match="ranks answers, and the backend of scripted gives no likelihoods"):
        run(ranks, prompts(1), scripted())
    asked_ = scripted()
    with pytest.raises(ConfigError, match="gives no likelihoods"):
        workflow(ranks=True)(endless)(prompts(1), asked_)
    assert not asked_.conversations, "refused before anything was asked"
    answers = [trace.answer for trace in run(ranks, prompts(8), Hashing())]
    assert set(answers) == {"yes", "no"}


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("number", [0, 2])
def test_a_model_that_gives_another_number_of_replies_is_named(number: int, concurrent: bool) -> None:
    class Wrong:
        name = "wrong"

        def reply(self, conversations: Any, tools: Any = ()) -> list[Message]:
            return [Message("assistant", ("x",))] * number

    with pytest.raises(ModelError, match=f"wrong gave {number} replies to 1 conversations"):
        run(endless, prompts(1), Wrong(), concurrent=concurrent)


@pytest.mark.parametrize("concurrent", [False, True])
def test_a_reply_that_failed_ends_its_case_and_no_other_and_the_first_request_says_why(
    concurrent: bool,
) -> None:
    class Failing(Hashing):
        def _reply(self, messages: list[Message], tools: Sequence[Tool]) -> Message:
            if messages[-1].text.startswith("alone") or "question 1" in messages[0].text:
                time.sleep(0.01 if messages[0].text.startswith("question") else 0)
                return Message("assistant", (), error=f"no reply to {messages[0].text}")
            return super()._reply(messages, tools)

    program = {"program": [["ask"], ["ask", "fresh"]]}
    traces = run(drawn, prompts(3), Failing(concurrent=concurrent), settings=program)
    assert [trace.error for trace in traces] == [
        "no reply to alone 2",
        "no reply to question 1",
        "no reply to alone 2",
    ]
    assert {trace.stop for trace in traces} == {"failed"} and [len(t.steps) for t in traces] == [3, 1, 3]


def test_a_workflow_that_will_not_close_is_a_sentence() -> None:
    def holds_on(case: Case) -> Generator[Any, Any, Answer]:
        while True:
            try:
                yield Ask("", case.prompt.messages)
            except BaseException:
                yield Note("not yet")

    with pytest.raises(WorkflowError, match="the workflow holds_on raised RuntimeError"):
        run(holds_on, prompts(1), Hashing(), budget=Budget(asks=2))


def test_a_model_that_replies_with_text_is_named() -> None:
    class Texts:
        name = "texts"

        def reply(self, conversations: Any, tools: Any = ()) -> Any:
            return ["x" for _ in conversations]

    with pytest.raises(ModelError, match="texts must reply with assistant messages, not with str"):
        run(endless, prompts(1), Texts())


def test_settings_are_parameters_of_the_flow() -> None:
    answer = plugins.load("workflows", "answer")
    with pytest.raises(ConfigError, match="unknown setting; did you mean 'rounds'"):
        answer(prompts(1), scripted(), round=2)
    with pytest.raises(ConfigError, match="rounds: must be a whole number, not 'two'"):
        answer(prompts(1), scripted(), rounds="two")
    with pytest.raises(ConfigError, match="use: must be one of 'none', 'allowed', 'forced'"):
        answer(prompts(1), scripted(), use="sometimes")

    def open_ended(case: Case, depth: int) -> Generator[Any, Any, Answer]:
        yield Ask("", case.prompt.messages)
        return Answer()

    with pytest.raises(WorkflowError, match="the setting 'depth' of the workflow open_ended has no default"):
        run(open_ended, prompts(1), scripted(), settings={"depth": 1})
    (trace,) = answer(prompts(1), scripted(answer=["B"]), rounds=2)
    assert dict(trace.origin) == {
        "workflow": "answer", "settings": '{"rounds": 2}', "statement": STATEMENT,
    }  # fmt: skip


# ---- replay and resume ------------------------------------------------------------------------------


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


# ---- size and speed ---------------------------------------------------------------------------------


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


def test_protocol_of_a_model_is_enough(tmp_path: Path) -> None:
    """A model has a name and `reply`; nothing else is asked of it."""

    class Least:
        name = "least"

        def reply(self, conversations: Sequence[Any], tools: Sequence[Tool] = ()) -> list[Message]:
            return [Message("assistant", ("B",)) for _ in conversations]

    model: Model = Least()
    answer = plugins.load("workflows", "answer")
    assert [trace.answer for trace in answer(prompts(3), model)] == ["B"] * 3
    call = ToolCall("1", "double", {"number": 4})
    calling = scripted(answer=[Message("assistant", (call,)), "8"])
    (trace,) = answer(prompts(1), calling, [double])
    assert trace.answer == "8" and [step.kind for step in trace.steps] == ["ask", "use", "ask"]


def test_the_third_identical_call_of_a_tool_is_an_error_and_is_not_run() -> None:
    ran: list[str] = []

    @tool(effects="writes")
    def order(drug: str) -> str:
        """Order a drug."""
        ran.append(drug)
        return f"ordered {drug}"

    def flow(case: Case) -> Generator[Any, Any, Answer]:
        got = []
        for drug in ("aspirin", "aspirin", "heparin", "aspirin", "aspirin"):
            got.append((yield Use("order", {"drug": drug})))
        got += yield [Use("order", {"drug": "heparin"}), Use("order", {"drug": "heparin"})]
        return Answer(" ".join("error" if one.error else "done" for one in got))

    step, flowing = (run(flow, prompts(1), Hashing(concurrent=many), [order]) for many in (False, True))
    assert step[0].answer == flowing[0].answer == "done done done error error done error"
    assert ran == ["aspirin", "aspirin", "heparin", "heparin"] * 2
    assert "called with these arguments twice" in step[0].steps[3].got.error
    assert rows([replay(step[0], flow)]) == rows(step)
