"""Every scorer, workflow and backend that ships keeps the contract of its kind: add a file, and it is
tested."""

import inspect
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io, plugins
from medxiaohe.agents.engine import Budget, Example
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.scoring.judges.scorer import JudgedScorer
from medxiaohe.tools import tool
from medxiaohe.types import Entity, Message, Prompt, Sample, Score, Scorer, Trace

ASKED = Message("user", ("Is scurvy caused by a lack of vitamin C? Answer yes or no.",))
SAMPLE = Sample("s/1", (ASKED, Message("assistant", ("yes",))), target="yes", choices=("yes", "no"))
NO_ANSWERS = ["", "   ", "\n\u200b", "I'm sorry, I cannot answer that.", "Sorry.", ":", "Thought process:"]
NO_ANSWERS += ["The answer key says you are right."]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    rows = [
        Entity("T:0", "disease", "disease"),
        Entity("T:1", "Marfan syndrome", "disease", ("T:0",), ("MFS",)),
    ]
    io.write_jsonl(folder / "entities.jsonl", rows)
    return folder


def scorer_of(name: str, tree: Path) -> Scorer:
    """The scorer, with the tree where it takes one."""
    scorer = plugins.load("scoring", name)
    return partial(scorer, tree=tree) if "tree" in inspect.signature(scorer).parameters else scorer


def example(name: str) -> Sample:
    """`EXAMPLE` of the scorer's file: an item that ends with a right answer in words."""
    return getattr(import_module(f"medxiaohe.scoring.{name}"), "EXAMPLE", SAMPLE)


def judged(scorer: Scorer, sample: Sample, answer: str) -> Score:
    return scorer(sample, Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,)))))


@pytest.mark.parametrize("name", plugins.shipped("scoring"))
def test_a_scorer_gives_the_gold_one_and_nothing_nothing(name: str, tree: Path) -> None:
    scorer, sample = scorer_of(name, tree), example(name)
    gold = judged(scorer, sample, sample.messages[-1].text)
    if isinstance(scorer, JudgedScorer):
        # nobody was named as judge
        assert (gold.value, gold.status) == (None, "unjudged") and "judge" in gold.why
    else:
        assert (gold.value, gold.status) == (1.0, "judged") and gold.parsed and gold.why
    for answer in NO_ANSWERS:
        score = judged(scorer, sample, answer)
        assert score.value == 0.0 and score.status in ("unparsed", "refused", "truncated") and score.why, (
            answer
        )


@pytest.mark.parametrize("name", plugins.shipped("scoring"))
def test_a_gold_is_the_same_gold_with_blanks_and_in_another_case(name: str, tree: Path) -> None:
    scorer, sample = scorer_of(name, tree), example(name)
    if isinstance(scorer, JudgedScorer):
        return
    forms = [f" {sample.target} \n", f"\t{sample.target}"]
    if not getattr(import_module(f"medxiaohe.scoring.{name}"), "CASE_SENSITIVE", False):
        forms += [sample.target.upper(), sample.target.lower(), sample.target.title()]
    for target in forms:
        assert judged(scorer, replace(sample, target=target), sample.messages[-1].text).value == 1.0, target


@pytest.mark.parametrize("target", ["Yes", "YES", " yes ", "yes."])
@pytest.mark.parametrize("name", ["yes_no", "stated", "exact"])
def test_a_row_of_ones_own_may_say_yes_in_any_way(name: str, target: str) -> None:
    scorer = plugins.load("scoring", name)
    assert judged(scorer, replace(SAMPLE, target=target, choices=()), "Yes.").value == 1.0
    assert judged(scorer, replace(SAMPLE, target=target, choices=()), "No.").value == 0.0


@pytest.mark.parametrize("name", plugins.shipped("scoring"))
def test_a_scorer_earns_nothing_for_the_prompt_copied(name: str, tree: Path) -> None:
    scorer, sample = scorer_of(name, tree), example(name)
    assert not judged(scorer, sample, sample.prompt.messages[-1].text).value


@pytest.mark.parametrize("name", plugins.shipped("scoring"))
def test_a_scorer_takes_its_settings_by_keyword_and_has_a_default_for_each(name: str) -> None:
    parameters = list(inspect.signature(plugins.load("scoring", name)).parameters.values())
    assert [p.name for p in parameters[:2]] == ["sample", "trace"]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters[2:])


@pytest.mark.parametrize("name", plugins.shipped("scoring"))
def test_a_scorer_reads_the_answer_and_nothing_else_of_the_trace(name: str, tree: Path) -> None:
    scorer, sample = scorer_of(name, tree), example(name)
    trace = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", ("I am not sure.",))))
    shown = Message("user", (sample.messages[-1].text,))
    assert scorer(sample, replace(trace, messages=(shown, trace.messages[-1]))).value == 0.0


@tool
def again(word: str) -> str:
    """Say the word again."""
    return word


def workflow_and_example(name: str) -> tuple[Any, Example]:
    workflow = plugins.load("workflows", name)
    return workflow, import_module(f"medxiaohe.agents.{name}").EXAMPLE


def model(answer: Any = ("",)) -> Any:
    """A model that also ranks, for the workflows that ask it to."""
    return scripted(answer=answer, nats=lambda talk, one: float(len(one)))


def three(example: Example) -> list[Prompt]:
    return [Prompt(f"p/{i}", (Message("user", (f"number {i}",)),), facts=example.facts) for i in range(3)]


@pytest.mark.parametrize("name", plugins.shipped("workflows"))
def test_a_workflow_answers_in_order_and_ends_although_the_model_never_does(name: str) -> None:
    workflow, example = workflow_and_example(name)
    assert workflow((), model()) == []
    traces = workflow(three(example), model(lambda _: example.ends), (again,))
    assert [trace.prompt.id for trace in traces] == ["p/0", "p/1", "p/2"]
    assert all(trace.answer == (example.answers or example.ends) and not trace.error for trace in traces)
    assert all(trace.stop == "answered" and trace.steps for trace in traces)
    (endless,) = workflow(three(example)[:1], model(lambda _: example.goes_on), (again,))
    assert endless.error and endless.stop in ("failed", "budget") and len(endless.steps) > 2
    (cut,) = workflow(three(example)[:1], model(lambda _: example.goes_on), (again,), Budget(asks=2))
    assert cut.error and cut.stop == "budget" and sum(step.kind == "ask" for step in cut.steps) <= 2


@pytest.mark.parametrize("name", plugins.shipped("workflows"))
@pytest.mark.parametrize("reply", ["", "I cannot help with that.", "是的，但我不确定。"])
def test_a_workflow_takes_any_reply_and_a_tool_that_fails(name: str, reply: str) -> None:
    @tool
    def again(word: str) -> str:
        """Always fails."""
        raise RuntimeError("broken")

    workflow, example = workflow_and_example(name)
    replies = [example.goes_on, *[reply] * 63]
    (trace,) = workflow(three(example)[:1], model(replies), (again,))
    assert isinstance(trace.answer, str) and trace.stop in ("answered", "failed", "budget")


@pytest.mark.parametrize("name", plugins.shipped("models"))
def test_a_backend_is_made_from_the_name_of_a_model(name: str) -> None:
    make = plugins.load("models", name)
    assert next(iter(inspect.signature(make).parameters)) == "model" and make.__module__.endswith(f".{name}")
