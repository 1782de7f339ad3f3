"""Ids and names, merging across vocabularies, what is repaired, and `tree build` and `tree show`."""

import json
import os
from pathlib import Path

import pytest
from vocabularies_for_tests import rows, table, tree_of

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.entity.build import BuildSettings, Vocabulary, build
from medxiaohe.entity.tree.ids import curie, kind_of
from medxiaohe.entity.tree.names import is_abbreviation, key
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError

# ---- ids and names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mesh:D008545", "MESH:D008545"),
        ("UMLS_CUI:C0025202", "UMLS:C0025202"),
        ("SNOMEDCT_US_2025_09_01:2092003", "SNOMEDCT:2092003"),
        ("http://www.orpha.net/ORDO/Orphanet_124", "ORPHA:124"),
        ("<http://purl.obolibrary.org/obo/HP_0001945>", "HP:0001945"),
        ("http://identifiers.org/mesh/D008545", "MESH:D008545"),
        ("my:1", "my:1"),
        ("plain words", "plain words"),
    ],
)
def test_an_id_has_one_spelling(written: str, meant: str) -> None:
    assert curie(written) == meant == curie(curie(written))


def test_the_prefix_of_an_id_says_the_kind() -> None:
    assert [kind_of(id) for id in ("ORDO:1", "HP:1", "NCBITaxon:9606", "x:1")] == [
        "disease",
        "phenotype",
        "organism",
        "other",
    ]


def test_names_are_equal_but_for_case_punctuation_possessives_and_inversion() -> None:
    assert key("Refeeding Syndrome") == key("Syndrome, Refeeding") == key("refeeding-syndrome")
    assert key("Alzheimer's disease") == key("Alzheimer disease")
    assert key("Diabetes, type 1") != key("Diabetes, type 2")


def test_abbreviations_are_told_from_words() -> None:
    assert all(map(is_abbreviation, ("COPD", "mRNA", "T-ALL", "HbA1c")))
    assert not any(map(is_abbreviation, ("Asthma", "flu", "12", "Lung disease", "A")))


# ---- merging -------------------------------------------------------------------------------------


def merges(folder: Path) -> dict[str, tuple[str, str]]:
    return {row["merged"]: (row["kept"], row["why"]) for row in rows(folder, "merges.jsonl")}


def test_each_reason_to_merge_in_its_order(tmp_path: Path) -> None:
    first = table(
        "M:1; influenza; ; grippe; UMLS:C1",
        "M:2; asthma",
        "M:3; sarcoma; ; soft tissue cancer",
        "M:4; melanoma",
    )
    second = table(
        "M:1; flu",
        "D:2; asthma bronchiale",
        "D:3; Soft Tissue Cancer",
        "D:4; black cancer; ; melanoma",
        "D:5; x; ; ; UMLS:C1",
    )
    sssom = "subject_id\tpredicate_id\tobject_id\nM:2\tskos:exactMatch\tD:2\nM:3\tskos:broadMatch\tM:4\n"
    summary, tree = tree_of(
        tmp_path,
        ("tsv", "a.tsv", first),
        ("tsv", "b.tsv", second),
        ("sssom", "m.sssom.tsv", sssom),
        license="CC0-1.0",
    )
    assert merges(tmp_path) == {
        "M:1": ("M:1", "id"), "D:2": ("M:2", "mapping"), "D:3": ("M:3", "synonym"), "D:4": ("M:4", "synonym"),
    }  # fmt: skip
    assert tree.entities["M:1"].synonyms == ("grippe", "flu") and tree.entities["M:1"].sources == ("a", "b")
    assert "D:5" in tree and summary["merges"] == {
        "synonym": 2,
        "id": 1,
        "mapping": 1,
    }, "M:1 took the term of its own id"
    assert [(r["subject"], r["predicate"], r["object"]) for r in rows(tmp_path, "relations.jsonl")] == [
        ("M:3", "broad match", "M:4")
    ]


def test_one_code_of_a_third_vocabulary_merges_and_two_do_not(tmp_path: Path) -> None:
    first = table(
        "M:1; a disease; ; ; UMLS:C1", "M:2; b disease; ; ; UMLS:C2|UMLS:C3", "M:3; c disease; ; ; ICD10CM:J1"
    )
    second = table("D:1; one; ; ; UMLS_CUI:C1", "D:2; two; ; ; UMLS:C2", "D:3; three; ; ; ICD10CM:J1")
    summary, _ = tree_of(tmp_path, ("tsv", "a.tsv", first), ("tsv", "b.tsv", second))
    assert merges(tmp_path) == {"D:1": ("M:1", "shared code")} and summary["problems"] == {
        "ambiguous shared code": 1
    }


def test_a_disease_that_another_vocabulary_calls_a_sign_is_the_same_entity(tmp_path: Path) -> None:
    signs = table("MESH:D1; fever").replace("disease", "phenotype")
    summary, tree = tree_of(tmp_path, ("tsv", "a.tsv", signs), ("medic", "m.txt", "D1||pyrexia\n"))
    assert (tree.entities["MESH:D1"].kind, tree.entities["MESH:D1"].synonyms) == ("phenotype", ("pyrexia",))
    assert summary["problems"] == {"kind of an earlier vocabulary": 1}


def test_two_ids_of_one_vocabulary_are_two_things_whatever_their_names(tmp_path: Path) -> None:
    _, tree = tree_of(tmp_path, ("tsv", "a.tsv", table("M:1; cold")), ("tsv", "b.tsv", table("M:2; cold")))
    assert {"M:1", "M:2"} <= set(tree.entities)


def test_an_abbreviation_merges_nothing(tmp_path: Path) -> None:
    _, tree = tree_of(
        tmp_path,
        ("tsv", "a.tsv", table("M:1; amyotrophic sclerosis; ; ALSFTD")),
        ("tsv", "b.tsv", table("D:1; ALSFTD")),
    )
    assert "D:1" in tree and tree.entities["M:1"].abbreviations == ("ALSFTD",)


def test_a_merged_term_brings_parents_only_to_an_entity_without_any(tmp_path: Path) -> None:
    first = table("M:0; group", "M:1; asthma; M:0", "M:2; gout")
    second = table("D:0; other group", "D:1; asthma; D:0", "D:2; gout; D:0")
    _, tree = tree_of(tmp_path, ("tsv", "a.tsv", first), ("tsv", "b.tsv", second))
    assert tree.entities["M:1"].parents == ("M:0",) and tree.entities["M:2"].parents == ("D:0",)


def test_an_older_release_adds_names_but_no_entities(tmp_path: Path) -> None:
    (tmp_path / "new.tsv").write_text(table("M:1; asthma"))
    (tmp_path / "old.tsv").write_text(table("M:1; asthma; ; wheeze", "M:9; withdrawn"))
    old = Vocabulary("tsv", str(tmp_path / "old.tsv"), only_known=True)
    summary = build(BuildSettings((Vocabulary("tsv", str(tmp_path / "new.tsv")), old)), tmp_path / "out")
    assert "M:9" not in Tree.load(tmp_path / "out") and summary["problems"] == {"not in the tree yet": 1}
    assert Tree.load(tmp_path / "out").entities["M:1"].synonyms == ("wheeze",)


def test_facts_find_their_entities_by_any_id_and_others_are_counted(tmp_path: Path) -> None:
    first = table("M:1; myocarditis; ; ; DOID:820", "M:2; b")
    facts = "disease_id\tdisease_label\tsymptom_id\tsymptom_label\nDOID:820\tx\tSYMP:1\tfever\nDOID:1\ty\tSYMP:1\tfever\n"  # noqa: E501
    summary, _ = tree_of(tmp_path, ("tsv", "a.tsv", first), ("do_relations", "f.tsv", facts))
    assert [(r["subject"], r["predicate"], r["object"]) for r in rows(tmp_path, "relations.jsonl")] == [
        ("M:1", "has symptom", "SYMP:1")
    ]
    assert summary["problems"] == {"relation to what is not in the tree": 1} and summary["relations"] == {
        "has symptom": 1
    }


def test_every_term_is_kept_as_its_vocabulary_said_it(tmp_path: Path) -> None:
    tree_of(
        tmp_path, ("tsv", "a.tsv", table("M:1; asthma")), ("tsv", "b.tsv", table("D:1; Asthma; ; wheeze"))
    )
    assert [(t["id"], t["name"], t["source"], t["license"]) for t in rows(tmp_path, "terms.jsonl")] == [
        ("M:1", "asthma", "a", "CC0-1.0"),
        ("D:1", "Asthma", "b", "CC0-1.0"),
    ]


def test_each_repair_names_the_entity_and_what_was_done(tmp_path: Path) -> None:
    tree_of(tmp_path, ("tsv", "a.tsv", table("M:1; a; M:2", "M:2; b; M:1|M:9", "M:2; c")))
    assert [
        (row["problem"], row["id"], row["done"], row["where"]) for row in rows(tmp_path, "problems.jsonl")
    ] == [
        ("duplicate id", "M:2", "left out 'c', kept 'b'", "a.tsv:4"),
        ("parent not in the tree", "M:2", "left out the parent M:9", "a.tsv:3"),
        ("cycle", "M:2", "left out the parent M:1, which is below M:2", "a.tsv:3"),
    ]


OBO_CYCLE = (
    "format-version: 1.2\n\n[Term]\nid: D:1\nname: a\nis_a: D:2\n\n[Term]\nid: D:2\nname: b\nis_a: D:1\n"
)
OBO_TWICE = (
    "format-version: 1.2\n\n[Term]\nid: D:1\nname: a\n\n[Term]\nid: D:2\nis_a: D:1\nname: b\n\n[Term]\nid:"
    " D:1\nname: c\n"
)


@pytest.mark.parametrize(
    ("reader", "name", "text", "wheres"),
    [
        ("obo", "a.obo", OBO_CYCLE, {"a.obo:9"}),
        ("obo", "a.obo", OBO_TWICE, {"a.obo:13"}),
        ("medic", "m.txt", "D1||fever\nD2||cold\nD1||ague\n", {"m.txt:3"}),
    ],
)
def test_a_cycle_and_an_id_used_twice_are_told_with_file_and_line(
    reader: str, name: str, text: str, wheres: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "more.tsv").write_text(table("M:7; x"))
    given = (
        Vocabulary(reader, str(tmp_path / name), license="CC0-1.0"),
        Vocabulary("tsv", str(tmp_path / "more.tsv")),
    )
    build(BuildSettings(given), tmp_path / "out")
    found = list(io.read_jsonl(tmp_path / "out" / "problems.jsonl"))
    assert {row["where"] for row in found} == wheres
    assert (
        f"{found[0]['where']}: {found[0]['problem']}, {found[0]['id']}: left out" in capsys.readouterr().err
    )


def test_mappings_alone_make_no_tree(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name no entity"):
        tree_of(
            tmp_path, ("sssom", "m.tsv", "subject_id\tpredicate_id\tobject_id\nM:2\tskos:exactMatch\tD:2\n")
        )


# ---- the command line ----------------------------------------------------------------------------


def test_tree_build_takes_a_recipe_and_tree_show_tells_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.tsv").write_text(table("M:0; lung disease", "M:1; asthma; M:0; wheeze"))
    (tmp_path / "b.tsv").write_text(table("D:1; Asthma; ; ; MESH:D1"))
    recipe = {"stages": {"tree": {"uses": "entity.build", "with": {"vocabularies": [
        {"reader": "tsv", "path": str(tmp_path / name)} for name in ("a.tsv", "b.tsv")]}}}}  # fmt: skip
    (tmp_path / "tree.yaml").write_text(json.dumps(recipe))
    assert main(["tree", "build", "--with", str(tmp_path / "tree.yaml"), "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    assert main(["tree", "show", "D:1", "--why", "--tree", str(tmp_path / "out" / "tree"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["layer"], shown["above"]) == ("M:1", 4, ["lung disease", "disease"])
    assert [(term["id"], term["source"], term["why"]) for term in shown["why"]] == [
        ("M:1", "a", "kept"),
        ("D:1", "b", "name"),
    ]
    assert main(["tree", "show", "M:1", "--why", "--tree", str(tmp_path / "out" / "tree")]) == 0
    assert "name: both are named Asthma" in capsys.readouterr().out
    assert main(["tree", "show", "X:1", "--tree", str(tmp_path / "out" / "tree")]) == 2


@pytest.mark.skipif("MEDXIAOHE_DATA" not in os.environ, reason="MEDXIAOHE_DATA names no data pack")
def test_the_shipped_recipe_reads_every_vocabulary_of_the_data_pack() -> None:
    recipe = (Path(__file__).parent.parent.parent / "recipes" / "tree.yaml").read_text()
    files = sorted(path.name for path in (Path(os.environ["MEDXIAOHE_DATA"]) / "ontology").iterdir())
    assert files and [name for name in files if f"/ontology/{name}" not in recipe] == []


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif("MEDXIAOHE_DATA" not in os.environ, reason="MEDXIAOHE_DATA names no data pack")
@pytest.mark.filled_cache("mondo", "uberon", "hpo", "chebi", "icd10cm", "mesh", "pubmed_2020", "pubmed_2021")
def test_the_shipped_recipe_builds_a_tree_of_a_quarter_million_names(tmp_path: Path) -> None:
    recipe = Path(__file__).parent.parent.parent / "recipes" / "tree.yaml"
    assert main(["tree", "build", "--with", str(recipe), "--out", str(tmp_path)]) == 0
    stats = io.read_json(tmp_path / "tree" / "1" / "stats.json")
    assert (
        stats["names"] >= 250_000
        and set(stats["layers"]) == set("12345")
        and stats["problems"].get("without a license", 0) == 0
    )
    assert {
        "disease",
        "anatomy",
        "phenotype",
        "chemical",
        "gene",
        "organism",
        "modality",
        "procedure",
    } <= set(stats["kinds"])
    # MEDIC's that MeSH calls no disease
    assert stats["problems"].get("cycle", 0) == 0 and stats["problems"].get("duplicate id", 0) < 10
