"""Answers whose sentences name what they rest on."""

import pytest

from medxiaohe.agents.engine.replay import replay
from medxiaohe.agents.grounded import grounded
from medxiaohe.evidence.grounding import ground
from medxiaohe.evidence.rule import named
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import Evidence, Message, Prompt, Trace

LIBRARY = BM25(
    [
        Evidence("p1", "Scurvy is a deficiency of ascorbate.", "textbook"),
        Evidence("p2", "The dose of ivermectin is 200 micrograms per kg.", "label"),
        Evidence("p3", "Aspirin irreversibly inhibits platelets.", "textbook"),
    ]
)
DRAFT = (
    "The answer is B.\nScurvy is a deficiency of ascorbate. Aspirin does not irreversibly inhibit platelets."
    " The dose of ivermectin is 900 micrograms per kg. The moon is green."
)


def asked(draft: str, **settings: object) -> Trace:
    tools = open_tools(["search"], {"library": LIBRARY})
    prompt = Prompt("q", (Message("user", ("Which?",)),), ("vitamin A", "vitamin C"))
    (trace,) = grounded([prompt], scripted("m", [draft]), tools, **settings)
    return trace


def test_sentences_are_kept_with_their_evidence_marked_or_left_out() -> None:
    trace = asked(DRAFT)
    lines = trace.answer.splitlines()
    assert lines == [
        "The answer is B.", "Scurvy is a deficiency of ascorbate. [p1]", "Not verified: The moon is green.",
    ]  # fmt: skip
    for claim, ruling in zip(trace.claims, trace.rulings, strict=True):
        assert claim.at and trace.answer[slice(*claim.at)] in DRAFT and ruling.claim == claim.id
    assert {item.id for item in trace.evidence} >= {"p1", "p2", "p3"}


def test_a_replay_of_its_results_writes_the_answer_again() -> None:
    trace = asked(DRAFT)
    again = replay(trace, grounded)
    assert again.answer == trace.answer and again.rulings == trace.rulings


def test_what_contradicts_the_evidence_falls_and_as_many_questions_are_answered() -> None:
    bad = ("contradicted", "unsupported", "unjudged")
    drafts = [DRAFT, "No.\nThe dose of ivermectin is 900 micrograms per kg.", "B", "", "The answer is A."]
    for draft in drafts:
        trace = asked(draft, unsupported="cut", unjudged="cut")
        note = next(step for step in trace.steps if step.who == "draft")
        before = [row["label"] for row in note.given["rulings"]]
        after = [one.label for one in trace.rulings]
        assert bool(trace.answer) == bool(draft)
        assert sum(one in bad for one in after) <= sum(one in bad for one in before)
        assert "contradicted" not in after or "answer" in trace.answer


@pytest.mark.parametrize("text", ["Not verified: The moon is green.", "Scurvy is a deficiency of ascorbate."])
def test_grounding_a_grounded_answer_changes_no_sentence(text: str) -> None:
    policy = {"contradicted": "cut", "unsupported": "hedge", "unjudged": "hedge"}
    made = ground(text, LIBRARY.passages, named(("entities",)), policy=policy)  # type: ignore[arg-type]
    assert made.text.startswith(text)


def test_without_a_tool_to_search_nothing_is_called_supported() -> None:
    prompt = Prompt("q", (Message("user", ("Which?",)),))
    (trace,) = grounded([prompt], scripted("m", [DRAFT]), ())
    assert all(ruling.label != "supported" for ruling in trace.rulings) and "[p1]" not in trace.answer
