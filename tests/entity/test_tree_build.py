"""Readers of every vocabulary format, merging across vocabularies, what is repaired, and `tree build` and
`tree show`."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from medxiaohe import io, plugins
from medxiaohe.cli import main
from medxiaohe.entity.build import BuildSettings, Vocabulary, build
from medxiaohe.entity.readers._terms import Assertion, entities, read_all
from medxiaohe.entity.tree.ids import curie, kind_of
from medxiaohe.entity.tree.names import is_abbreviation, key
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError
from medxiaohe.types import Entity, Match, Relation


def read(name: str, path: Path) -> tuple[list[Assertion], Counter[str]]:
    return read_all(plugins.load("vocabularies", name)(path))


def example(name: str, folder: Path) -> Path:
    files = __import__(f"medxiaohe.entity.readers.{name}", fromlist=["EXAMPLE"]).EXAMPLE
    for file, content in files.items():
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / next(iter(files)) if len(files) == 1 else folder


def tree_of(folder: Path, *vocabularies: tuple[str, str, str], **options: object) -> tuple[dict, Tree]:
    """The tree of (reader, file name, content) in this order."""
    made = []
    for reader, file, content in vocabularies:
        (folder / file).write_text(content, encoding="utf-8")
        made.append(Vocabulary(reader, str(folder / file), **options))
    return build(BuildSettings(tuple(made)), folder / "out"), Tree.load(folder / "out")


def table(*rows: str) -> str:
    """The tab-separated file of rows like "D:2; asthma; D:1; synonyms; xrefs", all diseases."""
    cells = [[cell.strip() for cell in row.split(";")] for row in rows]
    lines = [["id", "name", "parents", "synonyms", "xrefs", "kind", "license"]]
    return "".join(
        "\t".join(row) + "\n"
        for row in [*lines, *([*(c + [""] * 5)[:5], "disease", "CC0-1.0"] for c in cells)]
    )


def rows(folder: Path, name: str) -> list[dict]:
    return list(io.read_jsonl(folder / "out" / name))


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


# ---- readers -------------------------------------------------------------------------------------


def test_obo_gives_related_and_lay_names_abbreviations_and_relations(tmp_path: Path) -> None:
    (tmp_path / "x.obo").write_text(
        'ontology: x\n[Term]\nid: HP:1\nname: a\nsynonym: "A1C" EXACT OMO:0003012 []\nsynonym: "plain" EXACT'
        ' layperson []\nsynonym: "near" RELATED []\nsynonym: "wide" BROAD []\nrelationship: RO:1 UBERON:2 !'
        " lung\n\n[Typedef]\nid: RO:1\nname: located_in\n"
    )
    (term, fact), _ = read("obo", tmp_path / "x.obo")
    assert isinstance(term, Entity) and isinstance(fact, Relation)
    assert (term.synonyms, term.abbreviations, term.lay, term.related) == (
        ("A1C", "plain"),
        ("A1C",),
        ("plain",),
        ("near",),
    )
    assert (fact.subject, fact.predicate, fact.object) == ("HP:1", "located in", "UBERON:2")


@pytest.mark.parametrize("name", ["obo", "obograph", "owl"])
def test_three_forms_of_an_ontology_say_the_same(name: str, tmp_path: Path) -> None:
    root, sarcoma = entities(read(name, example(name, tmp_path))[0])
    assert (root.id, root.parents) == ("DOID:4", ())
    assert (sarcoma.id, sarcoma.name, sarcoma.kind, sarcoma.parents) == (
        "DOID:1115",
        "sarcoma",
        "disease",
        ("DOID:4",),
    )
    assert (
        "connective" in sarcoma.definition
        and sarcoma.xrefs == ("MESH:D012509",)
        and sarcoma.synonyms == ("sarcomas",)
    )
    assert sarcoma.source.startswith("doid 2026") and sarcoma.license


def test_a_restriction_of_owl_is_a_relation(tmp_path: Path) -> None:
    said, _ = read("owl", example("owl", tmp_path))
    assert [(f.subject, f.predicate, f.object) for f in said if isinstance(f, Relation)] == [
        ("DOID:1115", "RO:0004026", "UBERON:0002384")
    ]


def test_sssom_gives_matches_with_the_license_of_its_header(tmp_path: Path) -> None:
    exact, broad = read("sssom", example("sssom", tmp_path))[0]
    assert exact == Match(
        "MONDO:0005105", "mesh:D008545", "exact", "tiny", "https://creativecommons.org/publicdomain/zero/1.0/"
    )
    assert isinstance(broad, Match) and broad.predicate == "broad"


def test_icd_codes_are_below_their_block_and_chapter_and_residual_terms_are_no_synonyms(
    tmp_path: Path,
) -> None:
    path = example("icd10cm", tmp_path)
    path.write_text(path.read_text().replace("</section>",
    "<diag><name>A08</name><desc>Other infections</desc><inclusionTerm>"
                    "<note>Rotaviral enteritis NOS</note></inclusionTerm></diag></section>"))  # fmt: skip
    found = {term.id.partition(":")[2]: term for term in entities(read("icd10cm", path)[0])}
    assert {id: term.parents for id, term in found.items()} == {
        "A00-B99": (), "A00-A09": ("ICD10CM:A00-B99",), "A01": ("ICD10CM:A00-A09",), "A01.0": ("ICD10CM:A01",
        ), "A08": ("ICD10CM:A00-A09",),
    }  # fmt: skip
    assert found["A01.0"].related == ("Infection due to Salmonella typhi",)
    assert found["A01.0"].synonyms == () and found["A00-B99"].source == "ICD-10-CM 2026"
    assert found["A08"].synonyms == () and found["A08"].related == ("Rotaviral enteritis",)


def test_an_icd_inclusion_term_is_a_synonym_only_with_the_words_of_the_title(tmp_path: Path) -> None:
    path = example("icd10cm", tmp_path)
    more = """<diag><name>F43.0</name><desc>Acute stress reaction</desc>
    <inclusionTerm><note>Acute reaction to stress</note><note>Combat fatigue</note></inclusionTerm></diag>
    <diag><name>Q87.0</name><desc>Congenital malformation syndromes affecting facial appearance</desc>
    <inclusionTerm><note>Goldenhar syndrome</note><note>Moebius syndrome</note></inclusionTerm></diag>"""
    path.write_text(path.read_text().replace("</section>", f"{more}</section>"))
    found = {term.id.partition(":")[2]: term for term in entities(read("icd10cm", path)[0])}
    assert found["F43.0"].synonyms == ("Acute reaction to stress",)
    assert found["F43.0"].related == ("Combat fatigue",)
    assert found["Q87.0"].synonyms == ()
    assert found["Q87.0"].related == ("Goldenhar syndrome", "Moebius syndrome")


def test_icd_codes_of_seven_characters_are_cross_references_of_the_last_code(tmp_path: Path) -> None:
    path = example("icd10cm", tmp_path)
    more = """<diag><name>T20</name><desc>Burn of head</desc>
    <sevenChrDef><extension char="A">initial</extension><extension char="S">sequela</extension></sevenChrDef>
    <diag><name>T20.0</name><desc>Burn of unspecified degree of head</desc></diag>
    <diag><name>T20.01</name><desc>Burn of ear</desc><diag><name>T20.011</name><desc>Burn of right ear</desc>
    <sevenChrDef><extension char="D">subsequent</extension></sevenChrDef></diag></diag></diag>"""
    path.write_text(path.read_text().replace("</section>", f"{more}</section>"))
    found = {term.id.partition(":")[2]: term.xrefs for term in entities(read("icd10cm", path)[0])}
    assert found["T20.0"] == ("ICD10CM:T20.0XXA", "ICD10CM:T20.0XXS")
    assert found["T20.011"] == ("ICD10CM:T20.011D",)
    assert found["T20"] == () and found["T20.01"] == () and found["A01"] == ()


def test_omim_numbers_are_those_of_the_one_disease_with_the_name_and_no_name_is_kept(tmp_path: Path) -> None:
    path = example("hpoa_diseases", tmp_path)
    found = read("hpoa_diseases", path.parent if path.is_file() else path)[0]
    assert found == [
        Match("OMIM:155600", "MONDO:0005105", "exact", "HPO annotations 2025-01-16", found[0].license)
    ]


def test_omim_numbers_are_also_found_by_the_words_of_a_name_in_another_order(tmp_path: Path) -> None:
    names = {
        "MONDO:0000010": "osteogenesis imperfecta type 12",
        "MONDO:0000011": "osteogenesis imperfecta type 2",
        "MONDO:0000012": "dilated cardiomyopathy 1FF",
        "MONDO:0000013": "intellectual disability, autosomal recessive 5",
        "MONDO:0000014": "cutis laxa type 2",
        "MONDO:0000015": "type II laxa cutis",
    }
    rows = {id: {"label": name, "ancestors": {}, "deprecated": False} for id, name in names.items()}
    (tmp_path / "MONDO-ontology-v2026-05-05.json").write_text(json.dumps(rows))
    said = {
        "OMIM:1": "Osteogenesis imperfecta, type XII",
        "OMIM:2": "Osteogenesis imperfecta, type IIB",  # a letter more is another disease
        "OMIM:3": "Cardiomyopathy, dilated, 1FF; CMD1FF",
        "OMIM:4": "Intellectual developmental disorder, autosomal recessive 5",
        "OMIM:5": "Cutis laxa, II",  # the words of two diseases
        "OMIM:6": "Cardiomyopathy, dilated",  # a word less
    }
    lines = [f"{id}\t{name}\t\tHP:0002861\t\tP\n" for id, name in said.items()]
    head = "#version: 2025-01-16\ndatabase_id\tdisease_name\tqualifier\thpo_id\tfrequency\taspect\n"
    (tmp_path / "phenotype.hpoa").write_text(head + "".join(lines))
    found = {one.a: one.b for one in read("hpoa_diseases", tmp_path)[0]}
    assert found == {"OMIM:1": "MONDO:0000010", "OMIM:3": "MONDO:0000012", "OMIM:4": "MONDO:0000013"}


def test_mesh_tree_numbers_are_parents_and_kinds(tmp_path: Path) -> None:
    top, melanoma = entities(read("mesh", example("mesh", tmp_path))[0])
    assert (top.kind, top.synonyms, top.definition) == (
        "disease",
        ("Tumors",),
        "New abnormal growth of tissue.",
    )
    assert (melanoma.id, melanoma.parents, melanoma.synonyms) == (
        "MESH:D008545",
        ("MESH:D009369",),
        ("Malignant Melanoma",),
    )


def test_mesh_tables_give_kinds_parents_names_in_word_order_and_mappings(tmp_path: Path) -> None:
    said = read("mesh_tables", example("mesh_tables", tmp_path))[0]
    neoplasms, melanoma, sildenafil = entities(said)
    assert (melanoma.parents, melanoma.kind, melanoma.synonyms) == (
        ("MESH:D009369",),
        "disease",
        ("Malignant Melanoma",),
    )
    assert (neoplasms.parents, sildenafil.kind, sildenafil.synonyms) == (
        (),
        "chemical",
        ("Viagra", "Sildenafil"),
    )
    assert [(m.a, m.b, m.predicate) for m in said if isinstance(m, Match)] == [
        ("MESH:D008545", "DOID:1909", "exact")
    ]
    table = "D1\tEnzymes\t\tD08.811\t\nD2\tInsulin\t\tD12.776.1|D12.644.1\t\nD3\tLibraries\t\tL01\t\nD4\tModels\t\tE05.1\t\n"  # noqa: E501
    table += "D5\tWarts\t\tC23.1|A10.1|C01.1\t\nD6\tCough\t\tC23.2\t\n"
    (tmp_path / "mesh_id_label_mappings.tsv").write_text(table)
    rows, skipped = read_all(
        plugins.load("vocabularies", "mesh_tables")(tmp_path / "mesh_id_label_mappings.tsv")
    )
    assert [(row.id, row.kind) for row in rows] == [
        ("MESH:D1", "gene product"), ("MESH:D2", "chemical"), ("MESH:D5", "disease"), ("MESH:D6",
        "phenotype"),
    ]  # fmt: skip
    assert skipped == {"outside the domain": 2}


def test_supplementary_concepts_are_below_the_headings_they_are_mapped_to(tmp_path: Path) -> None:
    (tmp_path / "mesh_id_label_mappings.tsv").write_text("D1\tAcids\t\tD01\t\nD3\tLibraries\t\tL01\t\n")
    (tmp_path / "mesh_supp_id_label_mappings.tsv").write_text(
        "C2\tnew acid\tNA 1|acid, new\t*D1\nC3\tbook\t\tD3\n"
    )
    path = tmp_path / "mesh_supp_id_label_mappings.tsv"
    (acid,), skipped = read_all(plugins.load("vocabularies", "mesh_tables")(path))
    assert (acid.id, acid.kind, acid.parents, acid.synonyms) == (
        "MESH:C2",
        "chemical",
        ("MESH:D1",),
        ("NA 1",),
    )
    assert skipped == {"outside the domain": 1}


def test_rrf_reads_english_names_parents_and_kinds(tmp_path: Path) -> None:
    disease, asthma = entities(read("rrf", example("rrf", tmp_path))[0])
    assert (asthma.id, asthma.kind, asthma.parents) == (
        "UMLS:C0004096",
        "disease",
        ("UMLS:C0012634",),
    ) and disease.parents == ()
    assert asthma.synonyms == ("Bronchial asthma",) and asthma.xrefs == ("SNOMEDCT_US:195967001",)


def test_medic_ids_are_mesh_or_omim(tmp_path: Path) -> None:
    terms = entities(read("medic", example("medic", tmp_path))[0])
    assert [(t.id, t.xrefs) for t in terms] == [
        ("MESH:D012509", ()),
        ("MESH:C567755", ("OMIM:613097",)),
        ("OMIM:145250", ()),
    ]


def test_disease_annotations_carry_frequencies_and_leave_negated_ones_out(tmp_path: Path) -> None:
    said, skipped = read("hpoa", example("hpoa", tmp_path))
    assert [(f.subject, f.object, f.value) for f in said if isinstance(f, Relation)] == [
        ("OMIM:619340", "HP:0011097", 0.5)
    ]
    assert skipped == {"outside the domain": 1, "negated": 1}


def test_ordo_keeps_diseases_and_genes_and_no_geography(tmp_path: Path) -> None:
    said, skipped = read("ordo", example("ordo", tmp_path))
    assert [(t.id, t.parents) for t in entities(said)] == [("ORPHA:101", ()), ("ORPHA:124", ("ORPHA:101",))]
    assert skipped == {"outside the domain": 2, "type, not a group": 2}


def test_ids_of_one_list_of_names_are_one_entity(tmp_path: Path) -> None:
    spg, fever = entities(read("id_names", example("id_names", tmp_path))[0])
    assert (spg.name, spg.synonyms, spg.xrefs) == ("SPG25", ("Spastic paraplegia 25",), ("OMIM:608220",))
    assert fever.kind == "phenotype"


# ---- broken files --------------------------------------------------------------------------------

CUT_XML = "<a>\n<chapter>\n<name>1</na"


@pytest.mark.parametrize(
    ("reader", "file", "content", "message"),
    [
        ("obograph", "x.json", b'{"graphs": [\n{"nodes": [', r"x\.json:2: not JSON, or truncated"),
        ("obograph", "x.json", b'{"graphs": [\n"\xff"]}', r"x\.json:2: not UTF-8"),
        ("obograph", "x.json", b"[1]", r"x\.json: not an OBO graph"),
        (
            "obograph",
            "x.json.gz",
            gzip.compress(b'{"graphs": []}' * 99, mtime=0)[:30],
            r"x\.json\.gz: truncated or not gzip",
        ),
        ("mondo", "MONDO-ontology-v1.json", b'{"a":\n{"label": 1', r"v1\.json:2: not JSON, or truncated"),
        ("mondo", "MONDO-ontology-v1.json", b'{\n"\xff": 1}', r"v1\.json:2: not UTF-8"),
        ("icd10cm", "x.xml", CUT_XML.encode(), r"x\.xml:3: not XML, or truncated"),
        ("icd10cm", "x.xml", b"<a>\n\xff</a>", r"x\.xml:2: not UTF-8"),
        ("icd10cm", "x.xml", b"<a></a>", r"x\.xml: no chapter or version in this XML file"),
        ("owl", "x.owl", b"<a>\n<b></a>", r"x\.owl:2: not XML, or truncated: mismatched tag"),
        ("sssom", "x.tsv", b"a\tb\n", r"x\.tsv:1: no column 'subject_id'"),
        (
            "sssom",
            "x.tsv",
            b"subject_id\tpredicate_id\tobject_id\nMONDO:1\tskos",
            r"x\.tsv:2: 2 columns, but the header has 3",
        ),
        ("medic", "x.txt", b"D1||a\nwhat is this\n", r"x\.txt:2: a MEDIC line must be"),
        (
            "mesh_tables",
            "mesh_id_label_mappings.tsv",
            b"D1\ta\t\tC04\t\nD2\tb",
            r"mappings\.tsv:2: a row of MeSH must be `D000001, name",
        ),
        (
            "mesh_tables",
            "mesh_id_label_mappings.tsv",
            b"C1\ta\t\tD1\n",
            r"mappings\.tsv:1: a row of MeSH must be",
        ),
        ("rrf", "MRCONSO.RRF", b"C1|ENG|P|\n", r"MRCONSO\.RRF:1: 3 columns, but MRCONSO\.RRF has 18"),
        ("do_relations", "x.tsv", b"a\tb\nc\td\n", r"x\.tsv:2: needs the columns"),
        ("information_content", "x.json", b'{"HP:1": "high"}', r"x\.json: must be a JSON object of numbers"),
    ],
)
def test_a_broken_file_is_one_sentence_with_file_and_line(
    reader: str, file: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(reader, tmp_path / file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("reader", "file"),
    [("obo", "x.obo"), ("owl", "x.owl"), ("tsv", "x.tsv"), ("sssom", "x.sssom.tsv"), ("medic", "x.txt")],
)
def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    reader: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medxiaohe.io.reading.MAX_LINE_BYTES", 2**20)
    (tmp_path / file).write_bytes(b"x" * (3 * 2**20))
    with pytest.raises(DataError, match=rf"{file}:1: line longer than 1 MiB"):
        read(reader, tmp_path / file)


def test_json_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medxiaohe.entity.readers import _json

    monkeypatch.setattr(_json, "MAX_BYTES", 2**20)
    (tmp_path / "x.json").write_bytes(b"[" + b"1," * 2**20 + b"1]")
    with pytest.raises(DataError, match=r"x\.json:1: more than 1 MiB of JSON: use the OBO file"):
        read("obograph", tmp_path / "x.json")


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
