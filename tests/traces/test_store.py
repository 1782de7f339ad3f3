"""The log survives kills and names what is wrong with a folder in one sentence."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import engine
import pytest
from trace_bundles import bundle, trace

from medxiaohe import cli, traces
from medxiaohe.errors import DataError
from medxiaohe.traces.canonical import dumps
from medxiaohe.traces.store import Stored, stored
from medxiaohe.types import Claim, Evidence, Message, Prompt, Ruling, Step, ToolResult, Trace

DRIVER = Path(__file__).with_name("trace_append.py")
ALONE = Path(__file__).parent.parent.parent / "examples" / "verify_trace.py"
SECRET = bytes(16)


def small(text: str = "Yes.", id: str = "p") -> Trace:
    asked = Message("user", ("A question",))
    return Trace(Prompt(id, (asked,)), (asked, Message("assistant", (text,))), stop="answered")


def files(folder: Path) -> dict[str, bytes]:
    """Contents of a folder, without the secret and locks."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not re.search(r"secret$|\.lock$|\.draft$", name)}


def test_a_kill_at_any_durable_step_loses_no_trace_whose_append_returned(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    subprocess.run([sys.executable, DRIVER, whole], check=True, capture_output=True)
    step, killed = 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step)
        done = subprocess.run(
            [sys.executable, DRIVER, folder], env={**os.environ, "CRASH_AT": str(step)}, capture_output=True
        )
        killed = done.returncode == -signal.SIGKILL
        if killed and (folder / "checkpoint").exists():
            written = 2 * len(done.stdout.split())
            heads = [dumps(json.loads(one.lines[-1])) for one in _whole_traces(folder)]
            assert len(heads) >= min(written, 5)
        log = traces.Log(folder)
        log.append([])  # whoever opens it next cuts off what no checkpoint covers
        verdict = traces.verify(folder)
        assert verdict.problems == [] and verdict.traces in (0, 2, 4, 5)
        names = files(whole)["log.jsonl"]
        assert names.startswith(files(folder)["log.jsonl"])
    assert step > 12 and files(folder) == files(whole)


def _whole_traces(folder: Path) -> list[Stored]:
    found = []
    try:
        for one in stored(folder):
            found.append(one)
    except DataError:
        pass
    return found


def test_equal_runs_have_equal_heads_and_lines_hold_no_words(tmp_path: Path) -> None:
    made, _ = trace(tmp_path, 0)
    one, two = (traces.seal(made, SECRET, digests={"model": "ab"}) for _ in range(2))
    assert one == two and traces.seal(made, bytes(15) + b"1").head != one.head
    text = b"".join(one.lines).decode()
    assert "Question" not in text and "white cell" not in text and "weight" not in text and ".png" not in text


@pytest.mark.parametrize("seed", range(7))
def test_a_trace_comes_back_as_it_was_but_for_the_names_of_its_images(tmp_path: Path, seed: int) -> None:
    made, _ = trace(tmp_path, seed)
    sealed = traces.seal(made, SECRET)
    records = [json.loads(line) for line in sealed.lines]
    assert traces.restore(records, sealed.openings) == traces.by_digest(made)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rulings": (Ruling("c9", "unjudged"),)}, "which the trace does not have"),
        ({"claims": (Claim("c", "x", evidence=("e",)),)}, "in no tool result"),
        ({"claims": (Claim("c", "x"),), "rulings": (Ruling("c", "supported"),)}, "by no evidence"),
        ({"messages": (Message("assistant", ("\ud800",)),)}, "half of a surrogate pair"),
        ({"steps": (Step(0, "note", "n", given={"a": float("nan")}),)}, "not a finite number"),
    ],
)
def test_what_cannot_be_recorded_is_one_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        traces.seal(replace(small(), **change), SECRET)  # type: ignore[arg-type]


def test_a_source_without_its_file_is_not_checked_and_never_green(tmp_path: Path) -> None:
    found = Evidence("e", "the words", "a book", sha256="ab" * 32)
    made = replace(small(), steps=(Step(0, "note", "n", got=ToolResult("", (), (found,))),))
    log = traces.Log(tmp_path / "t")
    log.append([traces.seal(made, log.secret)])
    verdict = traces.verify(tmp_path / "t")
    assert verdict.problems == [] and verdict.state("resolved") == "not checked"
    assert verdict.state("replayed") == "not checked"
    assert cli.main(["trace", "verify", str(tmp_path / "t")]) == 0
    assert cli.main(["trace", "verify", str(tmp_path / "t"), "--level", "resolved"]) == 1


def _cut(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-20])


def _two_heads(log: Path) -> None:
    log.write_bytes(log.read_bytes() + log.read_bytes().splitlines(keepends=True)[-1])


def _climbs(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"sha256":"', b'"sha256":"../../', 1))


def _other_version(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b"medxiaohe/trace/1", b"medxiaohe/trace/9"))


def _million(log: Path) -> None:
    line = log.read_bytes().splitlines(keepends=True)[0]
    log.write_bytes(line * 1_000_000)


def _missing_blob(log: Path) -> None:
    shutil.rmtree(log.parent / "blobs")
    (log.parent / "blobs").mkdir()


@pytest.mark.parametrize("damage", [_cut, _two_heads, _climbs, _other_version, _million, _missing_blob])
def test_bad_folders_are_one_sentence_and_exit_1(
    tmp_path: Path, damage: object, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("PIL")
    folder = bundle(tmp_path / "t", [0])
    damage(folder / "log.jsonl")  # type: ignore[operator]
    assert cli.main(["trace", "verify", str(folder), "--level", "resolved", "--no-replay"]) == 1
    said = capsys.readouterr().out
    assert "bad: " in said or "not all of the level" in said
    if damage is not _million:  # by the stand-alone verifier in the test below
        problems, counts = runpy.run_path(str(ALONE))["verify"](folder)
        ours = traces.verify(folder)
        assert [row[:2] for row in problems[:1]] == [(one.trace, one.record) for one in ours.problems[:1]]
        assert counts["checked"] == ours.levels["resolved"].checked or problems
    if damage in (_cut, _other_version, _million):
        with pytest.raises(DataError, match="not the one that its checkpoint covers"):
            traces.Log(folder).append([])


def test_a_million_records_without_a_head_take_little_memory(tmp_path: Path) -> None:
    """By the package and by the stand-alone verifier, each in a process of its own."""
    folder = bundle(tmp_path / "t", [3])
    _million(folder / "log.jsonl")
    for words in (["-m", "medxiaohe", "trace", "verify", str(folder), "--no-replay"], [ALONE, folder]):
        done, peak = engine.peak_mib(*words)
        assert done.returncode == 1 and "bad: " in done.stdout, done.stderr
        assert peak < 300, "MiB"


def test_a_folder_without_traces_is_wrong_use(tmp_path: Path) -> None:
    for verb in (["show"], ["verify"], ["redact", "--out", str(tmp_path / "o")], ["export", "--to", "otel"]):
        assert cli.main(["trace", verb[0], str(tmp_path), *verb[1:]]) == 2


def test_show_prints_open_and_closed_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bundle(tmp_path / "t", [0])
    assert cli.main(["trace", "redact", str(folder), "--keep", "claim", "--out", str(tmp_path / "r")]) == 0
    assert cli.main(["trace", "show", str(tmp_path / "r"), "0"]) == 0
    said = capsys.readouterr().out
    assert "(closed)" in said and "The index" in said
    assert cli.main(["trace", "redact", str(folder), "--keep", "claims", "--out", str(tmp_path / "s")]) == 2


def test_traces_of_several_calls_are_one_log(tmp_path: Path) -> None:
    from medxiaohe.cli.trace import write

    write([small()], tmp_path / "t", digests={"model": "starter"})
    write([small("No.", "q")], tmp_path / "t")
    (one, two) = stored(tmp_path / "t")
    assert json.loads(one.lines[-1])["origin"] == {"model": "starter"} and two.index == 1
