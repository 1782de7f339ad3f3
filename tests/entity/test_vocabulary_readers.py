"""Readers of every vocabulary format, and files that are broken."""

import gzip
import json
from pathlib import Path

import pytest
from vocabularies_for_tests import example, read

from medxiaohe import plugins
from medxiaohe.entity.readers._terms import entities, read_all
from medxiaohe.errors import DataError
from medxiaohe.types import Entity, Match, Relation

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
