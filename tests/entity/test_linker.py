"""Linking: which mentions of entities a text has, by longest name and whole words."""

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from entities_for_tests import ROOT, disease, tree_of
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.entity.linking.link import Linker, Mention
from medxiaohe.entity.tree.ids import kind_of
from medxiaohe.types import Entity


def surfaces(linker: Linker, text: str) -> list[str]:
    return [mention.surface for mention in linker.find(text)]


def test_the_longest_name_wins_and_mentions_do_not_overlap() -> None:
    linker = Linker(
        tree_of(disease("a", "lung"), disease("b", "lung cancer"), disease("c", "cancer of the lung"))
    )
    assert linker.find("A lung cancer, not cancer of the lung.") == [
        Mention(2, 13, "b", "lung cancer", False),
        Mention(19, 37, "c", "cancer of the lung", False),
    ]


def test_names_match_whole_words_however_they_are_spaced_or_hyphenated() -> None:
    linker = Linker(tree_of(disease("a", "non-small cell carcinoma"), disease("b", "ear")))
    assert surfaces(linker, "Non small\n cell carcinoma, non-small-cell carcinoma; the heart.") == [
        "Non small\n cell carcinoma",
        "non-small-cell carcinoma",
    ]


def test_chinese_has_no_word_boundary() -> None:
    linker = Linker(
        tree_of(disease("a", "肺炎"), disease("b", "肺癌"), disease("c", "小细胞肺癌"), disease("d", "肺"))
    )
    assert surfaces(linker, "患者有肺炎史，CT提示小细胞肺癌可能，肺。") == ["肺炎", "小细胞肺癌"]


def test_short_acronyms_match_their_case_and_long_names_any() -> None:
    linker = Linker(
        tree_of(
            disease("a", "acute lymphoblastic leukemia", "ALL", "all"),
            disease("b", "chronic obstruction", "COPD"),
        )
    )
    assert surfaces(linker, "all patients with ALL or Copd or COPD: ACUTE LYMPHOBLASTIC LEUKEMIA") == [
        "ALL", "COPD", "ACUTE LYMPHOBLASTIC LEUKEMIA",
    ]  # fmt: skip
    assert [mention.ambiguous for mention in linker.find("ALL and COPD")] == [True, False]


def test_a_name_of_two_entities_is_ambiguous_unless_disease_and_phenotype_share_it() -> None:
    linker = Linker(
        tree_of(
            disease("a", "x1", "cold"),
            disease("b", "x2", "cold"),
            disease("c", "fever"),
            disease("d", "fever", kind="phenotype"),
        )
    )
    assert [(m.entity, m.ambiguous) for m in linker.find("cold fever")] == [("a", True), ("c", False)]


def test_an_entity_of_that_name_goes_before_one_of_that_synonym() -> None:
    linker = Linker(tree_of(disease("a", "melancholia", "depression"), disease("b", "depression")))
    assert linker.find("depression") == [Mention(0, 10, "b", "depression", False)]


def test_plurals_and_names_without_their_possessive_are_found() -> None:
    names = ("kidney", "biopsy", "metastasis", "Alzheimer's disease", "lungs")
    linker = Linker(tree_of(*(disease(name, name) for name in names)))
    text = "Kidneys, biopsies, metastases, Alzheimer disease, Alzheimer\u2019s disease, lung"
    assert [m.entity for m in linker.find(text)] == [
        "kidney",
        "biopsy",
        "metastasis",
        "Alzheimer's disease",
        "Alzheimer's disease",
    ]


VARIANTS = [
    ("haemolytic anaemia", "hemolytic anemia", "Hemolytic Anemias"),
    ("esophageal tumor", "oesophageal tumour", "Oesophageal tumours"),
    ("pediatric leukemia", "paediatric leukaemia", "Paediatric leukaemias"),
    ("diarrhea", "diarrhoea", "Diarrhoea"),
    ("TNF-alpha deficiency", "TNF-α deficiency", "TNF α deficiencies"),
    ("β-thalassemia", "beta thalassaemia", "Beta-thalassemia"),
    ("diabetes mellitus type II", "diabetes mellitus type 2", "Diabetes mellitus type-2"),
    ("factor 5 deficiency", "factor V deficiency", "Factor V deficiencies"),
    ("Alzheimer's disease", "Alzheimer disease", "Alzheimers disease"),
    ("Crohn disease", "Crohn's disease", "Crohn’s disease"),
    ("nonsyndromic deafness", "non-syndromic deafness", "non syndromic deafness"),
    ("non-small-cell carcinoma", "nonsmall cell carcinoma", "Non small cell carcinomas"),
    ("Neoplasms, Breast", "breast neoplasms", "breast neoplasm"),
    ("cancer of the lung", "cancers of the lung", "Cancer of the lungs"),
    ("IL-6", "IL6", "IL 6"),
    ("ALS", "ALSs", "ALS"),
    ("hypertension", "hypertensive", "Hypertensions"),
]


@pytest.mark.parametrize("names", VARIANTS, ids=lambda names: names[0])
def test_other_spellings_of_a_name_are_found(names: tuple[str, ...]) -> None:
    linker = Linker(tree_of(disease("a", names[0])))
    assert all([(m.entity, m.surface) for m in linker.find(f"x {name}.")] == [("a", name)] for name in names)


def test_no_rule_looks_into_a_word_or_takes_one_apart() -> None:
    names = (
        "hypertension",
        "academia",
        "epidemic",
        "hemifacial spasm",
        "class",
        "herpes",
        "type",
        "chemotherapy",
        "stage",
        "vitamin D",
    )
    linker = Linker(tree_of(*(disease(name, name) for name in names)))
    text = "hyper tension, acadaemia, epidaemic, haemifacial spasm, clas, herpe, chaemotherapy, vitamin 500"
    assert linker.find(text) == []


def test_an_element_is_found_without_the_word_atom_and_a_disease_is_not() -> None:
    linker = Linker(tree_of(disease("Li", "lithium atom", kind="chemical"), disease("x", "broken atom")))
    assert [m.surface for m in linker.find("lithium, broken, Lithium atom")] == ["lithium", "Lithium atom"]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from([name for names in VARIANTS for name in names]), min_size=1, max_size=8, unique=True
    )
)
def test_a_variant_never_takes_the_place_of_a_real_name(names: list[str]) -> None:
    linker = Linker(tree_of(*(disease(str(number), name) for number, name in enumerate(names))))
    keys = [" ".join(re.findall(r"\w+|'", name.replace("\u2019", "'"))).lower() for name in names]
    for name, key in zip(names, keys, strict=True):
        (mention,) = linker.find(name)
        assert keys[int(mention.entity)] == key and mention.surface == name


def test_domains_numbers_short_and_generic_names_are_not_looked_for() -> None:
    names = ("12", "pH", "diseases", "the", "肺", "2-5", "group")
    linker = Linker(tree_of(*(disease(name, name) for name in names)))
    assert linker.find("The disease and 12 diseases: group 2-5 of pH 7, 肺。") == []


@pytest.mark.parametrize(
    "name",
    [
        "Signs and Symptoms",
        "Pathological Conditions, Signs and Symptoms",
        "Diagnoses",
        "Therapies",
        "disorders of the system",
    ],
)
def test_headings_of_vocabularies_are_not_looked_for(name: str) -> None:
    linker = Linker(
        tree_of(
            disease("group", name, "ailment"),
            disease("liver", "liver disease"),
            disease("sx", "symptom severity"),
        )
    )
    text = f"{name}: {name.lower()}, liver disease, symptom severity and ailment"
    assert surfaces(linker, text) == ["liver disease", "symptom severity", "ailment"]


def test_what_is_no_entity_of_medicine_is_not_looked_for() -> None:
    tree = tree_of(
        Entity("PATO:1", "open", "quality", (ROOT.id,)),
        Entity("BFO:1", "object", "abstract", (ROOT.id,)),
        disease("x", "goitre"),
    )
    assert surfaces(Linker(tree), "an open object, goitre") == ["goitre"]
    assert kind_of("BFO:0000015") == "abstract" and kind_of("PATO:0000610") == "quality"


def test_offsets_hold_for_letters_that_change_length_in_lower_case() -> None:
    text = "İİ ﬁ İ: Fever\u2019s İ end fever"
    assert [text[m.start : m.end] for m in Linker(tree_of(disease("a", "fever"))).find(text)] == [
        "Fever",
        "fever",
    ]


WORDS = st.sampled_from(["lungs", "loss", "mass", "colds", "肺", "炎", "症"])
NAMES = st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=8)
TEXT = st.lists(
    st.tuples(
        st.one_of(WORDS, st.just("Loss"), st.just("of")),
        st.sampled_from([" ", "-", "  ", "\n", ". ", "", ", "]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=300)
@given(NAMES, TEXT)
def test_the_linker_finds_what_a_regular_expression_for_every_name_finds(
    names: list[list[str]], pieces: list[tuple[str, str]]
) -> None:
    text = "".join(word + gap for word, gap in pieces)
    spelled = [" ".join(words) for words in names if len("".join(words)) > 1]
    linker = Linker(tree_of(*(disease(str(n), name) for n, name in enumerate(spelled))))
    assert [(m.start, m.end) for m in linker.find(text)] == naive(spelled, text)


def naive(names: Iterable[str], text: str) -> list[tuple[int, int]]:
    """Leftmost longest spans of the names, by one regular expression for each."""
    spans = []
    for name in set(names):
        parts = [re.escape(part) for part in re.findall(r"[a-z]+|[^a-z ]", name)]
        gaps = [r"[\s-]+" if a.isascii() and b.isascii() else r"[\s-]*" for a, b in pairwise(parts)]
        pattern = re.compile(
            "".join(part + gap for part, gap in zip(parts, [*gaps, ""], strict=True)), re.IGNORECASE
        )
        spans += [
            m.span()
            for start in range(len(text))
            if (m := pattern.match(text, start)) and whole_words(m, text)
        ]
    found, free = [], 0
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= free:
            found.append((start, end))
            free = end
    return found


def whole_words(match: re.Match[str], text: str) -> bool:
    """Latin letters do not go on before, after or across the parts of the match as one word."""
    inside = re.findall(r"[A-Za-z]+", match.group())
    around = re.findall(r"[A-Za-z]+", text)
    starts = {m.start() for m in re.finditer(r"[A-Za-z]+|[^A-Za-z]", text)}
    return (
        all(word in around for word in inside)
        and match.start() in starts
        and (match.end() == len(text) or match.end() in starts)
    )
