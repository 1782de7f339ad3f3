"""Thoughts in four segments, what is wrong with one, and who writes them (MX-17, MX-18, MX-19)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synth_for_tests as small

from medxiaohe import io
from medxiaohe.data import teach as stage
from medxiaohe.data.synth import chains, choices, paths, planted_chains, rows
from medxiaohe.data.synth.cases import case
from medxiaohe.data.synth.chains import Chain
from medxiaohe.data.synth.checks import Case, illogical, peeks, unfaithful
from medxiaohe.data.synth.choices import Choice
from medxiaohe.data.synth.gates import Draft, Gates, question, reader
from medxiaohe.data.synth.route import route
from medxiaohe.data.synth.teacher import TeacherSettings, client
from medxiaohe.data.synth.walk import Walk
from medxiaohe.data.teach import TeachSettings, teach
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.models.asking import Unreadable
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring.judges.questions import Question, Verdict
from medxiaohe.types import ImageRef, Message, Sample

GRAPH, NAMES, WORDS = small.graph(), small.names(), lexicon()
WALKS = [walk for id in GRAPH.tree.entities if isinstance(walk := paths.path(id, GRAPH), Walk)]
ASKED = [
    made
    for id in GRAPH.tree.entities
    for made in choices.choices(id, GRAPH, ("facts",))
    if isinstance(made, Choice)
]
ROWS = [rows.path_row(walk, GRAPH) for walk in WALKS] + [
    rows.choice_row(made, n % 4, GRAPH) for n, made in enumerate(ASKED)
]
GOOD: list[tuple[Chain, Case]] = [
    (chain, case(row, GRAPH)) for row in ROWS if (chain := chains.split(row.messages[-1].text)[0]) is not None
]  # fmt: skip


def _unfaithful(chain: Chain, about: Case) -> str:
    return unfaithful(chain, about, WORDS, NAMES)


# ---- the form ------------------------------------------------------------------------------------------


def test_a_chain_reads_back_as_it_was_written() -> None:
    assert len(GOOD) == len(ROWS) > 40
    for chain, _ in GOOD:
        assert chains.parse(chain.text) == chain


@pytest.mark.parametrize(
    "text",
    [
        "", "Understanding: a\nReasoning: b\nConclusion: c",
        "Understanding: a\nReasoning: b\nKnowledge recall: r\nConclusion: c",
        "Understanding: a\nKnowledge recall:\nReasoning: b\nConclusion: c",
        "Sure!\nUnderstanding: a\nKnowledge recall: r\nReasoning: b\nConclusion: c",
        "Understanding: a\nKnowledge recall: r\nReasoning: b\nConclusion: c\nConclusion: d",
    ],
)  # fmt: skip
def test_anything_but_the_four_segments_in_order_is_no_chain(text: str) -> None:
    assert chains.parse(text) is None


# ---- the checks, against thoughts broken on purpose -------------------------------------------------------


@pytest.mark.parametrize("check", [peeks, illogical, _unfaithful])
def test_whole_chains_pass(check: Callable[[Chain, Case], str]) -> None:
    wrong = [why for chain, about in GOOD if (why := check(chain, about))]
    assert len(wrong) <= 0.05 * len(GOOD), wrong[:3]


def _caught(plant: planted_chains.Plant, check: Callable[[Chain, Case], str]) -> tuple[int, int]:
    dice, caught, total = random.Random(0), 0, 0
    for number, (chain, about) in enumerate(GOOD):
        other = next(o for o, a in (*GOOD[number + 1 :], *GOOD) if bool(a.walk) == bool(about.walk))
        wrong = plant(chain, about, other, dice)
        if wrong is not None and wrong != chain:
            total += 1
            caught += bool(check(wrong, about))
    return caught, total


# words no list has: benchmarks/reasoning_chains.py says how many are missed
UNMEASURED = (planted_chains.argues_in_other_words,)


@pytest.mark.parametrize(
    "plant", [p for p in planted_chains.PEEKS if p not in UNMEASURED], ids=lambda p: p.__name__
)
def test_peeks_are_caught(plant: planted_chains.Plant) -> None:
    caught, total = _caught(plant, peeks)
    assert total and caught >= 0.95 * total


@pytest.mark.parametrize("plant", planted_chains.LOGIC, ids=lambda p: p.__name__)
def test_broken_logic_is_caught(plant: planted_chains.Plant) -> None:
    caught, total = _caught(plant, illogical)
    assert total and caught >= 0.9 * total


@pytest.mark.parametrize(
    "plant", [*planted_chains.UNFAITHFUL, planted_chains.a_sibling(GRAPH, NAMES)], ids=lambda p: p.__name__
)
def test_unfaithful_statements_are_caught(plant: planted_chains.Plant) -> None:
    caught, total = _caught(plant, _unfaithful)
    assert total and caught >= 0.9 * total


def test_what_a_picture_shows_must_all_be_in_the_evidence() -> None:
    about = Case(
        "What does the film show?", ("pleural effusion",), evidence="There is a small left pleural effusion."
    )
    reasons = (
        "The finding on the film is asked for.",
        "A small left pleural effusion is seen.",
        "That is a pleural effusion.",
    )
    seen = Chain(*reasons, "It is a pleural effusion.", seen=True)
    assert unfaithful(seen, about, WORDS) == ""
    other = replace(seen, recall="A small right pleural effusion.")
    more = replace(seen, recall=f"{seen.recall} The aorta is widened and calcified.")
    assert "other side" in unfaithful(other, about, WORDS) and "picture" in unfaithful(more, about, WORDS)


class _Judge:
    name = "j"

    def __init__(self, label: str) -> None:
        self.label = label

    def ask(self, questions: Sequence[Question]) -> list[tuple[Verdict, ...]]:
        return [tuple(Verdict(self.label) for _ in q.items) for q in questions]


@pytest.mark.parametrize(
    ("label", "wrong"), [("contradicted", True), ("supported", False), ("cannot tell", True), ("", True)]
)
def test_a_judge_decides_what_the_rules_leave_open_and_its_abstention_changes_nothing(
    label: str, wrong: bool
) -> None:
    about = Case(
        "Which vitamin is short in scurvy?",
        ("vitamin C",),
        evidence="Scurvy comes from too little vitamin C.",
    )
    chain = Chain("A vitamin is asked for.", "Sailors of old had bleeding gums after months without oranges.",
    "So it must be vitamin C.",
                  "It is vitamin C.")  # fmt: skip
    assert bool(unfaithful(chain, about, WORDS)) is True
    assert bool(unfaithful(chain, about, WORDS, judge=_Judge(label))) is wrong


# ---- routing (MX-19) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "length"),
    [
        ("Is there a pleural effusion? Answer yes or no.", "short"), ("Which side is the mass on?", "short"),
        ("What plane is this image in?", "short"), ("How many lesions are there?", "short"),
        ("What is the most likely diagnosis?", "long"), ("Why is the mediastinum shifted?", "long"),
        ("Is this finding due to trauma or a tumour, and what suggests it?", "long"),
    ],
)  # fmt: skip
def test_perception_gets_a_short_chain_and_reasoning_a_long_one(words: str, length: str) -> None:
    row = Sample("v", (Message("user", (ImageRef("x.png"), words)), Message("assistant", ("yes",))))
    assert route(row) == length
    assert (
        route(replace(row, messages=(*row.messages[:-1], Message("assistant", ("because of a diagnosis",)))))
        == length
    ), "gold"


def test_one_fact_gets_no_chain_and_several_get_one() -> None:
    made = next(
        m
        for id in GRAPH.tree.entities
        for m in choices.choices(id, GRAPH, ("meaning",))
        if isinstance(m, Choice)
    )
    assert (
        rows.choice_row(made, 0, GRAPH).provenance.chain == "none"
        and "<think>" not in rows.choice_row(made, 0, GRAPH).messages[-1].text
    )
    assert {row.provenance.chain for row in ROWS} == {"long"}


# ---- teachers
# -----------------------------------------------------------------------------------------------

TALKS = [[Message("user", (f"question {i}",))] for i in range(5)]


def _number(text: str) -> int:
    if not text.isdigit():
        raise Unreadable("it must be a number")
    return int(text)


def test_a_reply_that_cannot_be_used_is_asked_for_again_with_what_is_wrong() -> None:
    model = scripted("m", ["seven", "7"])
    reply = client(model, TeacherSettings("m", retries=1, price_in=1.0, price_out=2.0)).ask(
        TALKS[:1], _number
    )[0]
    assert (reply.value, reply.calls, reply.error) == (7, 2, "") and reply.cost > 0
    assert "it must be a number" in model.conversations[1][-1].text
    lost = client(scripted("m", ["a", "b"]), TeacherSettings("m", retries=1)).ask(TALKS[:1], _number)[0]
    assert (lost.value, lost.calls, lost.error) == (None, 2, "it must be a number")


def test_what_was_asked_before_is_not_asked_again_and_counts_the_same(tmp_path: Path) -> None:
    how = TeacherSettings("m", retries=0, max_calls=4, price_in=1.0, price_out=1.0)
    first = client(scripted("m", "12345"), how, journal=tmp_path / "r.sqlite").ask(TALKS, _number)
    model = scripted("m", ["9"])
    again = client(model, how, journal=tmp_path / "r.sqlite").ask(TALKS, _number)
    assert [replace(reply, known=False) for reply in again] == first and model.conversations == []
    assert [reply.value for reply in first] == [1, 2, 3, 4, None]
    assert (first[4].status, first[4].error) == ("spent", "the budget of 4 calls is spent")


def test_a_budget_of_money_stops_the_asking() -> None:
    reply = client(scripted("m", lambda talk: "1"), TeacherSettings("m", max_cost=1e-9, price_in=1.0)).ask(
        TALKS[:1], _number
    )[0]
    assert (reply.value, reply.status, reply.calls, reply.cost) == (None, "spent", 0, 0.0)
    with pytest.raises(ConfigError, match="price"):
        TeacherSettings("m", max_cost=1.0)


def test_the_failure_of_one_conversation_costs_the_others_nothing() -> None:
    def answer(talk: Sequence[Message]) -> str:
        if talk[0].text == "question 1":
            raise ModelError("too long")
        return "4"

    found = client(scripted("m", answer), TeacherSettings("m", retries=1)).ask(TALKS[:3], _number)
    assert [reply.value for reply in found] == [4, None, 4] and "too long" in found[1].error


# ---- the two gates (MX-17)
# -------------------------------------------------------------------------------------

ROW = ROWS[-1]
ABOUT = case(ROW, GRAPH)
BOTH = Gates(WORDS, NAMES)


def _draft(change: Callable[[Chain], Chain] = lambda chain: chain, answer: str = "") -> Draft:
    chain, said = chains.split(ROW.messages[-1].text)
    assert chain is not None
    return Draft(answer or said, change(chain))


def test_both_gates_must_open() -> None:
    wrong = "ABCD"[("ABCD".index(ROW.target) + 1) % 4]
    assert BOTH(_draft(), ROW, ABOUT) == ""
    assert BOTH(_draft(answer=wrong), ROW, ABOUT) == "outcome: wrong answer"
    assert BOTH(_draft(answer="A or B"), ROW, ABOUT) == "outcome: unparsed"
    assert BOTH(_draft(answer="I cannot help with that."), ROW, ABOUT).startswith("outcome: ")
    peeking = _draft(lambda c: replace(c, reasoning=f"The correct answer is known. {c.reasoning}"))
    assert BOTH(peeking, ROW, ABOUT) == "thinking: peeks"


def test_a_teacher_that_works_forwards_sees_no_gold() -> None:
    asked = question(ROW, ABOUT, "forwards", "long")
    assert tuple(asked[:-1]) == ROW.prompt.messages
    assert ROW.messages[-1].text.split("</think>\n")[1] not in asked[-1].text
    assert "The answer is: " in question(ROW, ABOUT, "backwards", "long")[0].text


def test_replies_are_read_strictly() -> None:
    assert reader(ROW, "forwards", "long")(ROW.messages[-1].text).chain is not None
    for reply in ("B", "<think>hm</think> B", _draft().chain.text):  # type: ignore[union-attr]
        with pytest.raises(Unreadable):
            reader(ROW, "forwards", "long")(reply)
    with pytest.raises(Unreadable):
        reader(ROW, "backwards", "long")("Because it is B.")


def test_a_short_thought_is_one_sentence_that_does_not_give_the_answer_away() -> None:
    asked = Message("user", (ImageRef("x.png"), "What is on the left?"))
    row = Sample("v", (asked, Message("assistant", ("Pleural effusion",))), "Pleural effusion")
    about = case(row)
    good = reader(row, "backwards", "short")("Visual observation: the left angle is blunted.")
    assert BOTH(good, row, about) == "" and good.text.startswith("<think>\nthe left angle")
    assert (
        BOTH(Draft("Pleural effusion", short="A pleural effusion is there."), row, about) == "thinking: peeks"
    )
    assert BOTH(Draft("Pleural effusion", short="so " * 40), row, about).startswith(
        "thinking: not a sentence"
    )


# ---- the stage
# ------------------------------------------------------------------------------------------------------


def _folders(tmp_path: Path) -> dict[str, Path]:
    tree, corpus = small.folder(tmp_path / "tree"), tmp_path / "corpus"
    with io.publish(corpus) as draft:
        io.write_jsonl(draft / "samples.jsonl", ROWS)
        io.write_json(draft / "coverage.json", {})
        io.write_json(draft / "contamination.json", {"checked": {"medqa": 3}, "matches": []})
    return {"tree": tree, "corpus": corpus}


def _teachers(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    made = {name: scripted(name, answer) for name, answer in answers.items()}
    monkeypatch.setattr(
        stage, "teacher", lambda one, work: client(made[one.model], one, journal=work / f"{one.model}.sqlite")
    )


def _knows(talk: Sequence[Message]) -> str:
    """A teacher that writes what the template would, for the questions it is asked."""
    row = next(row for row in ROWS if row.messages[0].text in talk[0].text)
    chain = chains.split(row.messages[-1].text)[0]
    assert chain is not None
    return chain.text


def test_drafts_are_kept_where_both_gates_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _teachers(monkeypatch, good=_knows, idle=lambda talk: "I do not know.")
    where = _folders(tmp_path)
    teachers = (
        TeacherSettings("idle", retries=0),
        TeacherSettings("good", retries=0, price_in=1.0, price_out=1.0),
    )
    (out := tmp_path / "out").mkdir()
    summary = teach(TeachSettings(teachers, questions=12), out, **where)
    new = [row for row in io.read_samples(out / "samples.jsonl") if row.source == "synth_chain"]
    assert summary["drafts"] == 24 and len(new) == summary["kept"] == 12 and summary["corpus"] == len(ROWS)
    assert all(
        row.provenance.by["writer"] == "good"
        and row.provenance.by["cost"] > 0
        and row.license == small.LICENSE
        for row in new
    )
    refused = list(io.read_jsonl(out / "refused.jsonl"))
    assert {(r["teacher"], r["reason"]) for r in refused} == {("idle", "outcome: unreadable")} and len(
        refused
    ) == 12
    assert io.read_json(out / "contamination.json")["checked"] == {}, (
        "the new rows were compared with nothing"
    )


def test_a_run_that_was_killed_asks_for_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, asked = _folders(tmp_path), list[str]()

    def dies(talk: Sequence[Message]) -> str:
        asked.append(talk[0].text)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return _knows(talk)

    settings = TeachSettings((TeacherSettings("one", retries=0, together=2),), questions=8)
    _teachers(monkeypatch, one=_knows)
    (whole := tmp_path / ".whole.draft").mkdir()
    teach(settings, whole, **where)
    _teachers(monkeypatch, one=dies)
    (out := tmp_path / ".killed.draft").mkdir()
    with pytest.raises(KeyboardInterrupt):
        teach(settings, out, **where)
    before = len(asked) - 2  # the two that were under way
    _teachers(monkeypatch, one=lambda talk: asked.append(talk[0].text) or _knows(talk))
    teach(settings, out, **where)
    assert (out / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()
    assert len(asked) == before + 2 + (8 - before)


def test_questions_of_held_out_splits_are_not_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _teachers(monkeypatch, one=_knows)
    where = _folders(tmp_path)
    with io.publish(tmp_path / "held") as draft:
        io.write_jsonl(draft / "samples.jsonl", [replace(row, split="test") for row in ROWS])
        io.write_json(draft / "coverage.json", {})
    (out := tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="no questions"):
        teach(TeachSettings((TeacherSettings("one"),)), out, corpus=tmp_path / "held", tree=where["tree"])
