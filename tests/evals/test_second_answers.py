"""Answers given again below a confidence, the sweep of its threshold, and why answers behind a search are
wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from medxiaohe.agents.rwr import rwr
from medxiaohe.evals.statistics.failures import label, labels
from medxiaohe.evals.statistics.second_answers import reread
from medxiaohe.evidence.answer_words import gold_words
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.scoring.choice import choice
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, ImageRef, Message, Sample, Score, Step, ToolResult, Trace

# confidence of the first answer, whether it is right, whether the second one is
ITEMS = [(0.3, False, True), (0.5, False, True), (0.6, True, False), (0.9, True, True), (0.95, False, False)]


def sample(n: int) -> Sample:
    asked = Message("user", (f"{n} Which?\nA. Scurvy\nB. Rickets\nC. Pellagra",))
    return Sample(f"s/{n}", (asked, Message("assistant", ("A",))), "A", ("Scurvy", "Rickets", "Pellagra"))


def traces(threshold: float) -> list[tuple[Sample, Trace]]:
    def item(talk: Sequence[Message]) -> tuple[float, bool, bool]:
        return ITEMS[int(talk[0].text.split()[0])]

    def reply(talk: Sequence[Message]) -> str:
        _, first, second = item(talk)
        right = second if any(m.role == "tool" for m in talk) else first
        return f"<think>x</think><answer>{'A' if right else 'B'}</answer>"

    def nats(talk: Sequence[Message], one: str) -> float:
        confidence, first, second = item(talk)
        again = any(m.role == "tool" for m in talk)
        said = "A" if (second if again else first) else "B"
        confidence = 0.97 if again else confidence
        return -math.log(confidence if f">{said}<" in one else (1 - confidence) / 2)

    @tool(example={"text": "x"})
    def similar_cases(text: str = "", image: int = 0) -> tuple[Evidence, ...]:
        """Cases."""
        return (Evidence("c", "a case", "cases"),)

    samples = [sample(n) for n in range(len(ITEMS))]
    model = scripted(answer=reply, nats=nats)
    found = rwr([one.prompt for one in samples], model, [similar_cases], threshold=threshold)
    return list(zip(samples, found, strict=True))


def test_accuracy_before_and_after_of_those_that_fired() -> None:
    found = reread(traces(0.8), choice)
    assert (found["n"], found["fired"]) == (5, 3)
    assert found["before"] == pytest.approx(1 / 3) and found["after"] == pytest.approx(2 / 3)
    assert found["rise"] == pytest.approx(0.97 - (0.3 + 0.5 + 0.6) / 3)
    assert found["low"] <= found["difference"] <= found["high"]


@pytest.mark.parametrize("threshold", [0.0001, 0.4, 0.58, 0.8])
def test_a_sweep_says_what_a_run_with_that_threshold_gives(threshold: float) -> None:
    whole = {row["threshold"]: row for row in reread(traces(1.0), choice)["sweep"]}
    own = reread(traces(threshold), choice)
    confidences = [c for c, *_ in ITEMS]
    swept = max((t for t in whole if t <= threshold), default=0.0)
    scores = [second if c < threshold else first for c, first, second in ITEMS]
    assert whole[swept]["fired"] == own["fired"] == sum(c < threshold for c in confidences)
    assert whole[swept]["all"] == pytest.approx(sum(scores) / len(scores))


def test_a_threshold_of_nothing_never_fires_and_one_always_does() -> None:
    assert reread(traces(0.0), choice) == {}
    assert reread(traces(1.0), choice)["fired"] == len(ITEMS)
    assert reread(traces(1.0), choice)["sweep"][0]["fired"] == 0


def searched(query: str, *passages: str) -> Trace:
    evidence = tuple(Evidence(str(i), text, "x") for i, text in enumerate(passages))
    step = Step(0, "use", "search", given={"id": "1", "arguments": {"query": query}},
                got=ToolResult("1", passages, evidence))  # fmt: skip
    return Trace(sample(0).prompt, (*sample(0).prompt.messages, Message("assistant", ("B",))), steps=(step,))


WRONG, RIGHT, UNREAD = Score("choice", 0.0), Score("choice", 1.0), Score("choice", 0.0, "unparsed")


@pytest.mark.parametrize(
    ("trace", "score", "images", "expected"),
    [
        (searched("scurvy", "It is Scurvy."), WRONG, False, "integration"),
        (searched("scurvy", "It is rickets."), WRONG, False, "retrieval"),
        (searched("rickets", "It is rickets."), WRONG, True, "perception"),
        (searched("scurvy signs", "It is rickets."), WRONG, True, "retrieval"),
        (searched("scurvy", "It is scurvy."), UNREAD, False, "no answer"),
        (searched("scurvy", "It is scurvy."), RIGHT, False, ""),
        (Trace(sample(0).prompt, ()), WRONG, False, ""),
    ],
)
def test_a_wrong_answer_behind_a_search_has_a_label(
    trace: Trace, score: Score, images: bool, expected: str
) -> None:
    item: Any = sample(0)
    if images:
        asked = Message("user", (*item.messages[0].parts, ImageRef("x.png")))
        item = Sample(item.id, (asked, item.messages[1]), item.target, item.choices)
    assert label(item, trace, score) == expected


def test_yes_and_no_are_not_labelled_and_nothing_searched_is_nothing() -> None:
    item = Sample("s", (Message("user", ("Is it?",)), Message("assistant", ("yes",))), "yes")
    assert gold_words(item) == frozenset() and label(item, searched("x", "y"), WRONG) == "not labelled"
    assert labels([(item, Trace(item.prompt, ()), WRONG)]) == {}
    assert labels([(sample(0), searched("scurvy", "scurvy"), WRONG)])["integration"] == 1
