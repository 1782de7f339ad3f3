"""Vocabularies as files: what is read, and which damage is refused with its line."""

import os
from collections import Counter
from pathlib import Path

import pytest

from medxiaohe import plugins
from medxiaohe.entity.build import BuildSettings, Vocabulary, build
from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.readers._terms import entities, read_all
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError
from medxiaohe.types import Entity


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
