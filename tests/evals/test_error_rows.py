"""An evaluation against a server that misbehaves: items it fails on are error rows, counted and never
averaged, and no answer is paid for twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rude_for_tests import Rude, started

from medxiaohe import io
from medxiaohe.errors import DataError, ModelError, ServerGone
from medxiaohe.evals.compare import CompareSettings, compare
from medxiaohe.evals.reporting.table import cautions, markdown
from medxiaohe.evals.run import RunSettings, TaskRun, run

TASK = """
from medxiaohe.scoring.exact import exact
from medxiaohe.types import Message, Sample, Task

def rude(size: int = 40, bad: str = "long!,cut,garbage!,busy,reset!,none", share: int = 4, wait: int = 0):
    kinds = bad.split(",")
    def samples(split):
        for i in range(size):
            kind = kinds[i // share % len(kinds)] if i % share == 1 % share else "good"
            asked = Message("user", (f"item {i} {kind} {wait}",))
            about = dict(license="CC0-1.0", study_id=f"s{i}", split=split)
            yield Sample(f"rude/{i}", (asked,), target=f"{i} is good", **about)
    return Task("rude", samples, (exact,), next(iter(samples("test"))), "CC0-1.0")

def slow():
    return rude(120, "long!,good,good,good,good,good", 4, 20)
"""


@pytest.fixture
def server() -> Iterator[Rude]:
    with started() as one:
        yield one


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "rude.py").write_text(TASK)
    return tmp_path


def settings(place: Path, url: str, cache: bool = False, **args: object) -> RunSettings:
    options = {"url": url, "workers": 4, "retries": 1, "first_wait": 0.01, "timeout": 5.0}
    task = TaskRun(f"{place}/rude.py:rude", args=dict(args))
    return RunSettings((task,), model="m", backend="openai_compatible", options=options, cache=cache)


def test_items_that_a_server_fails_on_are_error_rows_and_the_others_count(place: Path, server: Rude) -> None:
    summary = run(settings(place, server.url), place / "out")
    rows = {row["sample"]["id"]: row for row in io.read_jsonl(place / "out/traces.jsonl")}
    lost = {id: row for id, row in rows.items() if row["scores"][0]["status"] == "error"}
    assert len(rows) == 40 and sorted(lost) == ["rude/1", "rude/17", "rude/25", "rude/33", "rude/9"]
    for row in lost.values():
        assert row["scores"][0]["value"] is None and row["trace"]["stop"] == "failed"
        assert "the model server 127.0.0.1" in row["trace"]["error"] == row["scores"][0]["why"]
        assert [message["role"] for message in row["trace"]["messages"]] == ["user"]
    assert "answered 400" in lost["rude/1"]["trace"]["error"]
    assert "not a chat completion" in lost["rude/9"]["trace"]["error"]
    assert "broke off its answer" in lost["rude/17"]["trace"]["error"]
    scores = summary["rude"]
    assert (scores["n"], scores["mean"], scores["errors"], scores["unjudged"]) == (35, 1.0, 5, 0)
    whole = io.read_json(place / "out/results.json")
    assert [error["id"] for error in whole["tasks"]["rude"]["errors"]] == [
        f"rude/{i}" for i in (1, 9, 17, 25, 33)
    ]
    (caution,) = cautions(whole["tasks"])
    assert caution.startswith(
        "rude: 5 of 40 items have no answer and are left out of every mean, such as rude/1"
    )
    assert caution in markdown(whole)
    good = {item: answers for item, (_, answers) in server.seen().items()}
    assert sum(good.values()) == 35 and set(good.values()) == {0, 1}


def test_a_pass_over_few_items_that_all_fail_is_no_end_of_the_run(place: Path, server: Rude) -> None:
    asked = replace(settings(place, server.url), perturb=("typo",))  # changes the words that the server knows
    run(asked, place / "out")
    rows = list(io.read_jsonl(place / "out/variants.jsonl"))
    assert rows and {row["scores"][0]["status"] for row in rows} == {"error"}
    assert io.read_json(place / "out/results.json")["tasks"]["rude"]["scores"]["n"] == 35


def test_items_without_an_answer_are_compared_with_nothing(place: Path, server: Rude) -> None:
    run(settings(place, server.url), place / "a")
    with started(calm=True) as calm:
        run(settings(place, calm.url), place / "b")
    found = compare(CompareSettings(), place / "c", a=place / "a", b=place / "b")
    (row,) = found["paired"]
    assert (row["n"], row["unpaired"], row["difference"]) == (35, 5, 0.0)
    assert [stage.get("errors", 0) for stage in found["tasks"]["rude"]] == [5, 0]


def test_a_clean_run_says_nothing_of_errors(place: Path, server: Rude) -> None:
    summary = run(settings(place, server.url, bad="good"), place / "out")
    assert summary["rude"]["mean"] == 1.0 and "errors" not in summary["rude"]
    assert "errors" not in io.read_json(place / "out/results.json")["tasks"]["rude"]


def test_a_cache_keeps_good_answers_only(place: Path, server: Rude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(place / "cache"))
    for out in ("a", "b"):
        summary = run(settings(place, server.url, cache=True), place / out)
        assert (summary["rude"]["n"], summary["rude"]["errors"]) == (35, 5)
    seen = server.seen()
    assert sum(answers for _, answers in seen.values()) == 35
    assert seen["1"] == [2, 0] and seen["0"] == [1, 1]


def test_a_server_that_answers_nothing_ends_the_run_in_a_sentence(place: Path, server: Rude) -> None:
    with pytest.raises(ModelError, match="answered 400: the model may not take images or tools"):
        run(settings(place, server.url, bad="long!", share=1, size=10), place / "out")


def test_a_server_that_goes_away_ends_the_run_and_it_goes_on_where_it_stopped(place: Path) -> None:
    out = place / ".1.draft"
    out.mkdir()
    with started() as first:
        asked = settings(place, first.url, size=100, bad="good,good,good,gone", share=12)  # at 37
        with pytest.raises(ServerGone, match="could not be reached, 2 times"):
            run(asked, out)
    with started(first.port, calm=True) as second:
        summary = run(asked, out)["rude"]
        assert (summary["n"], summary["mean"]) == (100, 1.0) and "errors" not in summary
        seen = second.seen()
        assert not set(seen) & {str(i) for i in range(32)}, "the first window of items was finished"
        assert set(seen.values().__iter__().__next__()) == {1} and second.good == len(seen)


def test_kill_9_of_an_evaluation_repeats_nothing_that_was_answered(place: Path, server: Rude) -> None:
    words = [sys.executable, "-m", "medxiaohe", "eval", "run", "--model", f"{server.url}#m", "--no-cache"]
    words += ["--tasks", f"{place}/rude.py:slow", "--out", str(place / "out"), "--no-page"]
    words += ["--concurrency", "4"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    kills = 0
    for enough in (10, 50, 80):
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and server.good < enough:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    assert "5 of 120 items have no answer" in done.stdout
    assert 115 <= server.good <= 115 + 4 * kills, "at a kill, at most one for each worker was under way"


def test_data_that_is_not_here_is_named_before_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDXIAOHE_DATA", raising=False)
    loaded: list[object] = []
    monkeypatch.setattr("medxiaohe.evals.run.load_model", lambda *args: loaded.append(args))
    with pytest.raises(DataError, match="MEDXIAOHE_DATA"):
        run(RunSettings((TaskRun("medqa"),), model="starter"), tmp_path / "out")
    assert not loaded
