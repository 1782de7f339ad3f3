"""Levels of verification beyond the records: searches and workflows done again, a model asked again, a second
verifier; and what every workflow that ships leaves."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from trace_bundles import trace as drawn

from medxiaohe import cli, io, plugins, traces
from medxiaohe.cli.trace import write
from medxiaohe.cli.trace_replay import replayed
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools import tool
from medxiaohe.types import Message, Prompt

BOT = """
from medxiaohe.types import Message, ToolCall

def bot(messages):
    "Searches once, then answers."
    if messages[-1].role == "tool":
        return "Scurvy is a lack of vitamin C."
    return Message("assistant", (ToolCall("1", "search", {"query": "scurvy"}),))

def other(messages):
    "Answers otherwise."
    return "Scurvy is rare."
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the trace of one question to a model that searches."""
    (tmp_path / "mine.py").write_text(BOT)
    row = {"id": "1", "text": "Scurvy is a lack of vitamin C.", "source": "made up"}
    io.write_jsonl(tmp_path / "passages.jsonl", [row])
    io.write_jsonl(tmp_path / "others.jsonl", [{**row, "text": "Scurvy is a lack of vitamin D."}])
    monkeypatch.chdir(tmp_path)
    words = ["ask", "What is scurvy?", "--model", "mine.py:bot", "--backend", "python", "--trace", "t"]
    assert cli.main([*words, "--tools", "search", "--library", "passages.jsonl"]) == 0
    return tmp_path


def level(capsys: pytest.CaptureFixture[str], name: str, *more: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert cli.main(["trace", "verify", "t", "--json", *more]) == code
    return json.loads(capsys.readouterr().out)["levels"][name]


def test_the_head_has_digests_of_model_workflow_tools_and_stores(asked: Path) -> None:
    origin = json.loads((asked / "t/log.jsonl").read_text().splitlines()[-1])["origin"]
    keys = {"model", "model.weights", "workflow", "workflow.code", "tool.search", "store.library"}
    assert keys <= set(origin) and all(origin[key] not in ("", "unknown") for key in keys)


def test_a_search_is_done_again_over_the_same_library_and_no_other(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert level(capsys, "replayed")["reasons"] == {"a store was not given: name it with --library": 1}
    assert level(capsys, "replayed", "--library", "passages.jsonl")["state"] == "verified"
    other = level(capsys, "replayed", "--library", "others.jsonl")
    assert other["state"] == "partly" and other["reasons"] == {"a store is another one here": 1}


def test_the_documents_of_a_store_lie_beside_the_trace_so_that_quotes_resolve_without_it(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "# Scurvy\nScurvy is a lack of vitamin C.\n\n# Rickets\nRickets is a lack of vitamin D."
    io.write_jsonl(asked / "documents.jsonl", [{"id": "a", "text": text, "source": "made up"}])
    assert cli.main(["knowledge", "build", "--set", "path=documents.jsonl", "--out", "store"]) == 0
    shutil.rmtree("t")
    words = ["ask", "What is scurvy?", "--model", "mine.py:bot", "--backend", "python", "--trace", "t"]
    assert cli.main([*words, "--tools", "search", "--library", "store/data_index/1"]) == 0
    shutil.rmtree("store")
    assert level(capsys, "resolved")["state"] == "verified"
    (blob,) = (path for path in Path("t/blobs").rglob("*") if path.is_file())
    assert blob.read_text() == text
    blob.write_text(text.replace("vitamin C", "vitamin E"))
    assert level(capsys, "resolved", code=1)["state"] == "failed"


def test_another_reply_of_the_model_is_reported_and_no_failure(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert level(capsys, "regenerated")["state"] == "not checked"
    python = ["--backend", "python", "--model"]
    same = level(capsys, "regenerated", *python, "mine.py:bot")
    assert (same["state"], same["checked"], same["agrees"]) == ("reported", 2, 2)
    other = level(capsys, "regenerated", *python, "mine.py:other")
    assert (other["checked"], other["agrees"]) == (2, 0)
    assert other["notes"] == {"another reply from word 1": 1, "another reply from word 3": 1}
    cli.main(["trace", "verify", "t", *python, "mine.py:other"])
    assert "0 of 2 agree (0.000, 95 % 0.000 to 0.658)" in capsys.readouterr().out


def test_a_second_verifier_gives_a_share_with_an_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "draft.txt").write_text("Small left effusion. No pneumothorax. There is a fracture.")
    (tmp_path / "findings.txt").write_text("Small left effusion. No pneumothorax.")
    assert cli.main(["describe", "--draft", "draft.txt", "--evidence", "findings.txt", "--out", "r"]) == 0
    (tmp_path / "t").symlink_to(tmp_path / "r/trace")
    found = level(capsys, "entailed", "--second", "judged")
    assert found["state"] == "reported" and 0 < found["agrees"] <= found["checked"] == 3
    assert sum(found["notes"].values()) == found["checked"] - found["agrees"]
    assert level(capsys, "entailed", "--second", "entities")["reasons"]["ruled by the same verifier"]
    assert level(capsys, "entailed", "--second", "region")["state"] == "not checked"
    assert cli.main(["trace", "verify", "t", "--second", "nobody"]) == 2


def test_sources_that_the_copy_lacks_are_looked_up_by_their_bytes(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    made, documents = drawn(tmp_path, 0)
    write([made], tmp_path / "t", documents=documents)
    for blob in (tmp_path / "t/blobs").rglob("*/*"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        blob.rename(tmp_path / "elsewhere" / f"{blob.name[:4]}.bin")
    words = ["trace", "verify", str(tmp_path / "t"), "--no-replay", "--level", "resolved"]
    assert cli.main(words) == 1
    (tmp_path / "elsewhere/link").symlink_to("/etc/hostname")
    found = traces.verify(tmp_path / "t", blobs=traces.Blobs(tmp_path / "t", [tmp_path / "elsewhere"]))
    assert found.problems == [] and found.levels["resolved"].reasons == {"pixels were not decoded": 1}
    assert cli.main([*words, "--sources", str(tmp_path / "nowhere")]) == 2


@tool
def again(word: str) -> str:
    """Say the word again."""
    return word


@pytest.mark.parametrize("name", plugins.shipped("workflows"))
def test_the_traces_of_every_workflow_verify_and_its_replay_ends_the_same_way(
    name: str, tmp_path: Path
) -> None:
    """An answer, a conversation that never ends, and a server that fails."""
    workflow = plugins.load("workflows", name)
    example = import_module(f"medxiaohe.agents.{name}").EXAMPLE
    prompt = Prompt("p", (Message("user", ("A question",)),), facts=example.facts)
    found = []
    for reply in (example.ends, example.goes_on, Message("assistant", (), error="the server is gone")):
        model = scripted(answer=lambda _, reply=reply: reply, nats=lambda talk, one: float(len(one)))
        found += workflow([prompt], model, (again,))
    write(found, tmp_path / "t")
    verdict = traces.verify(tmp_path / "t", replay=lambda one: replayed(one, tmp_path / "t"))
    assert verdict.problems == [] and verdict.traces == 3
    assert verdict.levels["replayed"].checked >= 2, verdict.levels["replayed"].reasons
