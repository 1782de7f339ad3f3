"""Annotations: every mention with its entity, reason, context and score."""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from entities_for_tests import ROOT, disease, tree_of
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import io
from medxiaohe.cli import look
from medxiaohe.entity.linking.annotate import SCORES, Annotation, Annotator
from medxiaohe.entity.linking.disambiguate import Meanings
from medxiaohe.entity.linking.link import Linker
from medxiaohe.types import Entity, Relation

TREE = tree_of(
    disease("AD", "Alzheimer disease", "AD", "dementia of the Alzheimer type"),
    disease("DA", "atopic dermatitis"),
    disease("VHL", "von Hippel-Lindau disease"),
    disease("PAH", "pulmonary arterial hypertension", "PAH"),
    disease("ALL", "acute lymphoblastic leukaemia", "ALL"),
    disease("leukaemia", "leukaemia"),
    disease("AML", "acute myeloid leukaemia", parents=("leukaemia",)),
    disease("cold1", "common cold", "cold"),
    disease("cold2", "hypothermia", "cold", parents=("heat",)),
    disease("heat", "temperature disorder"),
    disease("frost", "frostbite", parents=("heat",)),
    disease("fever", "fever"),
    disease("fever2", "fever", kind="phenotype"),
    disease("copd", "慢性阻塞性肺疾病"),
    disease("aspirin", "aspirin", kind="chemical"),
)
ANNOTATOR = Annotator.of(TREE)


def one(text: str) -> Annotation:
    (found,) = ANNOTATOR.annotate(text)
    return found


def found(text: str, annotator: Annotator = ANNOTATOR) -> list[tuple[str, str]]:
    return [(a.surface, a.entity) for a in annotator.annotate(text)]


def test_a_mention_says_what_it_is_and_how_it_was_found() -> None:
    assert one("No Fever today.") == Annotation(
        3, 8, "fever", "Fever", "disease", SCORES["name"],
        "name; 2 entities have this name; it is the main name of fever", False, ("fever", "fever2"),
        negated=True,
    )  # fmt: skip
    assert one("dementia of the Alzheimer type").reason == "synonym"
    assert one("Alzheimer's disease").reason == "variant of Alzheimer disease"
    assert one("Alzheimer's disease").score == SCORES["variant"] < SCORES["name"]


def test_an_abbreviation_means_what_the_text_says() -> None:
    mentions = ANNOTATOR.annotate("AD is common. Atopic dermatitis (AD) itches; ADs vary.")
    assert [(a.surface, a.entity) for a in mentions] == [
        ("AD", "DA"),
        ("Atopic dermatitis", "DA"),
        ("AD", "DA"),
        ("ADs", "DA"),
    ]
    assert (
        mentions[0].reason == "abbreviation of Atopic dermatitis (defined at 33)"
        and not mentions[0].ambiguous
    )


def test_an_abbreviation_of_something_else_is_no_mention() -> None:
    assert found("Phenylalanine hydroxylase (PAH) and PAH activity.") == []
    assert found("PAH was severe.") == [("PAH", "PAH")]


def test_an_acronym_that_nothing_explains_is_ambiguous_and_scores_low() -> None:
    assert one("PAH was severe.").ambiguous and one("PAH was severe.").score == SCORES["acronym"]
    assert "does not explain" in one("PAH was severe.").reason
    assert found("the PAH gene and PAH-/- mice") == []


def test_a_heading_in_capitals_is_no_acronym() -> None:
    assert found("ALL\nfever\nPAH AND PLAN: ALL") == [("fever", "fever"), ("ALL", "ALL")]
    assert found("ALL") == [("ALL", "ALL")]


def test_names_are_found_around_an_abbreviation_and_with_one_in_them() -> None:
    mentions = ANNOTATOR.annotate("Von Hippel-Lindau (VHL) disease: VHL disease and VHL.")
    assert [(a.surface, a.entity) for a in mentions] == [
        ("Von Hippel-Lindau (VHL) disease", "VHL"), ("VHL disease", "VHL"), ("VHL", "VHL"),
    ]  # fmt: skip
    assert mentions[0].parts == ((0, 17), (24, 31))


def test_chinese_names_define_abbreviations_too() -> None:
    mentions = ANNOTATOR.annotate("慢性阻塞性肺疾病（COPD）。否认COPD。")
    assert [(a.surface, a.negated) for a in mentions] == [
        ("慢性阻塞性肺疾病", False),
        ("COPD", False),
        ("COPD", True),
    ]


def test_the_relatives_of_an_entity_in_the_text_speak_for_it() -> None:
    assert (
        one("a cold").entity == "cold1"
        and one("a cold").candidates == ("cold1", "cold2")
        and one("a cold").ambiguous
    )
    cold = ANNOTATOR.annotate("Frostbite and cold.")[1]
    assert (
        cold.entity == "cold2"
        and not cold.ambiguous
        and "frostbite in the text speaks for hypothermia" in cold.reason
    )


def test_relations_of_the_tree_speak_too(tmp_path: Path) -> None:
    io.write_jsonl(tmp_path / "entities.jsonl", list(TREE.entities.values()))
    io.write_jsonl(tmp_path / "relations.jsonl", [Relation("cold2", "has phenotype", "fever")])
    annotator = Annotator.of(tmp_path)
    assert [a.entity for a in annotator.annotate("Fever and cold.")] == ["fever", "cold2"]


def test_an_embedder_may_decide() -> None:
    np = pytest.importorskip("numpy")

    class Winter:  # knows that this text and hypothermia are near
        def encode(self, texts: list[str]) -> "np.ndarray":
            return np.array(
                [[1.0, 0.0] if "a cold" in text or "hypothermia" in text else [0.0, 1.0] for text in texts]
            )

    assert Annotator.of(TREE, embedder=Winter()).annotate("a cold")[0].entity == "cold2"


class SomeSpans:
    """A tagger that knows diseases, three of them."""

    kinds = ("disease",)

    def spans_batch(self, texts: list[str]) -> list[list[tuple[int, int, str, float]]]:
        known = {"severe fever": 0.7, "Alzheimer disease": 0.9, "zzz syndrome": 0.6, "ZS": 0.5}
        return [
            [
                (text.index(s), text.index(s) + len(s), "disease", score)
                for s, score in known.items()
                if s in text
            ]
            for text in texts
        ]


TAGGED = "Alzheimer disease, severe fever, zzz syndrome, leukaemia, aspirin"


def test_a_tagger_decides_what_is_a_mention_of_the_kinds_it_knows() -> None:
    found = Annotator.of(TREE, tagger=SomeSpans()).annotate(TAGGED)
    assert [(a.surface, a.entity, a.score) for a in found] == [
        ("Alzheimer disease", "AD", 0.9), ("severe fever", "fever", 0.7), ("zzz syndrome", "", 0.6),
        ("aspirin", "aspirin", SCORES["name"]),  # a chemical: this tagger knows none
    ]  # fmt: skip
    assert (
        found[2].kind == "disease"
        and found[2].candidates == ()
        and found[1].reason == "tagger; the name in it: fever"
    )


def test_what_turns_out_to_be_of_a_kind_that_the_tagger_knows_is_the_tagger_s_too() -> None:
    tree = tree_of(disease("gene", "albumin", kind="gene"), disease("ill", "albumin"))
    assert [a.entity for a in Annotator.of(tree).annotate("albumin and zzz syndrome")] == ["ill"]
    assert [
        a.surface for a in Annotator.of(tree, tagger=SomeSpans()).annotate("albumin and zzz syndrome")
    ] == ["zzz syndrome"]


def test_a_normaliser_decides_what_a_tagged_mention_is_called() -> None:
    class Near:
        codes = {
            "zzz syndrome": [("AML", 0.8), ("ALL", 0.1)],
            "severe fever": [("MESH:D1", 0.7)],
            "Alzheimer disease": [("MESH:D2", 1.0)],
        }

        def candidates(self, surface: str, kind: str) -> list[tuple[str, float]]:
            return self.codes.get(surface, [])

        def concepts(self, surface: str, kind: str) -> tuple[str, ...]:
            return (
                ("ALL", "AML")
                if surface == "Alzheimer disease"
                else tuple(id for id, _ in self.codes.get(surface, [])[:1])
            )

    tree = tree_of(
        *(entity for entity in TREE.entities.values() if entity.parents),
        Entity("hot", "pyrexia", "disease", (ROOT.id,), xrefs=("MESH:D1",)),
    )
    annotator = Annotator.of(tree, tagger=SomeSpans(), normaliser=Near())
    first, second, fever, zzz, _ = annotator.annotate(TAGGED)
    assert zzz.entity == "AML" and zzz.candidates == ("AML", "ALL") and zzz.concept == ""
    assert zzz.reason == "tagger; nearest name: acute myeloid leukaemia (0.80)"
    assert (fever.entity, fever.concept) == ("hot", "MESH:D1")  # the entity that has the code
    assert (first.entity, second.entity) == ("ALL", "AML") and (first.start, first.end) == (
        second.start,
        second.end,
    )
    long, short = annotator.annotate("zzz syndrome (ZS)")
    assert (short.surface, short.entity) == ("ZS", "AML"), "a short form is called what its long form is"
    assert "of zzz syndrome" in short.reason and long.entity == "AML"


def test_what_neither_tree_nor_normaliser_names_has_no_entity() -> None:
    class Codes:
        def candidates(self, surface: str, kind: str) -> list[tuple[str, float]]:
            return [("MESH:D9", 0.9)] if surface == "severe fever" else []

        def concepts(self, surface: str, kind: str) -> tuple[str, ...]:
            return tuple(id for id, _ in self.candidates(surface, kind))

    alzheimer, fever, zzz, _ = Annotator.of(TREE, tagger=SomeSpans(), normaliser=Codes()).annotate(TAGGED)
    assert (fever.entity, fever.concept, fever.reason) == (
        "",
        "MESH:D9",
        "tagger; nearest name: MESH:D9 (0.90)",
    )
    assert (alzheimer.entity, zzz.entity) == ("", "") and zzz.reason == "tagger; no name is near"


def test_without_numba_the_annotations_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Von Hippel-Lindau (VHL) disease, no AML or ALL; fevers."
    compiled = ANNOTATOR.annotate(text)
    for name in ("numba", "medxiaohe.entity.linking._kernels"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr("medxiaohe.entity.linking._kernels", raising=False)
    if "medxiaohe.entity.linking.index" in sys.modules:
        sys.modules["medxiaohe.entity.linking.index"].kernels.cache_clear()
    assert Annotator.of(TREE).annotate(text) == compiled
    if "medxiaohe.entity.linking.index" in sys.modules:
        sys.modules["medxiaohe.entity.linking.index"].kernels.cache_clear()


def test_a_text_is_annotated_the_same_alone_and_in_company() -> None:
    texts = ["Atopic dermatitis (AD)", "AD", "", "No fever or cold", "Frostbite and cold"]
    assert ANNOTATOR.annotate_batch(texts) == [ANNOTATOR.annotate(text) for text in texts]


def test_meanings_of_a_name_are_all_its_entities() -> None:
    meanings = Meanings(TREE)
    assert meanings.of("Cold", "cold1") == ("cold1", "cold2") and meanings.of("colds", "cold1") == (
        "cold1",
        "cold2",
    )
    assert meanings.of("fever", "fever2") == ("fever2", "fever") and meanings.of("aspirin", "aspirin") == (
        "aspirin",
    )


PIECES = st.one_of(
    st.sampled_from(
        "AD|(AD)|Atopic dermatitis|fever|no|cold|VHL|von Hippel-Lindau|disease|, |. |history"
        " of|慢性阻塞性肺疾病（COPD）|and".split("|")
    ),
    st.text(max_size=5),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=12).map(" ".join))
def test_any_text_has_sound_annotations_and_the_same_each_time(text: str) -> None:
    mentions = ANNOTATOR.annotate(text)
    assert mentions == ANNOTATOR.annotate(text)
    spans = sorted({(a.start, a.end) for a in mentions})
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    for a in mentions:
        assert (
            text[a.start : a.end] == a.surface and a.entity in TREE.entities and a.entity == a.candidates[0]
        )
        assert 0 < a.score <= 1 and a.reason and a.kind == TREE.entities[a.entity].kind
        assert a.experiencer in ("patient", "family", "other") and a.temporality in (
            "current",
            "historical",
            "hypothetical",
        )


def test_the_command_line_shows_reason_score_and_context(capsys: pytest.CaptureFixture[str]) -> None:
    args = argparse.Namespace(text="Her mother had no acute myeloid leukaemia.", json=False)
    assert look._mentions(args, TREE, Linker(TREE)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "acute myeloid leukaemia  [18:41]  negated, family",
        "    entity  acute myeloid leukaemia  (disease, AML)",
        f"    why     name, score {SCORES['name']:.2f}",
    ]
    assert look._mentions(argparse.Namespace(text="nothing", json=True), TREE, Linker(TREE)) == 1


def test_domains_are_no_mentions() -> None:
    assert found("a disease") == [] and isinstance(ROOT, Entity)
