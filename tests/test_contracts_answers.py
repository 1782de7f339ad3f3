"""Every scorer, workflow and backend that ships keeps the contract of its kind: add a file, and it is tested."""

import inspect

import pytest

from medxiaohe import plugins
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools import tool
from medxiaohe.types import Message, Prompt, Sample, Score, ToolCall, Trace

ASKED = Message("user", ("Is scurvy caused by a lack of vitamin C? Answer yes or no.",))
SAMPLE = Sample("s/1", (ASKED, Message("assistant", ("yes",))), target="yes", choices=("yes", "no"))
LETTERED = Sample("s/2", (ASKED, Message("assistant", ("A",))), target="A", choices=("scurvy", "rickets"))


def judged(name: str, answer: str) -> Score:
    sample = LETTERED if name == "choice" else SAMPLE
    return plugins.load("scoring", name)(sample, Trace(sample.prompt, (ASKED, Message("assistant", (answer,)))))


@pytest.mark.parametrize("name", plugins.available("scoring"))
def test_a_scorer_gives_the_gold_one_and_nothing_nothing(name: str) -> None:
    gold = judged(name, "A" if name == "choice" else "yes")
    assert (gold.value, gold.status) == (1.0, "judged") and gold.parsed
    for answer in ("", "   ", "I'm sorry, I cannot answer that."):
        score = judged(name, answer)
        assert score.value == 0.0 and score.status in ("unparsed", "refused") and score.why


@tool
def again(word: str) -> str:
    """Say the word again."""
    return word


@pytest.mark.parametrize("name", plugins.available("workflows"))
def test_a_workflow_answers_in_order_and_ends_although_the_model_never_does(name: str) -> None:
    workflow = plugins.load("workflows", name)
    prompts = [Prompt(f"p/{i}", (Message("user", (f"number {i}",)),)) for i in range(3)]
    traces = workflow(prompts, scripted(answer=lambda messages: f"heard {messages[-1].text}"), ())
    assert [trace.prompt.id for trace in traces] == ["p/0", "p/1", "p/2"]
    assert all(trace.answer and not trace.error for trace in traces)
    endless = workflow(prompts[:1], scripted(answer=lambda _: Message("assistant", (ToolCall("1", "again", {"word": "a"}),))), (again,))
    assert endless[0].error


@pytest.mark.parametrize("name", plugins.available("models"))
def test_a_backend_is_made_from_the_name_of_a_model(name: str) -> None:
    make = plugins.load("models", name)
    assert next(iter(inspect.signature(make).parameters)) == "model" and make.__module__.endswith(f".{name}")
