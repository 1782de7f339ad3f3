"""A made-up world whose answers stand in its sources alone: with the right source a workflow answers, with
none, an exchanged or a rewired one it guesses, and with a dead one the run ends and scores nothing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.controls import exchanged, rewired
from medxiaohe.retrieval.graph import GraphStore, build_graph
from medxiaohe.types import Evidence, Relation

NUMBER = 40
WORLD = """
import json
import random
import re

from medxiaohe.scoring.choice import choice
from medxiaohe.types import Message, Sample, Task, ToolResult


def malady(n):
    return f"qu{'abcdefgh'[n // 8]}{'abcdefgh'[n % 8]}itis"


def drug(n):
    return f"zo{'abcdefgh'[n // 8]}{'abcdefgh'[n % 8]}mab"


def item(n):
    options = random.Random(n).sample([drug(m) for m in range(40) if m != n], 3)
    options.insert(n % 4, drug(n))
    listed = "\\n".join(f"{letter}. {one}" for letter, one in zip("ABCD", options))
    asked = Message("user", (f"Which drug treats {malady(n)}?\\n{listed}",))
    gold = "ABCD"[n % 4]
    return Sample(f"w/{n}", (asked, Message("assistant", (gold,))), gold, tuple(options), split="test")


def world():
    return Task("world", lambda split: map(item, range(40)), (choice,), item(0), "CC0", splits=("test",))


def words(message):
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield from (one for one in part.parts if isinstance(one, str))
        elif isinstance(part, str):
            yield part


def reader(messages):
    "Knows nothing: reads what it is shown of its malady, else says A."
    whole = "\\n".join(text for message in messages for text in words(message))
    last = messages[-1].text
    named = re.search(r"treats (qu..itis)", whole)[1]
    options = dict(re.findall(r"([A-D])\\. (zo..mab)", whole))
    if "write search queries" in last:
        return "".join(f"<{tag}>{named}</{tag}>" for tag in re.findall(r"<(\\w+)></", last))
    if "regular form" in last:
        return json.dumps({"symptoms": [], "state": "", "history": "", "queries": [f"{named} drug"]})
    if "You route" in last:
        return json.dumps({"agents": ["medicament"]})
    if "You are the predictor" in last:
        return json.dumps({"entities": [], "acts": ["treat"]})
    if "These agents" in last:
        return "[medicament]\\nAnswer: " + re.findall(r"Answer: ([A-D])", last)[0]
    told = re.findall(rf"{named} (?:is treated by|\\| treated by \\|) (zo..mab)", whole)
    near = re.search(r"\\[begin neighbours.*?\\]\\n(.*?)\\n\\[end", last, re.DOTALL)
    told += [one for one in re.findall(r"zo..mab", near[1] if near else "") if one in options.values()]
    letter = next((letter for letter, one in options.items() if told and one == told[0]), "A")
    if "<query>" in whole:
        return f"<think>x</think><answer>{letter}</answer>"
    return f"[medicament]\\nAnswer: {letter}"


def searcher(messages):
    "The same in the grammar of rwr."
    if len(messages) == 1:
        named = re.search(r"treats (qu..itis)", messages[0].text)[1]
        return f"<think>look</think><query>{named}</query>"
    return reader(messages)
"""


def malady(n: int) -> str:
    return f"qu{'abcdefgh'[n // 8]}{'abcdefgh'[n % 8]}itis"


def drug(n: int) -> str:
    return f"zo{'abcdefgh'[n // 8]}{'abcdefgh'[n % 8]}mab"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("world")
    (place / "world.py").write_text(WORLD)
    rows = [
        {"id": f"p{n}", "text": f"{malady(n)} is treated by {drug(n)}", "source": "made up"}
        for n in range(NUMBER)
    ]
    io.write_jsonl(place / "passages.jsonl", rows)
    facts = [Relation(malady(n), "treated by", drug(n), source="made up") for n in range(NUMBER)]
    (place / "graph").mkdir()
    build_graph(place / "graph", facts)
    return place


def accuracy(place: Path, out: Path, flow: str, knowledge: str) -> tuple[int, float | None]:
    tools = "neighbours" if flow == "pathway" else "search"
    model = f"{place}/world.py:{'searcher' if flow == 'rwr' else 'reader'}"
    asked = ["eval", "run", "--model", model, "--tasks", f"{place}/world.py:world", "--no-page"]
    asked += ["--workflow", flow, "--tools", tools, "--out", str(out), "--set", f"knowledge={knowledge}"]
    asked += ["--set", f"library={place}/passages.jsonl", "--set", f"stores.graph={place}/graph"]
    code = main(asked)
    summary = out / "run/1/summary.json"
    return code, io.read_json(summary)["world"]["mean"] if summary.exists() else None


@pytest.mark.parametrize("flow", ["rwr", "hetero", "aide", "pathway"])
def test_a_gain_comes_from_the_right_source_alone(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flow: str
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    assert accuracy(world, tmp_path / "right", flow, "right") == (0, 1.0)
    assert accuracy(world, tmp_path / "none", flow, "none") == (0, 0.25)
    other = "rewired" if flow == "pathway" else "exchanged"
    code, mean = accuracy(world, tmp_path / "other", flow, other)
    assert code == 0 and mean is not None and mean <= 0.35
    code, mean = accuracy(world, tmp_path / "dead", flow, "dead")
    assert code == 3 and mean is None and not (tmp_path / "dead/run/1").exists()


def test_named_stores_are_searched_apart(world: Path, tmp_path: Path) -> None:
    rows = [{"id": f"x{n}", "text": f"nothing of {malady(n)}", "source": "s"} for n in range(NUMBER)]
    io.write_jsonl(tmp_path / "other.jsonl", rows)
    asked = ["eval", "run", "--model", f"{world}/world.py:reader", "--tasks", f"{world}/world.py:world"]
    asked += ["--workflow", "hetero", "--no-page", "--out", str(tmp_path / "out"), "--limit", "4"]
    asked += [
        "--set",
        f"stores.papers={world}/passages.jsonl",
        "--set",
        f"stores.books={tmp_path}/other.jsonl",
    ]
    assert main(asked) == 0
    trace = io.trace_from_json(next(io.read_jsonl(tmp_path / "out/run/1/traces.jsonl"))["trace"])
    assert {s.who for s in trace.steps if s.kind == "use"} == {"search_papers", "search_books"}
    assert io.read_json(tmp_path / "out/run/1/summary.json")["world"]["mean"] == 1.0


def test_a_rewired_graph_keeps_every_degree_and_an_exchanged_library_its_ids(
    world: Path, tmp_path: Path
) -> None:
    store = GraphStore(world / "graph")
    control = rewired(store, tmp_path / "rewired", seed=3)
    again = rewired(store, tmp_path / "rewired", seed=3)

    def ends(one: GraphStore) -> list[tuple[int, str, int]]:
        found = sqlite3.connect(one.folder / "graph.sqlite")
        return found.execute("SELECT subject, predicate, object FROM relation ORDER BY id").fetchall()

    before, after = ends(store), ends(control)
    assert before != after and after == ends(again) and control.verify() == store.verify()
    for column in (0, 2):
        assert Counter((row[column], row[1]) for row in before) == Counter(
            (row[column], row[1]) for row in after
        )
    library = BM25([Evidence(str(n), f"word{n} text", "x") for n in range(9)])
    (right,), (other,) = library.search(["word3"], 2), exchanged(library).search(["word3"], 2)
    assert [one.id for one in right] == [one.id for one in other]
    assert all(a.text != b.text for a, b in zip(right, other, strict=True))
    with pytest.raises(ConfigError, match="two texts that differ"):
        exchanged(BM25([Evidence("1", "same", "x"), Evidence("2", "same", "x")]))
    with pytest.raises(DataError):
        exchanged(library).get("nobody")


def test_a_control_that_a_source_does_not_have_is_a_sentence(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert accuracy(world, tmp_path / "x", "pathway", "exchanged")[0] == 2
    assert "a graph, is `rewired`" in capsys.readouterr().err
    assert accuracy(world, tmp_path / "x", "pathway", "wrong")[0] == 2
    assert "knowledge: must be one of 'right'" in capsys.readouterr().err
