"""The parts of building from literature: spans, spellings, concepts, kinds, phrases, ranking,
held-out nodes."""

import itertools
from collections import Counter
from pathlib import Path

import literature_for_tests as made
import pytest

pytest.importorskip("numpy")
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.literature import boost, candidates, cluster, grow
from medxiaohe.entity.literature.attach import Parent, fit
from medxiaohe.entity.literature.holdout import drawn, hold_out
from medxiaohe.entity.literature.kinds import Typer
from medxiaohe.entity.literature.parents import Skeleton
from medxiaohe.entity.literature.passages import Found, Passage, spans_of
from medxiaohe.entity.literature.vectors import Remembering, Sparse, top, word_features
from medxiaohe.entity.literature.words import genus, head, said_to_be, variant_key
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.models.embed import embedder
from medxiaohe.types import Entity


@given(st.text(alphabet="ab -()α\n", min_size=1, max_size=8), st.text(alphabet="ab -()α\n", max_size=40))
def test_a_span_is_the_surface_but_for_case_and_spaces(surface: str, text: str) -> None:
    for start, end in spans_of(surface, text):
        assert text[start:end].split() == surface.split()
    if surface.split() and f" {' '.join(surface.split())} " in text:
        assert any(True for _ in spans_of(surface, text))


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("Lung tumours", "lung tumor", True), ("cancer of the lung", "lung cancers", True), ("β-thalassaemia",
        "beta thalassemia", True),
        ("type II diabetes", "type 2 diabetes", True), ("type 1 diabetes", "type 2 diabetes", False),
        ("Crohn's disease", "Crohn disease", True),
        ("hypertension", "hypotension", False),
    ],
)  # fmt: skip
def test_spellings_of_one_term_have_one_key(a: str, b: str, same: bool) -> None:
    assert (variant_key(a) == variant_key(b)) is same


def test_heads_and_genus_phrases_are_found() -> None:
    assert [head(n) for n in ("lung carcinoma type 2", "carcinoma of the lung", "fever")] == [
        "carcinoma",
        "carcinoma",
        "fever",
    ]
    assert genus("A lung disease that is marked by cysts.") == "lung disease"
    assert genus("A form of autosomal dominant ataxia, which ...") == "autosomal dominant ataxia"
    text = "Farber lipogranulomatosis (FL) is a rare lysosomal disease that kills. More."
    assert said_to_be(text, text.index(" (FL)")) == "a rare lysosomal disease that kills"
    assert said_to_be("Fever was seen.", 5) == ""


# ---- neighbours, concepts, kinds -----------------------------------------------------------------


def test_cosines_of_the_inverted_index_are_those_of_the_rows() -> None:
    texts = ["lung cancer", "lung cancer", "liver cyst of the lung", "zebra"]
    sparse = Sparse(texts, word_features)
    similarity = sparse.similarities("lung cancer")
    assert (
        similarity[0] == pytest.approx(1, abs=1e-5)
        and similarity[0] == similarity[1] > similarity[2] > similarity[3] == 0
    )
    assert not Sparse(["a b"], word_features).similarities("unknown words").any()


@given(st.lists(st.sampled_from([0.0, 0.5, 0.25, 1.0]), max_size=12), st.integers(0, 15))
def test_top_is_a_stable_sort(values: list[float], k: int) -> None:
    array = np.array(values, np.float32)
    assert top(array, k).tolist() == sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]


def test_vectors_are_kept_from_run_to_run(tmp_path: Path) -> None:
    first = Remembering(embedder("ngrams"), tmp_path).encode(["a fever", "a cough", "a fever"])
    assert len(list(tmp_path.iterdir())) == 1 and (first[0] == first[2]).all()
    assert (
        Remembering(embedder("ngrams"), tmp_path).encode(["a fever", "a cough", "a fever"]) == first
    ).all()


def found(surface: str, times: int, type: str = "disease") -> list[Found]:
    return [Found(f"p{i}", 0, len(surface), surface, type, "test") for i in range(times)]


def test_mx11_spellings_plurals_and_defined_abbreviations_are_one_concept_and_opposites_are_two() -> None:
    mentions = [
        *found("giant lung tumour", 5), *found("Giant lung tumors", 2), *found("GLT", 3),
        *found("acute lung rot", 4),
        *found("chronic lung rot", 4),
        *found("lung rot type 1", 2), *found("lung rot type 2", 2), *found("hyperglobinism", 2),
        *found("hypoglobinism", 2),
    ]  # fmt: skip
    made_of = cluster.concepts(mentions, {"GLT": Counter({"giant lung tumour": 4})}, least=0.6)
    assert [set(concept.names) for concept in made_of if len(concept.names) > 1] == [
        {"giant lung tumour", "Giant lung tumors", "GLT"}
    ]
    assert made_of[0].name == "giant lung tumour" and len(made_of[0].mentions) == 10 and len(made_of) == 7


def test_mx11_near_spellings_join_and_the_result_does_not_depend_on_the_order() -> None:
    mentions = [
        *found("myelofibrosis syndrome", 3),
        *found("myelofibrosis syndrom", 2),
        *found("migraine", 2),
    ]
    one = [sorted(c.names) for c in cluster.concepts(mentions, {}, least=0.6)]
    assert one == [sorted(c.names) for c in cluster.concepts(mentions[::-1], {}, least=0.6)]
    assert ["myelofibrosis syndrom", "myelofibrosis syndrome"] in one and len(one) == 2


def test_an_abbreviation_with_two_long_forms_joins_none() -> None:
    mentions = [*found("giant lung tumour", 2), *found("greater limb twitch", 2), *found("GLT", 2)]
    made_of = cluster.concepts(mentions, {"GLT": Counter({"giant lung tumour": 3, "greater limb twitch": 2})})
    assert len(made_of) == 3


def test_mx11_a_kind_is_that_of_the_nearest_names() -> None:
    roots = [Entity(f"MET:{kind}", kind, kind) for kind in ("disease", "chemical")]
    names = {
        "disease": ["hepatitis", "nephritis", "gastritis", "arthritis"],
        "chemical": ["penicillin", "ampicillin", "amoxicillin", "cloxacillin"],
    }
    nodes = [
        Entity(f"{kind}:{i}", name, kind, (f"MET:{kind}",))
        for kind, all_ in names.items()
        for i, name in enumerate(all_)
    ]
    typed = Typer(Tree([*roots, *nodes])).types(["pancreatitis", "methicillin", "xyz"])
    assert [one.kind for one in typed] == ["disease", "chemical", ""]
    assert typed[1].nearest and typed[1].share > 0.9


def test_phrases_leave_out_function_words_and_known_names_and_the_longest_stays() -> None:
    tree = Tree(made.ontology())
    linker = Linker(tree)
    texts = [
        f"Severe lung infection and pulmonary crepitosis of the spleen were seen in {n}."
        for n in ("May", "June")
    ]
    texts += [
        f"There was {condition} of the {organ} and {organ} {condition}."
        for organ in made.ORGANS
        for condition in made.CONDITIONS
    ]
    result = candidates.extract(
        [Passage(str(i), text) for i, text in enumerate(texts)], linker.find,
        lambda id: tree.entities[id].kind, ("disease",),
        candidates.Options(least=0.01),
    )  # fmt: skip
    surfaces = {one.surface for one in result.found}
    assert "lung infection" not in surfaces and "lung cancer" not in surfaces
    for one in result.found:
        assert texts[int(one.passage)][one.start : one.end] == one.surface
        assert not {word.casefold() for word in one.surface.split()} & candidates.STOP
    spans = sorted((one.passage, one.start, one.end) for one in result.found)
    assert all(a[0] != b[0] or a[2] <= b[1] for a, b in itertools.pairwise(spans))


def test_c_values_count_what_stands_by_itself() -> None:
    phrases = [p for i in range(4) for p in candidates.phrases_of(i, "soft contact lens")] + list(
        candidates.phrases_of(9, "contact lens")
    )
    values = candidates.c_values(phrases)
    assert values["soft contact lens"] == pytest.approx(np.log2(4) * 4)
    assert values["contact lens"] == pytest.approx(np.log2(3) * (5 - 4)) and values["soft contact"] == 0


# ---- attachment ----------------------------------------------------------------------------------


def test_held_out_nodes_leave_no_trace_and_their_children_go_to_the_nearest_that_stays() -> None:
    entities = [
        Entity("a", "a", "k"),
        Entity("b", "b", "k", ("a",)),
        Entity("c", "c", "k", ("b",)),
        Entity("d", "d", "k", ("c", "a"), xrefs=("X:1",)),
    ]
    held = hold_out(entities, ["b", "c", "d"])
    assert [(e.id, e.parents) for e in held.skeleton] == [("a", ())]
    assert held.gold == {"b": frozenset("a"), "c": frozenset("a"), "d": frozenset("a")} and held.leaves == {
        "d"
    }
    assert all(not q.parents and not q.xrefs for q in held.queries)
    assert [(e.id, e.parents) for e in hold_out(entities, ["b"]).skeleton] == [
        ("a", ()),
        ("c", ("a",)),
        ("d", ("c", "a")),
    ]


def test_the_ranker_finds_a_column_that_tells_and_scores_are_chances() -> None:
    draw = np.random.default_rng(0)
    group = np.repeat(np.arange(200), 8)
    gold = np.zeros(1600)
    gold[np.arange(200) * 8 + draw.integers(0, 8, 200)] = 1
    rows = np.stack([draw.random(1600), gold + 0.3 * draw.random(1600), draw.random(1600)], 1)
    ranker = boost.fit(rows, group, gold, boost.Growth(num_trees=20, share=1.0))
    scores = ranker.scores(rows).reshape(200, 8)
    assert (scores.argmax(1) == gold.reshape(200, 8).argmax(1)).all() and ranker.gain.argmax() == 1
    chance = boost.softmax(scores[0], np.zeros(8, np.int64), np.zeros(1, np.int64))
    assert chance.sum() == pytest.approx(1)
    again = boost.fit(rows, group, gold, boost.Growth(num_trees=20, share=1.0))
    assert (again.scores(rows) == ranker.scores(rows)).all()


def test_mx12_held_out_nodes_of_a_regular_ontology_find_their_parents() -> None:
    entities = made.ontology()
    held = hold_out(entities, drawn(entities, "test", 0, 0.15))
    ranked = fit(held.skeleton).rank(Skeleton(held.skeleton), held.queries)
    first = [bool(r) and r[0].id in held.gold[q.id] for q, r in zip(held.queries, ranked, strict=True)]
    most_children = Counter(p for e in held.skeleton for p in e.parents).most_common(1)[0][0]
    baseline = [most_children in held.gold[q.id] for q in held.queries]
    assert sum(first) / len(first) > 0.7 > sum(baseline) / len(baseline)
    assert all(sum(p.score for p in r) <= 1.001 and all(p.why for p in r) for r in ranked)


def test_one_parent_or_two_are_chosen_by_their_chances() -> None:
    def of(*scores: float, above: dict[str, set[str]] | None = None) -> list[str]:
        return [
            p.id for p in grow.chosen([Parent(str(i), s, "") for i, s in enumerate(scores)], 0.5, above or {})
        ]

    assert of(0.7, 0.1) == ["0"] and of(0.45, 0.4) == ["0", "1"] and of(0.4, 0.3) == [] and of() == []
    assert of(0.6, 0.38, above={"0": {"1"}}) == ["0"]
    assert grow.chosen([Parent("MET:disease", 0.9, "")], 0.5, {}, ("MET:disease",)) == []


def test_new_entities_hang_below_new_ones_by_name_and_merge_below_one_parent_only() -> None:
    one, two, other = (
        Entity(i, n, "disease")
        for i, n in (("1", "blue fever"), ("2", "familial blue fever"), ("3", "fever of blue eyes"))
    )
    assert {id: parent for id, (parent, _) in grow.below_new_ones([one, two, other]).items()} == {"2": "1"}
    entities = {e.id: e for e in (one, two, other)}
    pairs = {("1", "2"), ("1", "3")}
    assert grow.merged_by_layer({"1": ["p"], "2": ["p"], "3": ["q"]}, entities, pairs) == {"2": "1"}
    assert grow.merged_by_layer({"1": ["p"], "2": ["1"]}, entities, pairs) == {}
    assert set(grow.joined(one, replaced(two, synonyms=("BF",))).synonyms) == {"familial blue fever", "BF"}


def replaced(entity: Entity, **more: object) -> Entity:
    from dataclasses import replace

    return replace(entity, **more)  # type: ignore[arg-type]
