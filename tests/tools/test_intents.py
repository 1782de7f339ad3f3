"""Intents of a query by prototypes, and the agents that they activate in the workflow `aide`."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from medxiaohe.agents.aide import AGENTS, aide
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.retrieval.prototypes import f1, fitted, read, save
from medxiaohe.tools.intents import intents
from medxiaohe.tools.toolbox import bind
from medxiaohe.types import Message, Prompt

LABELS = Path(__file__).parent.parent.parent / "benchmarks" / "intents_labels.tsv"
ILLS = ("scurvy", "rickets", "gout", "asthma", "measles", "anaemia")
FORMS = {"symptoms": "What are the symptoms of {}?", "treatment": "How is {} treated?"}
ROWS = [(form.format(ill), name) for name, form in FORMS.items() for ill in ILLS]
BOTH = ("What are the symptoms of mumps? How is mumps treated?", {"symptoms", "treatment"})
DEV = [("What are the symptoms of mumps?", {"symptoms"}), ("How is mumps treated?", {"treatment"}), BOTH]
ELSEWHERE = ["What is the capital of Peru?", "Who won the cup?", "2 + 2?"]
STAGE = {"symptoms": "pre_diagnosis", "treatment": "post_diagnosis"}


def made() -> object:
    return fitted(ROWS, DEV, ELSEWHERE, "ngrams", STAGE)


def test_what_is_asked_is_activated_and_a_question_without_medicine_activates_nothing(tmp_path: Path) -> None:
    prototypes = made()
    assert prototypes.of(["What are the symptoms of lupus?"]) == [["symptoms"]]  # type: ignore[attr-defined]
    both = "What are the symptoms of lupus? How is lupus treated?"
    assert set(prototypes.of([both])[0]) == {"symptoms", "treatment"}  # type: ignore[attr-defined]
    assert prototypes.of(["Where is Lima?", "Bake a cake"]) == [[], []]  # type: ignore[attr-defined]
    save(prototypes, tmp_path / "p.json")  # type: ignore[arg-type]
    assert read(tmp_path / "p.json").of([both]) == prototypes.of([both])  # type: ignore[attr-defined]


def test_the_agents_of_its_intents_are_asked_and_cited_and_no_others() -> None:
    tool = bind(intents, prototypes=made())
    asked: list[str] = []

    def model(messages: list[Message]) -> str:
        asked.append(messages[-1].text)
        return '{"symptoms": [], "state": "", "history": "", "queries": []} [pre_diagnosis] Answer: rest'

    prompt = Prompt("1", (Message("user", ("What are the symptoms of lupus?",)),))
    (trace,) = aide([prompt], scripted(answer=model), [tool])  # type: ignore[arg-type]
    notes = {step.who: step.given for step in trace.steps if step.kind == "note"}
    assert notes["activated"] == ["pre_diagnosis"] and notes["uncited"] == []
    assert {step.who for step in trace.steps if step.kind == "ask"} & set(AGENTS) == {"pre_diagnosis"}
    elsewhere = Prompt("2", (Message("user", ("Where is Lima?",)),))
    (trace,) = aide([elsewhere], scripted(answer=model), [tool])  # type: ignore[arg-type]
    assert not {step.who for step in trace.steps if step.kind == "ask"} & set(AGENTS)


def test_micro_and_macro_f1_are_those_of_their_definition() -> None:
    said, gold = [{"a"}, {"a", "b"}, set()], [{"a"}, {"b"}, {"b"}]
    found = f1(said, gold, ["a", "b", "c"])
    assert found["micro"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["macro"] == pytest.approx((2 * 1 / (2 + 1) + 2 * 1 / (1 + 2)) / 2)


def test_the_published_hand_labels_are_whole() -> None:
    with open(LABELS, encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) >= 200 and len({row["id"] for row in rows}) == len(rows)
    assert len({one for row in rows for one in row["intents"].split(", ")}) >= 12


def test_what_cannot_be_meant_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no question is labelled 'outlook'"):
        fitted(ROWS, [("How long?", {"outlook"})], [], "ngrams")
    (tmp_path / "p.json").write_text("{}")
    with pytest.raises(ConfigError, match="is no file of intent prototypes"):
        read(tmp_path / "p.json")
