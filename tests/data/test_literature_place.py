"""data.place: what has no parents gets the likeliest ones, or stays; nothing else of the tree changes."""

from pathlib import Path

import literature_for_tests as made
import pytest

pytest.importorskip("numpy")

from medxiaohe import io
from medxiaohe.data.place import PlaceSettings, place
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

LOST = ["lung cancer type 7", "infantile kidney cyst", "zzyzx quux"]


def lost(name: str) -> Entity:
    return Entity(
        f"L:{name.replace(' ', '_')}", name, "disease", ("MET:disease",), (), "", (), "a list", "CC0-1.0"
    )


def test_only_entities_without_parents_move_and_scores_and_reasons_are_kept(tmp_path: Path) -> None:
    folder = made.tree_folder(tmp_path / "tree", [*made.ontology(), *map(lost, LOST)])
    out = tmp_path / "out" / ".1.draft"
    out.mkdir(parents=True)
    summary = place(PlaceSettings(kinds=("disease",), embedder="ngrams", min_score=0.3), out, tree=folder)
    before, after = Tree.load(folder), Tree.load(out)
    assert list(before.entities) == list(after.entities)
    changed = {
        e.name: [after.entities[p].name for p in e.parents]
        for id, e in after.entities.items()
        if e != before.entities[id]
    }
    assert changed["lung cancer type 7"] == ["lung cancer"] and set(changed) <= set(LOST)
    rows = {row["name"]: row for row in io.read_jsonl(out / "attached.jsonl")}
    assert set(rows) == set(LOST) and all(row["placed"] is (name in changed) for name, row in rows.items())
    assert all(row["parents"][0]["why"] and row["parents"][0]["score"] <= 1 for row in rows.values())
    assert summary["asked"] == 3 and summary["placed"] == len(changed)
    assert 0 < summary["checked"]["disease"]["right"] <= summary["checked"]["disease"]["placed"]
    assert (folder / "terms.jsonl").read_bytes() == (out / "terms.jsonl").read_bytes()


def test_a_tree_without_such_entities_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to place"):
        place(
            PlaceSettings(kinds=("gene",), embedder="ngrams"),
            tmp_path,
            tree=made.tree_folder(tmp_path / "tree"),
        )
