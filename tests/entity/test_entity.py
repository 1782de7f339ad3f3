"""The Medical Entity Tree: vocabularies to a tree, mentions in text, coverage."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import plugins
from medxiaohe.entity.build import BuildSettings, Vocabulary, build
from medxiaohe.entity.linking.link import Linker, Mention
from medxiaohe.entity.readers._terms import entities, read_all
from medxiaohe.entity.tree.frequency import buckets
from medxiaohe.entity.tree.ids import kind_of
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.settings import build as typed
from medxiaohe.types import Entity

ROOT = Entity("MET:disease", "disease", "disease")


def tree_of(*entities: Entity) -> Tree:
    return Tree((ROOT, *entities))


def disease(id: str, *names: str, parents: tuple[str, ...] = (ROOT.id,), kind: str = "disease") -> Entity:
    return Entity(id, names[0], kind, parents, names[1:])


def surfaces(linker: Linker, text: str) -> list[str]:
    return [mention.surface for mention in linker.find(text)]


def build_tsv(folder: Path, *files: str, **options: object) -> tuple[dict, Tree]:
    """The summary and the tree of vocabularies given as the content of tab-separated files."""
    vocabularies = []
    for number, content in enumerate(files):
        (folder / f"v{number}.tsv").write_text(content, encoding="utf-8")
        vocabularies.append(Vocabulary("tsv", str(folder / f"v{number}.tsv"), license="CC0-1.0"))
    out = folder / "out"
    return build(BuildSettings(tuple(vocabularies), **options), out), Tree.load(out)


# ---- coverage ------------------------------------------------------------------------------------


def test_head_covers_half_of_the_mentions_and_torso_the_next_thirty_percent() -> None:
    assert buckets({"a": 50, "b": 20, "c": 10, "d": 10, "e": 10, "f": 0}) == {
        "a": "head", "b": "torso", "c": "torso", "d": "tail", "e": "tail", "f": "unseen",
    }  # fmt: skip


def test_no_counts_have_no_buckets_and_zero_counts_are_unseen() -> None:
    assert buckets({}) == {}
    assert buckets({"a": 0, "b": 0}) == {"a": "unseen", "b": "unseen"}


@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 9)))
def test_head_is_the_smallest_set_that_covers_half(counts: dict[str, int]) -> None:
    found = buckets(counts)
    head = sorted((counts[id] for id, bucket in found.items() if bucket == "head"), reverse=True)
    assert 2 * sum(head) >= sum(counts.values()) and (not head or 2 * sum(head[:-1]) < sum(counts.values()))
    order = ["head", "torso", "tail", "unseen"]
    assert all(
        order.index(found[a]) <= order.index(found[b])
        for a in counts
        for b in counts
        if counts[a] > counts[b]
    )


# ---- the tree ------------------------------------------------------------------------------------


def test_ancestors_come_nearest_first() -> None:
    chain = [disease(str(n), f"d{n}", parents=(str(n - 1),)) for n in range(1, 7)]
    tree = tree_of(disease("0", "d0"), *chain, disease("x", "dx", parents=("6", "0")))
    assert list(tree.ancestors("x")) == ["6", "0", "5", "MET:disease", "4", "3", "2", "1"]
    assert tree.children("0") == ("1", "x")


def test_layers_are_domain_chapter_group_entity_and_variant() -> None:
    tree = tree_of(
        disease("lung disease", "lung disease"),
        disease("infection", "infection", parents=("lung disease",)),
        disease("pneumonia", "pneumonia", parents=("infection",)),
        disease("type 1", "type 1", parents=("pneumonia", "lung disease")),
        disease("cough", "cough", parents=("lung disease",)),
        disease("scurvy", "scurvy"),
    )
    layers = {id: tree.layer(id) for id in tree.entities}
    assert layers == {
        "MET:disease": 1,
        "lung disease": 2,
        "infection": 3,
        "pneumonia": 4,
        "type 1": 5,
        "cough": 4,
        "scurvy": 4,
    }


def test_an_entity_with_many_leaves_below_it_is_a_group() -> None:
    leaves = [disease(f"l{n}", f"l{n}", parents=("b",)) for n in range(21)]
    tree = tree_of(disease("a", "a"), disease("b", "b", parents=("a",)), *leaves)
    assert tree.layer("b") == 3 and tree.layer("l0") == 4


EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30)


@given(EDGES)
def test_no_entity_is_in_a_layer_above_that_of_a_parent(edges: list[tuple[int, int]]) -> None:
    above = {
        n: tuple(dict.fromkeys(str(low) for low, high in edges if high == n and low < high))
        for n in range(13)
    }
    tree = tree_of(*(disease(str(n), f"d{n}", parents=above[n] or (ROOT.id,)) for n in range(13)))
    for entity in tree.entities.values():
        assert 1 <= tree.layer(entity.id) <= 5 and all(
            tree.layer(parent) <= tree.layer(entity.id) for parent in entity.parents
        )


def test_names_of_a_kind_lead_to_all_their_entities() -> None:
    tree = tree_of(disease("a", "cold", "Cold"), disease("b", "cold"), disease("c", "cold", kind="phenotype"))
    assert tree.names["cold"] == ("a", "b", "c") and tree.names["Cold"] == ("a",)
    assert tree.names_of("phenotype") == {"cold": ("c",)}


def test_a_tree_with_an_unknown_parent_or_a_cycle_is_refused() -> None:
    with pytest.raises(DataError, match="unknown parent 'absent'"):
        tree_of(disease("a", "a", parents=("absent",)))
    with pytest.raises(DataError, match="cycle"):
        tree_of(disease("a", "a", parents=("b",)), disease("b", "b", parents=("a",))).layer("a")


# ---- linking -------------------------------------------------------------------------------------


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


# ---- building ------------------------------------------------------------------------------------


def table(*rows: str) -> str:
    """The tab-separated file of rows like "D:2, asthma, disease, D:1" (id, name, kind, parents, synonyms,
    xrefs)."""
    cells = [
        [cell.strip() for cell in row.split(",")]
        for row in ("id, name, kind, parents, synonyms, xrefs", *rows)
    ]
    return "".join("\t".join(row + [""] * (6 - len(row))) + "\n" for row in cells)


def test_every_kind_has_one_root_and_the_vocabulary_s_own_top_becomes_it(tmp_path: Path) -> None:
    summary, tree = build_tsv(
        tmp_path, table("D:0, Disease, disease", "D:1, flu, disease, D:0", "A:0, lung, anatomy")
    )
    assert tree.roots == ("MET:disease", "MET:anatomy")
    assert tree.entities["D:1"].parents == ("MET:disease",) and tree.entities["A:0"].parents == (
        "MET:anatomy",
    )
    assert (
        summary["entities"] == 4
        and summary["kinds"] == {"disease": 2, "anatomy": 2}
        and summary["layers"] == {"1": 2, "4": 2}
    )
    assert json.loads((tmp_path / "out" / "stats.json").read_text()) == summary


def test_terms_merge_by_xref_then_by_name_and_every_merge_is_recorded(tmp_path: Path) -> None:
    first = table("M:1, influenza, disease, , flu, D:1", "M:2, asthma, disease")
    second = table(
        "D:1, grippe, disease",
        "D:2, Asthma, disease, D:1, wheeze",
        "D:3, bird flu, disease, D:1",
        "D:4, asthma, phenotype",
    )
    summary, tree = build_tsv(tmp_path, first, second)
    merges = [json.loads(line) for line in (tmp_path / "out" / "merges.jsonl").read_text().splitlines()]
    assert [(m["kept"], m["merged"], m["why"], m["because"]) for m in merges] == [
        ("M:1", "D:1", "xref", "M:1 has the xref D:1"),
        ("M:2", "D:2", "name", "both are named Asthma"),
    ]
    assert tree.entities["M:1"].synonyms == ("flu", "grippe") and tree.entities["D:3"].parents == ("M:1",)
    assert tree.entities["M:2"].synonyms == ("Asthma", "wheeze") and "D:2" in tree.entities["M:2"].xrefs
    assert tree.entities["D:4"].kind == "phenotype"
    assert [(s["name"], s["entities"], s["merged"]) for s in summary["sources"][1:]] == [
        ("v0", 2, 0),
        ("v1", 2, 2),
    ]


def test_a_vocabulary_that_merges_away_is_still_named_with_its_license(tmp_path: Path) -> None:
    summary, _ = build_tsv(tmp_path, table("a, asthma, disease"), table("b, asthma, disease"))
    assert summary["sources"][-1] == {"name": "v1", "license": "CC0-1.0", "entities": 0, "merged": 1}


def test_an_xref_that_two_terms_share_decides_nothing_and_is_counted(tmp_path: Path) -> None:
    first, second = (
        table("M:1, glioma, disease, , , D:1|D:2"),
        table("D:1, low grade glioma, disease", "D:2, high grade glioma, disease"),
    )
    summary, tree = build_tsv(tmp_path, first, second)
    assert {"D:1", "D:2"} <= set(tree.entities) and summary["problems"] == {"ambiguous xref": 2}


def test_unknown_parents_cycles_and_duplicates_are_repaired_and_counted(tmp_path: Path) -> None:
    sound = (
        "a, alpha, disease, absent",
        "b, beta, disease, c",
        "c, gamma, disease, b|a",
        "d, delta, disease, d",
    )
    summary, tree = build_tsv(
        tmp_path, table(*sound, "d, delta again, disease", "e, , disease", "MET:x, x, disease")
    )
    assert summary["problems"] == {"cycle": 2, "duplicate id": 2, "parent not in the tree": 1, "unnamed": 1}
    parents = {id: tree.entities[id].parents for id in "abcd"}
    assert parents == {"a": ("MET:disease",), "b": ("c",), "c": ("a",), "d": ("MET:disease",)}


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh"),
        st.sampled_from("pqr"),
        st.sampled_from(["disease", "anatomy"]),
        st.lists(st.sampled_from("abcdefghx")),
    ),
    min_size=1,
)


@settings(deadline=None, max_examples=40)
@given(st.lists(ROWS, min_size=1, max_size=3))
def test_whatever_the_vocabularies_say_the_tree_is_sound_and_built_the_same_twice(vocabularies: list) -> None:
    import tempfile

    files = [
        table(*(f"{id}, {name}, {kind}, {'|'.join(parents)}" for id, name, kind, parents in rows))
        for rows in vocabularies
    ]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        summary, tree = build_tsv(Path(one), *files)
        assert build_tsv(Path(two), *files)[0] == summary
        assert (Path(one) / "out/entities.jsonl").read_bytes() == (
            Path(two) / "out/entities.jsonl"
        ).read_bytes()
    assert all(tree.layer(id) >= 1 for id in tree.entities) and all(
        root.startswith("MET:") for root in tree.roots
    )
    merged = sum(source["merged"] for source in summary["sources"])
    assert summary["entities"] - len(tree.roots) + merged + summary["problems"].get("duplicate id", 0) == sum(
        map(len, vocabularies)
    )


def test_kinds_and_limit_leave_terms_out_and_count_them(tmp_path: Path) -> None:
    path = tmp_path / "v.tsv"
    path.write_text(
        table("c, deep, disease, b", "b, middle, disease, a", "a, top, disease", "l, lung, anatomy")
    )
    summary = build(
        BuildSettings((Vocabulary("tsv", str(path), license="CC0-1.0", limit=2),), kinds=("disease",)),
        tmp_path / "out",
    )
    assert list(Tree.load(tmp_path / "out").entities) == ["MET:disease", "b", "a"]
    assert summary["problems"] == {"beyond the limit": 1, "other kind": 1}


def test_settings_come_from_a_recipe_and_a_missing_file_is_refused_before_the_run(tmp_path: Path) -> None:
    made = typed(
        BuildSettings,
        {"vocabularies": [{"reader": "mondo"}, {"reader": "obo", "path": str(tmp_path), "kind": "disease"}]},
        "with",
    )
    assert made.vocabularies[0].path is None and made.vocabularies[1].kind == "disease"
    with pytest.raises(ConfigError, match="no such file"):
        typed(
            BuildSettings, {"vocabularies": [{"reader": "obo", "path": str(tmp_path / "absent.obo")}]}, "with"
        )
    with pytest.raises(ConfigError, match="limit"):
        typed(BuildSettings, {"vocabularies": [{"reader": "mondo", "limit": 0}]}, "with")
    with pytest.raises(ConfigError, match="at least one"):
        typed(BuildSettings, {"vocabularies": []}, "with")


# ---- reading vocabularies ------------------------------------------------------------------------


def obo_of(folder: Path, text: str) -> tuple[list[Entity], Counter[str]]:
    (folder / "x.obo").write_text(text, encoding="utf-8")
    return read_all(plugins.load("vocabularies", "obo")(folder / "x.obo"))


def test_obo_terms_carry_names_exact_synonyms_parents_xrefs_version_and_license(tmp_path: Path) -> None:
    from medxiaohe.entity.readers.obo import EXAMPLE

    (root, sarcoma), skipped = obo_of(tmp_path, str(EXAMPLE["tiny.obo"]))
    assert sarcoma == Entity(
        "DOID:1115", "sarcoma", "disease", ("DOID:4",), ("sarcomas",), 'A cancer of "connective" tissue.',
        ("MESH:D012509",),
        "doid 2026-01-01", "https://creativecommons.org/publicdomain/zero/1.0/",
    )  # fmt: skip
    assert root.parents == () and skipped == {"obsolete": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Term]\nid: X:1\nname a\n", r"x\.obo:3: an OBO line must be"),
        ("[Term]\nname: a\n\n[Term]\nid: X:1\n", r"x\.obo:1: a \[Term\] without an id"),
        ('[Term]\nid: X:1\nname: a\ndef: "cut o', r"x\.obo:4: the text of `def` must be in"),
        ("format-version: 1.2\n", r"no \[Term\]"),
    ],
)
def test_a_broken_obo_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        obo_of(tmp_path, text)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"id\tname\tparent\n", r"x\.tsv:1: unknown column 'parent'; did you mean 'parents'"),
        (b"id\tkind\n", r"x\.tsv:1: no column 'name'"),
        (b"id\tname\nx\n", r"x\.tsv:2: 1 columns, but the header has 2"),
        (b"id\tname\nx\ty\n\tz\n", r"x\.tsv:3: a row without an id"),
        (b"id\tname\nx\t\xff\n", r"x\.tsv:2: not UTF-8"),
        (b"", "empty file"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "x.tsv").write_bytes(raw)
    with pytest.raises(DataError, match=message):
        read_all(plugins.load("vocabularies", "tsv")(tmp_path / "x.tsv"))


def test_a_term_below_a_left_out_one_moves_up_to_the_next_that_stays(tmp_path: Path) -> None:
    from medxiaohe.entity.readers.chebi import EXAMPLE

    (tmp_path / next(iter(EXAMPLE))).write_text(str(next(iter(EXAMPLE.values()))))
    (top, aspirin), skipped = read_all(plugins.load("vocabularies", "chebi")(tmp_path))
    assert (
        aspirin.parents == (top.id,)
        and aspirin.source == "CHEBI 2026-05-01"
        and skipped == {"not described": 1}
    )
    assert aspirin.definition == "A benzene in which ortho hydrogens are replaced."


def test_compressed_ontologies_are_read_and_a_truncated_one_is_refused(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    from medxiaohe.entity.readers.mondo import EXAMPLE

    path = tmp_path / "MONDO-ontology-v2026-05-05.json.zst"
    whole = zstandard.ZstdCompressor().compress(str(next(iter(EXAMPLE.values()))).encode())
    path.write_bytes(whole)
    assert [e.name for e in plugins.load("vocabularies", "mondo")(tmp_path)] == [
        "disease",
        "neoplasm",
        "melanoma",
    ]
    for damaged in (whole[: len(whole) // 2], b"not zstd", b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="MONDO-ontology"):
            read_all(plugins.load("vocabularies", "mondo")(path))


def test_severity_and_inheritance_are_no_phenotypes(tmp_path: Path) -> None:
    from medxiaohe.entity.readers.hpo import EXAMPLE

    (tmp_path / "hp.obo").write_text(str(EXAMPLE["hp.obo"]))
    entities, skipped = read_all(plugins.load("vocabularies", "hpo")(tmp_path))
    assert [e.name for e in entities] == ["Phenotypic abnormality", "Fever"] and skipped[
        "outside the domain"
    ] == 2


@pytest.mark.skipif("MEDXIAOHE_DATA" not in os.environ, reason="MEDXIAOHE_DATA names no data pack")
@pytest.mark.parametrize(
    ("file", "least"),
    [("doid_2016-09-01.obo", 6900), ("hp_2014-11-14.obo", 10700), ("uberon_import.obo", 7500)],
)
def test_the_ontologies_of_the_data_pack_are_read(file: str, least: int) -> None:
    said, _ = read_all(
        plugins.load("vocabularies", "obo")(Path(os.environ["MEDXIAOHE_DATA"]) / "ontology" / file)
    )
    terms = entities(said)
    assert len(terms) >= least and all(term.name and term.source for term in terms)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.filled_cache("mondo", "uberon", "hpo")
def test_the_package_vocabularies_make_a_tree_of_sixty_thousand_entities(tmp_path: Path) -> None:
    summary = build(BuildSettings((Vocabulary("mondo"), Vocabulary("uberon"), Vocabulary("hpo"))), tmp_path)
    tree = Tree.load(tmp_path)
    assert summary["entities"] == len(tree) == 61_248 and summary["layers"].keys() == {
        "1",
        "2",
        "3",
        "4",
        "5",
    }
    melanoma, lung = Linker(tree).find("Metastatic melanoma of the lung.")
    assert (
        tree.entities[melanoma.entity].name == "metastatic melanoma"
        and tree.entities[lung.entity].kind == "anatomy"
    )
