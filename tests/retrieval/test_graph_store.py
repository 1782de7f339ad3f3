"""The graph store: facts by any name of their ends, with the line they are in their node's document."""

from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.data.index import IndexSettings, index
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.retrieval.graph import GraphStore, build_graph, tree
from medxiaohe.retrieval.library import open_store
from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import Relation, ToolCall, ToolResult

FACTS: list[Relation | tuple[str, str]] = [
    Relation("糖尿病", "常见症状", "多尿", source="g", license="MIT"),
    Relation("糖尿病", "常见症状", "多饮", source="g", license="MIT"),
    Relation("糖尿病", "并发症", "高血压", source="g", license="MIT"),
    ("糖尿病", "Diabetes Mellitus"),
    Relation("II型糖尿病", "上位关系", "糖尿病", source="g"),
    Relation("scurvy", "frequency", "", 0.25, source="t"),
]


def built(folder: Path, facts: list[Relation | tuple[str, str]] = FACTS) -> Path:
    folder.mkdir()
    build_graph(folder, facts)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> GraphStore:
    return GraphStore(built(tmp_path / "graph"))


def test_a_question_finds_the_facts_of_the_node_and_predicate_it_names(store: GraphStore) -> None:
    (found, both) = store.search(["糖尿病有哪些常见症状？", "糖尿病 高血压"], 2)
    assert [one.text for one in found] == ["糖尿病 | 常见症状 | 多尿", "糖尿病 | 常见症状 | 多饮"]
    assert both[0].text == "糖尿病 | 并发症 | 高血压"


def test_the_longest_name_wins(store: GraphStore) -> None:
    (found,) = store.search(["II型糖尿病"], 9)
    assert [one.text for one in found] == ["II型糖尿病 | 上位关系 | 糖尿病"]


def test_a_fact_is_a_line_of_its_nodes_document(store: GraphStore) -> None:
    for fact in store.about("diabetes mellitus"):
        whole = store.get(fact.id)
        assert fact.at and fact.at.span and whole.text[slice(*fact.at.span)] == fact.text
        assert whole.sha256 == fact.sha256 and fact.kind == "relation"
    assert store.about("scurvy")[0].text == "scurvy | frequency 0.25"


def relations(store: GraphStore, **arguments: object) -> ToolResult:
    return call_tool(ToolCall("1", "relations", arguments), open_tools(["relations"], {"graph": store}))


def test_the_tool_filters_and_says_what_it_does_not_list(store: GraphStore) -> None:
    found = relations(store, entity="糖尿病", predicate="常见症状").evidence
    assert len(found) == 2 and found[0].license == "MIT"
    assert [one.text for one in relations(store, entity="高血压", other="糖尿病").evidence] == [FACTS_TEXT]
    assert "does not mean that there is none" in str(relations(store, entity="糖尿病", other="多汗").parts[0])
    assert "nothing under the name" in str(relations(store, entity="nobody").parts[0])
    assert "at most 200" in relations(store, entity="x" * 300).error
    assert "name an entity" in relations(store, entity=" ").error


FACTS_TEXT = "糖尿病 | 并发症 | 高血压"


def test_the_same_facts_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = built(tmp_path / "one"), built(tmp_path / "two")
    assert (one / "graph.sqlite").read_bytes() == (two / "graph.sqlite").read_bytes()


def test_what_is_wrong_is_one_sentence(store: GraphStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no relation"):
        built(tmp_path / "empty", [("a", "b")])
    with pytest.raises(DataError, match="no facts of 'relation/99'"):
        store.get("relation/99")
    with pytest.raises(DataError, match="empty"):
        store.search([""], 1)
    with pytest.raises(ConfigError, match="a graph has a `tree` stage"):
        index(IndexSettings(kind="graph"), tmp_path)
    path = store.folder / "graph.sqlite"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="truncated or damaged"):
        open_store(store.folder)


def test_the_facts_of_a_tree_become_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.tsv").write_text(
        "id\tname\tkind\tsynonyms\nm:1\tscurvy\tdisease\tscorbutus\nm:2\trash\tfinding\t\n"
    )
    settings = f'vocabularies=[{{"reader": "tsv", "path": "{tmp_path}/mine.tsv"}}]'
    out = tmp_path / "out"
    assert main(["tree", "build", "--out", str(out), "--set", settings]) == 0
    folder = out / "entity_build" / "1"
    row = {"subject": "m:1", "predicate": "has phenotype", "object": "m:2", "source": "x", "license": "CC0"}
    copy = tmp_path / "tree"
    copy.mkdir()
    for path in folder.glob("*.jsonl"):
        (copy / path.name).write_bytes(path.read_bytes())
    io.write_jsonl(copy / "relations.jsonl", [row])
    store = GraphStore(built(tmp_path / "graph", list(tree(copy))))
    assert [one.text for one in store.about("scorbutus")] == ["scurvy | has phenotype | rash"]
    assert store.about("m:1")[0].license == "CC0" and store.verify() == 4
