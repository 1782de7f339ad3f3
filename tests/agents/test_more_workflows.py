"""Workflows that look things up: queries by source, reading lists, boxes, graphs, intents, re-retrieval."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_workflows import QUESTION, by_prompt, notes

from medxiaohe import images
from medxiaohe.agents.adapter_ranker import adapter_ranker
from medxiaohe.agents.aide import AGENTS, aide
from medxiaohe.agents.engine import Budget, asked
from medxiaohe.agents.hetero import hetero
from medxiaohe.agents.observe import observe
from medxiaohe.agents.parsing.subqueries import refined
from medxiaohe.agents.pathway import pathway
from medxiaohe.agents.research import research
from medxiaohe.agents.rwr import rwr
from medxiaohe.errors import ConfigError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.cases import Cases
from medxiaohe.retrieval.graph import GraphStore, build_graph
from medxiaohe.tools import tool
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import Evidence, ImageRef, Message, Prompt, Relation, Tool

LIBRARY = [
    ("p1", "Scurvy is a lack of vitamin C and makes gums bleed."),
    ("p2", "Rickets is a lack of vitamin D in children."),
    ("p3", "Pellagra is a lack of niacin."),
]


def library(name: str, rows: Sequence[tuple[str, str]] = LIBRARY) -> Tool:
    (search,) = open_tools(["search"], {"library": BM25([Evidence(*row, name) for row in rows])})
    return replace(search, name=f"search_{name}")


@pytest.fixture
def graph(tmp_path: Path) -> GraphStore:
    facts = [
        Relation("scurvy", "has symptom", "bleeding gums", source="made up"),
        Relation("scurvy", "treated by", "vitamin c", source="made up"),
        Relation("scurvy", "has symptom", "fatigue", source="made up"),
        Relation("gingivitis", "has symptom", "bleeding gums", source="made up"),
        *[Relation(f"disease {n}", "has symptom", "fatigue", source="made up") for n in range(30)],
    ]
    (tmp_path / "graph").mkdir()
    build_graph(tmp_path / "graph", facts)
    return GraphStore(tmp_path / "graph")


@pytest.fixture
def eye(tmp_path: Path) -> ImageRef:
    Image.linear_gradient("L").resize((200, 100)).save(tmp_path / "eye.png")
    return images.ref(tmp_path / "eye.png")


# ---- hetero -------------------------------------------------------------------------------------------


def test_each_source_gets_its_own_queries_and_an_empty_tag_is_not_searched() -> None:
    written = "<papers>scurvy\nvitamin C\ngums\nbleed\nfifth</papers><books></books>"
    model = scripted(answer=by_prompt(You_write_search_queries=written, Knowledge_from="Answer: A [p1]"))
    (trace,) = hetero([QUESTION], model, [library("papers"), library("books")])
    calls = [(s.who, s.given["arguments"]["query"]) for s in trace.steps if s.kind == "use"]
    assert [who for who, _ in calls] == ["search_papers"] * 4 and calls[0][1] == "scurvy"
    shown = asked(trace, trace.steps[-1].n)[-1].text
    assert "[p1] Scurvy" in shown and "[p3]" not in shown and trace.answer == "Answer: A [p1]"
    assert {one.id for one in trace.evidence} >= {"p1"}


def test_the_graph_gets_one_term_and_relation(graph: GraphStore) -> None:
    (relations,) = open_tools(["relations"], {"graph": graph})
    written = "<graph>scurvy, treated by\nscurvy, has symptom</graph>"
    model = scripted(answer=by_prompt(You_write_search_queries=written, Knowledge_from="Answer: A"))
    (trace,) = hetero([QUESTION], model, [relations])
    (call,) = [s.given["arguments"] for s in trace.steps if s.kind == "use"]
    assert call == {"entity": "scurvy", "predicate": "treated by"}
    assert "scurvy | treated by | vitamin c" in asked(trace, trace.steps[-1].n)[-1].text


def test_reports_of_similar_images_are_a_reference_and_other_cases_of_the_image_are_not(
    eye: ImageRef, tmp_path: Path
) -> None:
    Image.linear_gradient("L").resize((64, 64)).save(tmp_path / "like.png")
    Image.linear_gradient("L").rotate(90).save(tmp_path / "other.png")
    rows = [
        Evidence("same", "the item itself", "x", (eye,)),
        Evidence("other", "far", "x", (images.ref(tmp_path / "other.png"),)),
        Evidence("like", "a pale disc", "x", (images.ref(tmp_path / "like.png"),)),
    ]
    tools = open_tools(["similar_cases"], {"cases": Cases(rows)})
    prompt = Prompt("i", (Message("user", ("Which?", eye)),), QUESTION.choices)
    (trace,) = hetero([prompt], scripted(answer=lambda _: "Answer: A"), [*tools, library("papers")])
    (near,) = [s.got for s in trace.steps if s.who == "similar_cases"]
    assert [one.id for one in near.evidence] == ["like"]
    last = asked(trace, trace.steps[-1].n)[-1].text
    assert "a pale disc" in last and "never the basis" in last
    (none,) = hetero([prompt], scripted(answer=lambda _: "Answer: A"), tools, reports=False)
    assert not [s for s in none.steps if s.kind == "use"]


def test_a_query_that_names_somebody_is_deidentified_before_it_leaves() -> None:
    written = "<papers>gums of jane.doe@example.org bleed</papers>"
    model = scripted(answer=by_prompt(You_write_search_queries=written, Knowledge_from="Answer: A"))
    (trace,) = hetero([QUESTION], model, [library("papers")])
    (query,) = [s.given["arguments"]["query"] for s in trace.steps if s.kind == "use"]
    assert "jane.doe" not in query and "bleed" in query


# ---- re-retrieval -------------------------------------------------------------------------------------


def cdir(confidence: float, threshold: float, second: str = "A") -> Any:
    """A model that says B with a confidence, then `second` when it has read a similar case."""

    def reply(talk: Sequence[Message]) -> str:
        seen = any("similar" in str(m.parts) for m in talk[1:] if m.role == "tool")
        return f"<think>hm</think><answer>{second if seen else 'B'}</answer>"

    def nats(talk: Sequence[Message], one: str) -> float:
        return -math.log(confidence if ">B<" in one else (1 - confidence) / 2)

    @tool(example={"text": "x"})
    def similar_cases(text: str = "", image: int = 0) -> tuple[Evidence, ...]:
        """Cases like this one."""
        return (Evidence("c", "a similar case: scurvy", "cases"),)

    (trace,) = rwr([QUESTION], scripted(answer=reply, nats=nats), [similar_cases], threshold=threshold)
    return trace


@pytest.mark.parametrize(
    ("confidence", "threshold", "fires"), [(0.5, 0.8, True), (0.9, 0.8, False), (0.9, 0.95, True)]
)
def test_cdir_fires_only_below_its_threshold(confidence: float, threshold: float, fires: bool) -> None:
    trace = cdir(confidence, threshold)
    (note,) = notes(trace, "cdir")
    assert note["fired"] is fires and note["confidence"] == pytest.approx(confidence)
    assert trace.answer.endswith("<answer>A</answer>" if fires else "<answer>B</answer>")
    assert sum(s.who == "similar_cases" for s in trace.steps) == fires


def test_cdir_is_off_by_default_and_asks_for_likelihoods_before_anything_else() -> None:
    assert not notes(cdir(0.1, 0.0), "cdir")
    model = scripted(answer=lambda _: "<answer>A</answer>")
    with pytest.raises(ConfigError, match="gives no likelihoods"):
        rwr([QUESTION], model, threshold=0.8)
    assert not model.conversations and rwr([QUESTION], model)[0].answer == "<answer>A</answer>"


def test_a_second_reply_without_an_answer_leaves_the_first() -> None:
    trace = cdir(0.2, 0.8, second="")
    assert trace.answer == "<think>hm</think><answer>B</answer>" and not trace.error


# ---- research -----------------------------------------------------------------------------------------


def test_a_claim_counts_only_with_words_that_its_passage_has() -> None:
    claims = [
        {"claim": "Scurvy bleeds.", "quote": "lack of vitamin C", "id": "p1"},
        {"claim": "Forged.", "quote": "lack of vitamin K and more", "id": "p1"},
        {"claim": "From nowhere.", "quote": "lack of vitamin C", "id": "p9"},
    ]
    replies = by_prompt(
        You_are_the_planner='{"queries": ["scurvy gums"]}',
        You_are_the_reader=json.dumps({"claims": claims}),
        came_out_of="(1)\nAnswer: A",
    )
    (trace,) = research([QUESTION], scripted(answer=replies), [library("papers")])
    assert [(c.text, c.evidence) for c in trace.claims] == [("Scurvy bleeds.", ("p1",))]
    dropped = notes(trace, "claims")[0]["dropped"]
    assert len(dropped) == 2 and "does not have the quotation" in dropped[0]


def test_the_document_of_the_best_result_is_read_as_well() -> None:
    long = "Scurvy bleeds. " + "It is a matter of diet. " * 20 + "Limes cured sailors at sea."
    library_ = BM25([Evidence("d1", long, "papers")])
    tools = open_tools(["search", "visit"], {"library": library_})
    claim = {"claim": "Limes cure.", "quote": "Limes cured sailors", "id": f"d1@0-{len(long)}"}
    replies = by_prompt(
        You_are_the_planner='{"queries": ["scurvy"]}',
        You_are_the_reader=json.dumps({"claims": [claim]}),
        came_out_of="(1)\nAnswer: A",
    )
    (trace,) = research([QUESTION], scripted(answer=replies), tools, rounds=1)
    assert [s.who for s in trace.steps if s.kind == "use"] == ["search", "visit"]
    assert [one.evidence for one in trace.claims] == [(f"d1@0-{len(long)}",)]


def test_research_ends_when_nothing_new_is_found() -> None:
    def planned(talk: Sequence[Message]) -> str:
        number = talk[-1].text.split("This is round ")[1][0]
        return json.dumps({"queries": [f"scurvy {number}"]})

    replies = by_prompt(
        You_are_the_planner=planned, You_are_the_reader='{"claims": []}', came_out_of="Answer: B"
    )
    (trace,) = research([QUESTION], scripted(answer=replies), [library("papers")], rounds=9)
    assert len(notes(trace, "read")) == 1 and trace.answer == "Answer: B"
    (none,) = research([QUESTION], scripted(answer=lambda _: "Answer: B"))
    assert none.answer == "Answer: B" and len(none.steps) == 1


# ---- observations -------------------------------------------------------------------------------------

BOXES = {
    "observations": [
        {"landmark": "disc", "box": [10, 10, 60, 60], "finding": "pale"},
        {"landmark": "rim", "box": [50, 50, 90, 90], "finding": "thin"},
    ]
}


def test_observations_are_looked_at_again_in_their_own_part_of_the_image(eye: ImageRef) -> None:
    tools = open_tools(["zoom"])
    model = scripted(
        answer=by_prompt(
            Analyze=json.dumps(BOXES), observation_1="yes", observation_2="no", Reason_and="(1)\nAnswer: A"
        )
    )
    prompt = Prompt("i", (Message("user", ("Glaucoma?", eye)),), QUESTION.choices)
    (trace,) = observe([prompt], model, tools)
    (again,) = notes(trace, "looked_again")
    assert again == {"seen": {"1": "yes", "2": "no"}, "dropped": [2]}
    (rows,) = notes(trace, "observations")
    assert [row["landmark"] for row in rows] == ["disc"]
    parts = [s.got.parts[1].box for s in trace.steps if s.who == "zoom"]
    assert parts == [(20, 10, 120, 60), (100, 50, 180, 90)]
    looked = [asked(trace, s.n) for s in trace.steps if s.kind == "ask" and s.who == "observer"][1:]
    assert [talk[0].parts[0].box for talk in looked] == parts
    assert [(c.text, c.needs) for c in trace.claims] == [("disc at 10, 10, 60, 60 %: pale", "image")]


def test_a_conclusion_must_cite_an_observation_that_is_there(eye: ImageRef) -> None:
    prompt = Prompt("i", (Message("user", ("Glaucoma?", eye)),), QUESTION.choices)
    replies = by_prompt(Analyze=json.dumps(BOXES), Reason_and="(3)\nAnswer: A", must_cite="(2)\nAnswer: A")
    (mended,) = observe([prompt], scripted(answer=replies))
    assert mended.answer == "(2)\nAnswer: A" and [c.id for c in mended.claims] == ["2"]
    replies = by_prompt(Analyze=json.dumps(BOXES), Reason_and="(3)", must_cite="Answer: A")
    (refused,) = observe([prompt], scripted(answer=replies))
    assert "cites no observation" in refused.error and refused.stop == "failed"


def test_a_box_inside_out_is_repaired_once(eye: ImageRef) -> None:
    wrong = {"observations": [{"landmark": "disc", "box": [60, 10, 10, 60], "finding": "pale"}]}
    replies = by_prompt(Analyze=json.dumps(wrong), left_below=json.dumps(BOXES), Reason="(1)\nAnswer: A")
    prompt = Prompt("i", (Message("user", ("Glaucoma?", eye)),), QUESTION.choices)
    (trace,) = observe([prompt], scripted(answer=replies))
    assert notes(trace, "unreadable") and len(notes(trace, "observations")[0]) == 2


# ---- the graph and the pathway ------------------------------------------------------------------------


def test_the_pathway_shows_facts_and_neighbours_and_says_what_is_from_nowhere(graph: GraphStore) -> None:
    tools = open_tools(["neighbours"], {"graph": graph})
    said = "Is it scurvy? I have bleeding gums and no fatigue."
    prompt = Prompt("t", (Message("user", (said,)),))
    reply = "Take vitamin C. It may be disease 7, and gingivitis is possible."
    predicted = '{"entities": ["vitamin c"], "acts": ["treat"]}'
    model = scripted(answer=by_prompt(You_are_the_predictor=predicted, What_may_help=reply))
    (trace,) = pathway([prompt], model, tools)
    (look, marked) = [s.got for s in trace.steps if s.who == "neighbours"]
    assert look.data["entities"] == ["scurvy", "bleeding gums"] and look.data["denied"] == ["fatigue"]
    assert ["scurvy | has symptom | bleeding gums" in line for line in look.data["direct"]] == [True]
    assert look.data["potential"][:2] == ["gingivitis", "vitamin c"]
    assert notes(trace, "predicted") == [{"entities": ["vitamin c"], "acts": ["treat"]}]
    assert notes(trace, "outside") == [{"entities": 3, "outside": ["disease 7"]}]
    assert marked.data["entities"] and trace.answer == reply


@pytest.mark.parametrize(
    ("knowledge", "asks", "shown"), [("none", 1, ""), ("direct", 1, "facts"), ("potential", 1, "gingivitis")]
)
def test_the_pathway_goes_as_far_as_it_is_told(
    graph: GraphStore, knowledge: str, asks: int, shown: str
) -> None:
    tools = open_tools(["neighbours"], {"graph": graph})
    prompt = Prompt("t", (Message("user", ("Scurvy with bleeding gums?",)),))
    (trace,) = pathway([prompt], scripted(answer=lambda _: "Rest."), tools, knowledge=knowledge)
    assert sum(s.kind == "ask" for s in trace.steps) == asks
    last = next(asked(trace, s.n) for s in trace.steps if s.kind == "ask")[-1].text
    assert (shown in last) and (("gingivitis" in last) == (knowledge == "potential"))


# ---- aide ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queries", "most", "left"),
    [
        (["", "  ?? ", "a"], 3, []),
        (["Aspirin dose", "dose, aspirin"], 3, ["Aspirin dose"]),
        (["aspirin", "aspirin dose in children"], 3, ["aspirin dose in children"]),
        (["the the dose  of of aspirin;"], 3, ["the dose of aspirin"]),
        (["diet after surgery", "aspirin dose", "cause of fever"], 2, ["cause of fever", "aspirin dose"]),
        (["感冒吃什么药", "发烧的症状"], 3, ["发烧的症状", "感冒吃什么药"]),
        (["x" * 999], 1, ["x" * 300]),
    ],
)
def test_subqueries_pass_six_rules(queries: list[str], most: int, left: list[str]) -> None:
    assert refined(queries, most) == left


def routed(agents: Sequence[str], **more: Any) -> Any:
    query = json.dumps({"symptoms": ["bleeding"], "state": "", "history": "", "queries": ["scurvy gums"]})
    said = dict.fromkeys(AGENTS, "")
    replies = by_prompt(
        **{
            "regular_form": query,
            "You_route": json.dumps({"agents": list(agents)}),
            "Which_drugs": '{"drugs": ["vitamin c"]}',
            **{f"You are the {name} agent": f"{name} says A" for name in said},
            "These_agents": "".join(f"[{name}]" for name in agents) + "\nAnswer: A",
            **more,
        }
    )
    return scripted(answer=replies)


def test_activated_agents_contribute_in_order_and_each_is_cited() -> None:
    (trace,) = aide([QUESTION], routed(["medicament", "diagnosis"]), [library("papers")])
    assert notes(trace, "activated") == [["diagnosis", "medicament"]]
    assert [c.id for c in trace.claims] == ["diagnosis", "medicament"] and notes(trace, "uncited") == [[]]
    assert all("p1" in claim.evidence for claim in trace.claims)
    second = next(asked(trace, s.n) for s in trace.steps if s.kind == "ask" and s.who == "medicament")
    assert "diagnosis says A" in second[-1].text


def test_who_is_not_cited_is_asked_for_once_and_noted() -> None:
    model = routed(["diagnosis", "medicament"], These_agents="[diagnosis]", does_not_cite="[diagnosis]")
    (trace,) = aide([QUESTION], model)
    assert notes(trace, "uncited") == [["medicament"]] and "does not cite [medicament]" in str(
        asked(trace, [s.n for s in trace.steps if s.kind == "ask"][-1])[-1].text
    )


def test_a_query_without_medicine_activates_nobody() -> None:
    (trace,) = aide([QUESTION], routed([]))
    assert notes(trace, "activated") == [[]] and not trace.claims
    (unread,) = aide([QUESTION], routed(["x"], You_route="all of them"))
    assert notes(unread, "activated") == [[]]


def test_the_lead_rotates_with_the_turns_of_the_talk() -> None:
    talk = (*QUESTION.messages, Message("assistant", ("Rest.",)), Message("user", ("And then?",)))
    (trace,) = aide([Prompt("q", talk)], routed(["diagnosis", "medicament"]))
    assert [c.id for c in trace.claims] == ["medicament", "diagnosis"]


def test_drugs_that_the_agent_names_are_looked_up() -> None:
    @tool(example={"name": "x"})
    def drug(name: str) -> str:
        """Facts of a drug."""
        return f"{name}: an acid"

    (trace,) = aide([QUESTION], routed(["medicament"]), [drug])
    assert [s.given["arguments"] for s in trace.steps if s.who == "drug"] == [{"name": "vitamin c"}]
    read = [asked(trace, s.n)[-1].text for s in trace.steps if s.who == "medicament" and s.kind == "ask"]
    assert "vitamin c: an acid" in read[-1]


# ---- the ranker ---------------------------------------------------------------------------------------


def test_the_adapter_chooses_what_it_finds_likely_to_be_right() -> None:
    replies = iter(["Answer: A", "", "Answer: B", "Answer: C"])
    chain = scripted(answer=lambda _: next(replies), nats=lambda *_: 1.0)
    ranker = scripted(nats=lambda talk, one: 0.1 if ("Answer: C" in talk[-1].text) == (one == "yes") else 3.0)
    (trace,) = adapter_ranker([QUESTION], {"": chain, "ranker": ranker}, samples=4)
    assert trace.answer == "Answer: C" and len(notes(trace, "scores")[0]) == 3
    with pytest.raises(ConfigError, match="gives no likelihoods"):
        adapter_ranker([QUESTION], {"": chain, "ranker": scripted()})


@pytest.mark.parametrize("flow", [aide, hetero, observe, pathway, research])
def test_a_budget_in_the_middle_ends_in_one_sentence(flow: Any) -> None:
    (trace,) = flow([QUESTION], scripted(answer=lambda _: "x"), [library("papers")], Budget(asks=1))
    assert trace.stop in ("budget", "answered") and "Traceback" not in trace.error
