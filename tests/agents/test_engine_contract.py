"""What a workflow, a cast and a model may do, and the sentence where they do something else."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_for_tests import cast, endless, rows
from flows_for_tests import Hashing, double, drawn, prompts

from medxiaohe import STATEMENT, plugins
from medxiaohe.agents.engine import (
    Answer,
    Ask,
    Budget,
    Case,
    Cast,
    Note,
    Rank,
    Use,
    replay,
    run,
    workflow,
)
from medxiaohe.errors import ConfigError, ModelError, WorkflowError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools import tool
from medxiaohe.types import Message, Model, Tool, ToolCall, Trace


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
