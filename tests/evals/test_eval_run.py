"""Evaluation without a recipe: killed anywhere it ends with the same bytes and asks nothing twice; caches,
draws, memory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import engine
import pytest
from test_crash import assert_all_like, kills

from medxiaohe import io
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.evals.running import fingerprints
from medxiaohe.evals.running.settings import Rewriter
from medxiaohe.evals.statistics.measures import majority, pass_at

TASK = """
from medxiaohe.scoring.choice import choice
from medxiaohe.tasks._common import multiple_choice
from medxiaohe.types import Task

def quiz(size: int = 24, padding: int = 0):
    def samples(split):
        for i in range(size):
            words = "fever " * padding
            question, wrong = f"Which number follows {i}? {words}", [str(i + n) for n in (2, 3, 4)]
            about = dict(license="CC0-1.0", study_id=f"s{i // 2}", split=split)
            yield multiple_choice(f"quiz/{split}/{i}", question, str(i + 1), wrong, key=str(i), **about)
    return Task("quiz", samples, (choice,), next(iter(samples("test"))), "CC0-1.0")
"""
BOT = """
import os, re
from pathlib import Path

LOG = Path(os.environ.get("CALLS", "/dev/null"))

def answer(messages):
    text = messages[-1].text
    with open(LOG, "a") as log:
        log.write(re.sub(r"[\\n]", " ", text) + "\\n")
    asked = re.search(r"follows (\\d+)", text)
    n = int(asked[1]) if asked else 0
    letters = re.findall(r"^([A-D])[.] (.*)$", text, re.MULTILINE)
    wanted = str(n + 1) if n % 3 else str(n + 2)
    return next((letter for letter, option in letters if option == wanted), "I cannot tell.")
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "quiz.py").write_text(TASK)
    (tmp_path / "bot.py").write_text(BOT)
    return tmp_path


def settings(place: Path, **more: object) -> RunSettings:
    return RunSettings(
        (TaskRun(f"{place}/quiz.py:quiz"),),
        model=f"{place}/bot.py:answer",
        backend="python",
        batch_size=1,
        **more,
    )  # type: ignore[arg-type]


def command(place: Path, out: object) -> list[str]:
    words = [
        "--model",
        f"{place}/bot.py:answer",
        "--tasks",
        f"{place}/quiz.py:quiz",
        "--limit",
        "9",
        "--batch-size",
        "1",
        "--no-page",
    ]
    return ["eval", "run", *words, "--perturb", "option_shuffle", "--out", str(out)]


@pytest.mark.long
def test_killed_at_any_write_it_ends_with_the_same_bytes(place: Path) -> None:
    assert engine.medxiaohe(*command(place, place / "whole")).returncode == 0
    num = kills(place / "killed", *command(place, "@"))
    assert num > 25
    assert_all_like(place / "killed", place / "whole", num)


def test_what_was_answered_before_a_kill_is_not_asked_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at every seventh durable step, over and over: each kill costs one question at most."""
    log = place / "calls"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "CALLS": str(log)}
    killed = 0
    for _ in range(40):
        words = [sys.executable, "-m", "medxiaohe", *command(place, place / "out")]
        done = subprocess.run(words, env={**env, "CRASH_AT": "7"}, capture_output=True, timeout=120)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr[-500:]
        killed += 1
        if killed > 4:
            env = {key: value for key, value in env.items() if key != "CRASH_AT"}
            assert subprocess.run(words, env=env, capture_output=True, timeout=120).returncode == 0
            break
    assert killed > 3
    asked = Counter(log.read_text().splitlines())
    assert len(asked) == 18 and sum(asked.values()) <= 18 + killed, asked.most_common(3)


def test_sigkill_while_a_model_answers(place: Path) -> None:
    """A real kill -9 from outside, at a moment nobody chose."""
    (place / "slow.py").write_text(
        BOT.replace("def answer(messages):", "def answer(messages):\n    import time; time.sleep(0.05)")
    )
    log, words = place / "calls", command(place, place / "out")
    words[3] = f"{place}/slow.py:answer"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "CALLS": str(log)}
    process = subprocess.Popen(
        [sys.executable, "-m", "medxiaohe", *words],
        env=env,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    for _ in range(600):
        if log.exists() and len(log.read_text().splitlines()) >= 5:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    before = len(log.read_text().splitlines())
    assert 5 <= before < 18
    assert (
        subprocess.run(
            [sys.executable, "-m", "medxiaohe", *words], env=env, capture_output=True, timeout=120
        ).returncode
        == 0
    )
    assert len(log.read_text().splitlines()) <= 19
    words[-1] = str(place / "never_killed")
    assert (
        subprocess.run(
            [sys.executable, "-m", "medxiaohe", *words], env=env, capture_output=True, timeout=120
        ).returncode
        == 0
    )
    resumed, whole = ((place / out / "run/1/results.json").read_bytes() for out in ("out", "never_killed"))
    assert resumed == whole and json.loads(whole)["tasks"]["quiz"]["scores"]["n"] == 9


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for text, kept in (("", ""), ('{"a": 1}\n{"b"', '{"a": 1}\n'), ("x" * 200_000, ""), ("1\n2\n", "1\n2\n")):
        path.write_text(text)
        io.drop_torn_line(path)
        assert path.read_text() == kept


def test_a_cached_model_is_not_asked_again(
    place: Path, tiny_vlm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe.models.backends import transformers

    monkeypatch.setattr("medxiaohe.evals.running.examine.assets.cache_root", lambda: place / "cache")
    asked = RunSettings(
        (TaskRun(f"{place}/quiz.py:quiz", limit=4),), model=str(tiny_vlm), max_new_tokens=4, cache=True
    )
    first = run(asked, place / "a")
    monkeypatch.setattr(transformers.Transformers, "_generate", lambda *_: pytest.fail("asked again"))
    assert run(asked, place / "b") == first
    assert (place / "a/results.json").read_bytes() == (place / "b/results.json").read_bytes()


def test_what_several_draws_are_worth() -> None:
    assert (
        pass_at(4, 1, 1) == pytest.approx(0.25)
        and pass_at(4, 1, 4) == 1.0
        and pass_at(5, 2, 2) == pytest.approx(1 - 3 / 10)
    )
    assert majority([("A", 0.0), ("B", 1.0), ("B", 1.0)]) == 1.0 and majority([("", 0.0), ("", 0.0)]) == 0.0
    assert majority([("A", 0.0), ("B", 1.0)]) == 0.0 and majority([("", None)]) is None


def test_several_draws_of_a_real_model(place: Path, tiny_vlm: Path) -> None:
    task = TaskRun(f"{place}/quiz.py:quiz", limit=5)
    asked = RunSettings((task,), model=str(tiny_vlm), max_new_tokens=4, samples=3, temperature=1.0)
    run(asked, place / "a")
    whole = io.read_json(place / "a/results.json")
    found = whole["tasks"]["quiz"]["samples"]
    assert {"pass@1", "pass@2", "pass@3", "maj@3", "undecided", "k"} == set(found) and whole["seeds"] == [
        0,
        1,
        2,
    ]
    draws = list(io.read_jsonl(place / "a/draws.jsonl"))
    assert len(draws) == 10 and len({row["answer"] for row in draws}) > 5
    assert all(len(row["values"]) == 3 for row in io.read_jsonl(place / "a/traces.jsonl"))
    run(asked, place / "b")
    assert (place / "a/draws.jsonl").read_bytes() == (place / "b/draws.jsonl").read_bytes()


def test_the_most_likely_answer_on_offer(place: Path, tiny_vlm: Path) -> None:
    task = TaskRun(f"{place}/quiz.py:quiz", limit=6)
    found = run(
        RunSettings((task,), model=str(tiny_vlm), mode="rank", confidence=True, calibrate=6), place / "a"
    )
    rows = list(io.read_jsonl(place / "a/traces.jsonl"))
    likely = list(io.read_jsonl(place / "a/likelihoods.jsonl"))
    assert found["quiz"]["unparsed"] == 0 and [row["nats"] for row in rows] == [row["nats"] for row in likely]
    for row in rows:
        assert row["scores"][0]["parsed"] == "ABCD"[row["nats"].index(min(row["nats"]))]
    assert io.read_json(place / "a/results.json")["tasks"]["quiz"]["calibration"]["fitted"]["n"] == 6


def test_a_model_may_rewrite_the_questions(place: Path) -> None:
    (place / "editor.py").write_text(
        "def edit(messages):\n    return messages[-1].text.split('\\n')[-1].replace('Which number follows',"
        " 'After') + ' comes what?'\n"
    )
    rewriter = Rewriter(f"{place}/editor.py:edit", "python")
    run(settings(place, perturb=("paraphrase",), rewriter=rewriter), place / "out")
    asked = [row["sample"]["messages"][0]["parts"][0] for row in io.read_jsonl(place / "out/variants.jsonl")]
    assert len(asked) == 24 and all(
        text.startswith("After ") and "comes what?\n" in text and "D. " in text for text in asked
    )


def test_the_digest_of_large_weights_is_kept_until_they_are_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe.assets import digests

    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "LARGE", 10)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"1" * 100)
    first = digests.sha256(weights)
    assert (
        first == io.sha256(weights) == digests.sha256(weights)
        and len(list((tmp_path / "cache/digests").iterdir())) == 1
    )
    weights.write_bytes(b"2" * 100)
    assert digests.sha256(weights) == io.sha256(weights) != first


def test_fingerprints_follow_content(place: Path) -> None:
    summary = run(settings(place), place / "out")
    whole = io.read_json(place / "out/results.json")
    assert summary["quiz"] == whole["tasks"]["quiz"]["scores"] and summary["quiz"]["clusters"] == 12
    assert whole["tasks"]["quiz"]["scorers"]["choice"] and "time" not in json.dumps(whole)
    before = fingerprints.source(__import__("medxiaohe.scoring.choice", fromlist=["choice"]).choice)
    assert before == whole["tasks"]["quiz"]["scorers"]["choice"]


SCRIPT = """
import resource, sys, time
sys.path.insert(0, "{root}")
from pathlib import Path
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.evals.running.settings import Rewriter
place, size = Path("{place}"), int(sys.argv[1])
start = time.perf_counter()
task = TaskRun(f"{{place}}/quiz.py:quiz", args={{"size": size, "padding": 20}})
run(RunSettings((task,), model=f"{{place}}/bot.py:answer", backend="python"), place / f"out{{size}}")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, (time.perf_counter() - start) / size * 1000)
"""


@pytest.mark.long
@pytest.mark.slow
def test_memory_is_flat(place: Path) -> None:
    """Twenty times the items, a few MiB more: what is kept of an item is its value and its cluster."""
    script = SCRIPT.format(root=Path(__file__).parent.parent.parent, place=place)
    found = {}
    for size in (1_000, 20_000):
        done = subprocess.run(
            [sys.executable, "-c", script, str(size)], capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr[-800:]
        found[size] = float(done.stdout.split()[0])
    assert found[20_000] - found[1_000] < 25, found
