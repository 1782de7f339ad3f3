"""Building a tree: merges, repairs and counts, whatever the vocabularies say."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.entity.build import BuildSettings, Vocabulary, build
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError
from medxiaohe.recipe.settings import build as typed


def build_tsv(folder: Path, *files: str, **options: object) -> tuple[dict, Tree]:
    """The summary and the tree of vocabularies given as the content of tab-separated files."""
    vocabularies = []
    for number, content in enumerate(files):
        (folder / f"v{number}.tsv").write_text(content, encoding="utf-8")
        vocabularies.append(Vocabulary("tsv", str(folder / f"v{number}.tsv"), license="CC0-1.0"))
    out = folder / "out"
    return build(BuildSettings(tuple(vocabularies), **options), out), Tree.load(out)


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
