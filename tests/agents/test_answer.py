"""The workflow `answer`: batched, tools run until none is called, no conversation sees another."""

import pytest

from medxiaohe.agents.answer import MAX_ROUNDS, answer
from medxiaohe.errors import ModelError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import Message, Prompt, ToolCall, ToolResult

(BMI,) = open_tools(["bmi"])


def prompt(name: str) -> Prompt:
    return Prompt(name, (Message("user", (f"Question {name}",)),))


def call(height: float) -> Message:
    return Message("assistant", (ToolCall("1", "bmi", {"weight_kg": 70, "height_m": height}),))


def test_each_prompt_gets_its_own_answer() -> None:
    traces = answer([prompt("a"), prompt("b")], scripted(answer=lambda talk: talk[0].text.upper()))
    assert [trace.answer for trace in traces] == ["QUESTION A", "QUESTION B"] and [
        len(t.messages) for t in traces
    ] == [2, 2]


def test_a_tool_result_and_a_tool_error_go_back_to_the_model() -> None:
    (trace,) = answer([prompt("a")], scripted(answer=[call(175), call(1.75), "22.9"]), [BMI])
    results = [part for m in trace.messages for part in m.parts if isinstance(part, ToolResult)]
    assert (
        "metres" in results[0].error
        and results[1].parts == ("22.9",)
        and trace.answer == "22.9"
        and not trace.error
    )


def test_only_conversations_that_called_a_tool_go_on() -> None:
    model = scripted(answer=lambda talk: call(1.75) if talk[-1].text == "Question b" else "done")
    traces = answer([prompt("a"), prompt("b")], model, [BMI])
    assert len(model.conversations) == 3 and all(trace.answer == "done" for trace in traces)


def test_a_model_that_never_stops_calling_ends_with_an_error() -> None:
    (trace,) = answer([prompt("a")], scripted(answer=lambda talk: call(1.75)), [BMI])
    assert str(MAX_ROUNDS) in trace.error and trace.answer == ""


def test_a_model_that_loses_a_reply_is_stopped() -> None:
    model = scripted()
    model.reply = lambda talks, tools=(): []  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="0 replies to 1"):
        answer([prompt("a")], model)
