"""Rows and pairs for the writer of queries, in a made-up world of four sources with disjoint facts, whose
documents do not use the words of the questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.models.players import Player
from medxiaohe.train.loop.pairs import read
from medxiaohe.train.queries import QueriesSettings, queries, store_tools, supporting
from medxiaohe.types import Message, Sample

STORES = ("books", "guidelines", "papers", "wiki")
EXPLORER = """
import re

TECHNICAL = {"alpha": "oral", "beta": "renal", "gamma": "nasal", "delta": "dental"}

def explore(messages):
    "Attempt 1 repeats the question, attempt 2 uses the technical name, attempt 3 names something else."
    last = messages[-1].text
    tag = re.search(r"<(\\w+)></", last)[1]
    number = int(re.search(r"attempt (\\d)", last)[1])
    kind = re.search(r"shaking illness (\\w+)", messages[0].text)[1]
    query = {1: "shaking illness", 2: "tremulosis " + TECHNICAL[kind], 3: "zebra"}[number]
    return f"<{tag}>{query}</{tag}>"
"""
TECHNICAL = {"alpha": "oral", "beta": "renal", "gamma": "nasal", "delta": "dental"}
KINDS = tuple(TECHNICAL)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    (tmp_path / "explorer.py").write_text(EXPLORER)
    for n, (store, kind) in enumerate(zip(STORES, KINDS, strict=True)):
        rows = [
            {
                "id": f"{store}/1",
                "text": f"Tremulosis {TECHNICAL[kind]} yields to zo{kind}mab.",
                "source": store,
            },
            {"id": f"{store}/2", "text": "A zebra is no horse.", "source": store},
        ]
        io.write_jsonl(tmp_path / f"{store}.jsonl", rows)
        asked = Message("user", (f"Which pill helps the shaking illness {kind}?",))
        sample = Sample(f"w/{n}", (asked, Message("assistant", (f"zo{kind}mab",))), f"zo{kind}mab",
                        source="held_out", meta={"documents": [f"{store}/1"]})  # fmt: skip
        io.append_jsonl(tmp_path / "prompts.jsonl", [sample])
    return tmp_path


def settings(world: Path, **more: object) -> QueriesSettings:
    explorer = Player(f"{world}/explorer.py:explore", "python")
    stores = {name: f"{world}/{name}.jsonl" for name in STORES}
    return QueriesSettings(stores, explorer, sets=3, allow_contaminated=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("gold", ["", "documents"])
def test_each_question_is_taught_the_query_and_the_source_that_answer_it(
    world: Path, tmp_path: Path, gold: str
) -> None:
    with io.publish(tmp_path / "out") as draft:
        found = queries(settings(world, gold=gold), draft, data=world)
    assert found["prompts"] == found["taught"] == 4
    assert found["raw"] == dict.fromkeys(STORES, 0.0) and found["best"] == dict.fromkeys(STORES, 0.25)
    taught = list(io.read_samples(tmp_path / "out/instructions.jsonl"))
    for sample, store, kind in zip(taught, STORES, KINDS, strict=True):
        assert sample.messages[-1].text == f"<{store}>tremulosis {TECHNICAL[kind]}</{store}>"
        assert all(f"<{name}></{name}>" in sample.messages[-2].text for name in STORES)
    pairs = read(tmp_path / "out/pairs.jsonl")
    assert found["kinds"] == {"needless": 12, "wrong query": 4} and len(pairs) == 16
    wrong = next(pair for pair in pairs if pair.kind == "wrong query")
    assert "tremulosis" in wrong.chosen and "tremulosis" not in wrong.rejected
    needless = next(pair for pair in pairs if pair.kind == "needless")
    assert needless.rejected.count("</") == 2 and needless.chosen.count("</") == 1


def test_a_world_without_answers_is_a_sentence(world: Path, tmp_path: Path) -> None:
    for store in STORES:
        io.write_jsonl(world / f"{store}.jsonl", [{"id": "1", "text": "A zebra.", "source": store}])
    with pytest.raises(DataError, match="no query for any of 4 prompts found evidence"):
        queries(settings(world), tmp_path, data=world)


def test_support_is_a_named_document_or_all_words_of_the_answer(world: Path) -> None:
    sample = next(io.read_samples(world / "prompts.jsonl"))
    (right, other) = (
        store_tools({"books": f"{world}/books.jsonl"})["books"].run(query="tremulosis zebra horse").evidence
    )
    for gold in ("", "documents"):
        assert {supporting(sample, gold)(one) for one in (right, other)} == {True, False}
