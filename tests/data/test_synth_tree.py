"""Texts and questions written from the tree (MX-16, MET-5), and the search for raw items of a node
(MET-3)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import synth_for_tests as small
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.data.synth import cards, choices, paths, rows, thin
from medxiaohe.data.synth.choices import Choice
from medxiaohe.data.synth.graph import Graph, related, siblings
from medxiaohe.data.synth.names import given_away, names_of, visible
from medxiaohe.data.synth.paths import Refused
from medxiaohe.data.synth.search import Pool
from medxiaohe.data.synth.walk import MORE_THAN, Walk, readings, verify, walk_from_json
from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.scoring.choice import choice
from medxiaohe.types import Entity, Message, Relation, Sample, Trace

GRAPH = small.graph()
WALKS = [walk for id in GRAPH.tree.entities if isinstance(walk := paths.path(id, GRAPH), Walk)]
CHOICES = [
    made for id in GRAPH.tree.entities for made in choices.choices(id, GRAPH) if isinstance(made, Choice)
]


# ---- facts ---------------------------------------------------------------------------------------


def test_a_relation_that_no_patient_had_is_no_fact() -> None:
    assert GRAPH.edge("D:00", "has phenotype", "P:11") is None
    assert GRAPH.edge("D:00", "has phenotype", "P:0") is not None


def test_a_domain_is_no_end_of_a_fact() -> None:
    assert not any("D:root" in (e.subject, e.object) for edges in GRAPH.out.values() for e in edges)


def test_siblings_are_neither_above_nor_below() -> None:
    for id in GRAPH.tree.entities:
        assert {related(GRAPH.tree, id, other) for other in siblings(GRAPH.tree, id)} <= {"sibling"}


def test_diseases_of_animals_have_no_facts() -> None:
    animal = Entity("V:0", "non-human animal disease", "disease", ("D:all",))
    dog = Entity("V:1", "hip dysplasia, dog", "disease", ("V:0",))
    made = Graph(Tree([*small.entities(), animal, dog]), [Relation("V:1", "has phenotype", "P:0")])
    assert not made.out["V:1"] and not made.into["V:0"]


# ---- thin nodes and the search for items (MX-15, MET-3) ---------------------------------------------


def test_thin_nodes_are_those_the_corpus_hardly_mentions_and_near_ones_come_first() -> None:
    found = thin.thin(GRAPH, {"D:00": 9, "D:01": 3}, kinds=("disease",), at_most=2, num=50, per_parent=50)
    assert not {"D:00", "D:01"} & {one.id for one in found}
    assert found[0].around > 0 and [one.around > 0 for one in found] == sorted(
        (one.around > 0 for one in found), reverse=True
    )


def test_one_parent_gives_few_thin_nodes() -> None:
    found = thin.thin(GRAPH, {}, kinds=("disease",), at_most=0, num=50, per_parent=2)
    parents = Counter(parent for one in found for parent in GRAPH.tree.entities[one.id].parents)
    assert max(parents.values()) == 2


def _pool(*texts: str, entities: dict[int, tuple[str, ...]] | None = None) -> Pool:
    return Pool(
        (n, Sample(f"s{n}", (Message("document", (text,)),), entities=(entities or {}).get(n, ())))
        for n, text in enumerate(texts)
    )


def test_items_of_a_node_come_with_the_evidence_of_the_match() -> None:
    pool = _pool(
        "A girl with myopathy of Brun.", "Weather was fine.", "Ptosis in a case of something else.",
        "Tall and thin.",
        "Brun wrote that a myopathy with early onset in infancy is rare.", entities={3: ("D:01",),
        2: ("D:01a",)},
    )  # fmt: skip
    found = pool.retrieve(GRAPH.tree, "D:01", 5)
    assert [(one.sample, one.how) for one in found] == [
        ("s3", "linked"),
        ("s2", "below"),
        ("s0", "named"),
        ("s4", "words"),
    ]
    assert found[2].why == ("myopathy of Brun",) and "D:g0" in found[3].why


def test_an_item_that_only_shares_some_words_is_not_found() -> None:
    assert (
        _pool("A myopathy, not told of by anybody.", "Mr Brun is well.").retrieve(GRAPH.tree, "D:01", 5) == []
    )


# ---- cards and captions (MET-5) ----------------------------------------------------------------------


def test_every_sentence_of_a_card_is_a_fact_with_its_source() -> None:
    made = cards.card("D:01", GRAPH)
    assert isinstance(made, cards.Card)
    assert made.text.splitlines()[1:] == [fact.text for fact in made.facts]
    for fact in made.facts:
        assert fact.source == small.SOURCE and fact.license == small.LICENSE
        assert fact.predicate in ("definition", "names") or GRAPH.edge(
            fact.entity, fact.predicate, fact.object
        )


def test_a_caption_gets_facts_about_what_it_names_and_about_nothing_else() -> None:
    text = "Cole neuropathy of the left lung."
    made = cards.enriched(text, small.names().find(text), GRAPH)
    assert isinstance(made, cards.Card) and {fact.entity for fact in made.facts} == {"D:12", "A:0"}
    assert isinstance(cards.enriched("Nothing at all.", [], GRAPH), Refused)


def test_a_caption_row_keeps_licence_patient_and_study_and_says_what_it_was_made_of() -> None:
    text = "Cole neuropathy of the left lung."
    sample = Sample(
        "x/1",
        (Message("document", (text,)),),
        source="x",
        license="CC BY 4.0",
        patient_id="p",
        study_id="s",
        split="train",
    )
    made = cards.enriched(text, small.names().find(text), GRAPH)
    assert isinstance(made, cards.Card)
    row = rows.caption_row(sample, made, ["D:12"], GRAPH)
    assert row.license == "CC BY 4.0; CC0-1.0" and (row.patient_id, row.study_id, row.split) == (
        "p",
        "s",
        "train",
    )
    assert (
        row.provenance.made_of == "x/1"
        and row.provenance.facts[0]["source"] == small.SOURCE
        and row.is_document
    )


# ---- questions with sibling distractors (MET-5) --------------------------------------------------------


def test_wrong_options_are_siblings_never_synonyms_ancestors_or_descendants() -> None:
    assert {made.kind for made in CHOICES} == {"meaning", "facts", "group"}
    for made in CHOICES:
        assert [related(GRAPH.tree, made.answer, other) for other in made.others] == ["sibling"] * 3, made


def test_the_question_never_shows_the_answer() -> None:
    for made in CHOICES:
        answer = GRAPH.tree.entities[made.answer]
        assert not visible(names_of(answer), made.question)
        assert not given_away(
            answer.name, [GRAPH.tree.entities[id].name for id in made.others], made.question
        )


def test_no_wrong_option_has_all_the_facts_that_are_asked_about() -> None:
    for made in CHOICES:
        for other in made.others if made.kind == "facts" else ():
            assert not all(GRAPH.edge(other, fact.predicate, fact.object) for fact in made.facts)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"others": ("D:00a", "D:02", "D:03")}, "an option is above or below the answer"),
        ({"others": ("D:g0", "D:02", "D:03")}, "an option is above or below the answer"),
        ({"others": ("D:02", "D:02", "D:03")}, "two options of one name"),
        ({"question": "Is it the myopathy of Abel that is meant?"}, "the question names the answer"),
        ({"question": "Which did Abel write about?"}, "a word gives the answer away"),
    ],
)
def test_a_question_that_breaks_a_rule_is_refused(change: dict[str, object], reason: str) -> None:
    good = Choice("meaning", "D:00", "Which is meant?", "D:00", ("D:01", "D:02", "D:03"))
    assert choices.wrong(good, GRAPH) == ("", "")
    assert choices.wrong(replace(good, **change), GRAPH)[0] == reason  # type: ignore[arg-type]


def test_an_option_with_a_name_of_the_answer_is_refused() -> None:
    twin = Entity("D:0x", "Xaver myopathy", "disease", ("D:g0",), synonyms=("Abel myopathy",))
    made = Graph(Tree([*small.entities(), twin]), [])
    asked = Choice("meaning", "D:00", "Which is meant?", "D:00", ("D:0x", "D:02", "D:03"))
    assert choices.wrong(asked, made)[0] == "an option is a synonym of the answer"


def test_the_gold_of_a_choice_scores_one_and_no_prompt_has_it() -> None:
    for number, made in enumerate(CHOICES):
        row = rows.choice_row(made, number % 4, GRAPH)
        assert (
            row.target == "ABCD"[number % 4]
            and row.choices[number % 4] == GRAPH.tree.entities[made.answer].name
        )
        said = Message("assistant", (row.messages[-1].text.split("</think>")[-1],))
        assert choice(row, Trace(row.prompt, (*row.prompt.messages, said))).value == 1
        assert (
            not hasattr(row.prompt, "meta")
            and not hasattr(row.prompt, "target")
            and row.prompt.messages == row.messages[:-1]
        )


# ---- paths (MX-16) -------------------------------------------------------------------------------------


def test_paths_have_more_than_five_hops_and_are_verified() -> None:
    assert len(WALKS) > 20
    for walk in WALKS:
        assert len(walk.steps) > MORE_THAN and verify(walk, GRAPH) == ""
        assert readings(walk, GRAPH)[-1] == {walk.answer}


def test_everything_after_the_start_is_masked() -> None:
    for walk in WALKS:
        asked = paths.question(walk, GRAPH)
        assert GRAPH.tree.entities[walk.nodes[0]].name in asked
        assert not any(visible(names_of(GRAPH.tree.entities[id]), asked) for id in walk.nodes[1:])


@given(st.integers(0, len(WALKS) - 1), st.integers(0, MORE_THAN))
@settings(max_examples=60, deadline=None)
def test_a_path_with_any_edge_missing_from_the_tree_is_refused(which: int, gone: int) -> None:
    walk = WALKS[which]
    step = walk.steps[gone]
    left = [
        r
        for r in small.relations()
        if (r.subject, r.predicate, r.object) != (step.subject, step.predicate, step.object)
    ]
    gone_edge = (step.subject, step.predicate, step.object)
    nodes = [
        replace(
            e, parents=tuple(f"{e.id[0]}:root" if (e.id, "is a", p) == gone_edge else p for p in e.parents)
        )
        for e in small.entities()
    ]
    assert f"step {gone + 1} is no fact" in verify(walk, Graph(Tree(nodes), left))


@given(st.integers(0, len(WALKS) - 1), st.data())
@settings(max_examples=60, deadline=None)
def test_a_stored_path_that_was_tampered_with_is_refused(which: int, data: st.DataObject) -> None:
    row = WALKS[which].to_json()
    step = data.draw(st.sampled_from(row["steps"]))
    key = data.draw(st.sampled_from(["subject", "object", "predicate", "forward", "source"]))
    other = {"forward": not step["forward"], "predicate": "surrounds", "source": "nobody"}.get(key, "P:g1")
    if step[key] == other:
        return
    step[key] = other
    assert verify(walk_from_json(row), GRAPH)


def test_short_paths_and_paths_with_several_answers_are_refused() -> None:
    walk = WALKS[0]
    assert "not more than 5" in verify(Walk(walk.steps[:5], ()), GRAPH)
    loose = next(w for w in WALKS if w.clues and len(readings(Walk(w.steps, ()), GRAPH)[-1]) > 1)
    assert "entities meet the question, not one" in verify(Walk(loose.steps, ()), GRAPH)
    with pytest.raises(ConfigError, match="more than 5 hops"):
        paths.path("D:00", GRAPH, hops=5)
    with pytest.raises(DataError, match="not a path"):
        walk_from_json({"steps": [{"subject": "x"}], "clues": []})


def test_two_entities_of_one_name_are_no_path() -> None:
    twin = replace(GRAPH.tree.entities["P:0"], name="Abel myopathy")
    made = Graph(Tree([twin if e.id == "P:0" else e for e in small.entities()]), small.relations())
    through = [w for w in WALKS if {"D:00", "P:0"} <= set(w.nodes)]
    assert through and all("name" in paths.hidden(walk, made) for walk in through)


def test_a_path_row_has_its_steps_with_sources_where_no_prompt_sees_them() -> None:
    row = rows.path_row(WALKS[0], GRAPH)
    assert [step["source"] for step in row.provenance.path["steps"]] == [small.SOURCE] * 6
    assert (
        row.license == small.LICENSE
        and row.target.splitlines()[0] == GRAPH.tree.entities[WALKS[0].answer].name
    )
    seen = "\n".join(message.text for message in row.prompt.messages)
    assert not visible(row.target.splitlines(), seen)


def test_an_inverted_name_is_seen_as_it_is_said() -> None:
    assert visible(("Syndrome, Refeeding",), "a case of refeeding syndrome")
    assert visible(("cataract 2, multiple types",), "It is cataract 2, multiple types.")
    assert not visible(("lung disease",), "of the lung. Disease came later")


def test_the_same_seed_gives_the_same_rows() -> None:
    assert paths.path("D:00", GRAPH, seed=3) == paths.path("D:00", GRAPH, seed=3)
    assert list(choices.choices("D:00", GRAPH, seed=1)) == list(
        choices.choices("D:00", small.graph(), seed=1)
    )
    assert isinstance(Linker(GRAPH.tree).find("Ptosis")[0].entity, str)
