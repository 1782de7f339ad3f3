"""An evaluation leaves its traces as a log that anyone verifies; its rows name them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_eval_run import TASK

from medxiaohe import cli, io, traces
from medxiaohe.evals.running.sealing import Sealing
from medxiaohe.traces.checkpoint import new_key
from medxiaohe.traces.store import head_name, stored
from medxiaohe.types import Claim, Message, Prompt, Trace


def test_rows_name_traces_that_verify_and_equal_runs_have_equal_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cryptography")
    (tmp_path / "quiz.py").write_text(TASK)
    (tmp_path / "mine.py").write_text("def bot(messages):\n    'One letter.'\n    return 'B'\n")
    monkeypatch.chdir(tmp_path)
    private, public = new_key("lab")
    (tmp_path / "lab.key").write_text(private)
    monkeypatch.setenv("MEDXIAOHE_TRACE_KEY", "lab.key")
    words = ["eval", "run", "--model", "mine.py:bot", "--tasks", "quiz.py:quiz", "--limit", "6", "--no-page"]
    for out in ("a", "b"):
        assert cli.main([*words, "--out", out]) == 0
    capsys.readouterr()
    folder = tmp_path / "a/run/1"
    rows = list(io.read_jsonl(folder / "traces.jsonl"))
    heads = [head_name(one.lines[-1]) for one in stored(folder / "traces")]
    assert [row["head"] for row in rows] == heads and len(set(heads)) == 6
    assert rows == list(io.read_jsonl(tmp_path / "b/run/1/traces.jsonl"))
    assert not [path for path in (folder / "traces").iterdir() if path.name in ("secret", "blobs")]
    io.verify(folder)  # the log is covered by the manifest, and no lock is left in it
    words = ["trace", "verify", str(folder / "traces"), "--key", public, "--level", "intact", "--json"]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["levels"]["replayed"]["checked"] == 6
    origin = json.loads(next(iter(stored(folder / "traces"))).lines[-1])["origin"]
    assert origin["task"] == "quiz" and origin["model.weights"] and origin["task.prompt"]
    opened = traces.restore(*_opened(folder / "traces"))
    assert opened.answer == io.trace_from_json(rows[0]["trace"]).answer == "B"


def _opened(folder: Path) -> tuple[list[dict[str, object]], dict[str, tuple[str, object]]]:
    from medxiaohe.traces.exports import read

    return read(next(iter(stored(folder))))


def test_a_trace_that_no_record_can_hold_is_counted_and_its_row_has_no_name(tmp_path: Path) -> None:
    asked = Message("user", ("A question",))
    right = Trace(Prompt("a", (asked,)), (asked, Message("assistant", ("Yes.",))), stop="answered")
    wrong = replace(right, prompt=Prompt("b", (asked,)), claims=(Claim("c", "Yes.", evidence=("nobody",)),))
    rows = [{"task": "t", "trace": io.to_json(one)} for one in (right, wrong, right)]
    sealing = Sealing(tmp_path / "traces", {"t": {"model": "m"}})
    heads = [row["head"] for row in sealing.rows(rows)]
    assert heads[0] == heads[2] != heads[1] == "" and sum(sealing.refused.values()) == 1
    assert "in no tool result" in next(iter(sealing.refused))
    assert len(list(stored(tmp_path / "traces"))) == 2
    other = Sealing(tmp_path / "again", {"t": {"model": "other"}})
    list(other.rows(rows))
    assert other.digest == sealing.digest, "of the rows without the names of their traces"
