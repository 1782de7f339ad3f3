"""The workflow and its tools as arguments of an evaluation and of `ask`: what results record, what is
refused, and that a kill asks nothing twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from test_eval_run import TASK

from medxiaohe import io, plugins
from medxiaohe.agents.engine import replay
from medxiaohe.cli import main

PANEL = """
import os, time
from pathlib import Path
from medxiaohe.agents.engine import Answer, Ask, Case, Note, Use, workflow
from medxiaohe.errors import ServerGone
from medxiaohe.tools import tool
from dataclasses import replace
from medxiaohe.types import Message

LOG = Path(os.environ.get("CALLS", "/dev/null"))

def log(line):
    with open(LOG, "a") as file:
        file.write(line + "\\n")

@tool
def look(word: str) -> str:
    "Look a word up."
    log("look " + word)
    return word.upper()

look = replace(look, pure=False)

@workflow(roles=("critic",))
def panel(case: Case, rounds: int = 1):
    talk = list(case.prompt.messages)
    for n in range(rounds):
        first, critic = yield [Ask("", talk), Ask("critic", [*talk, Message("user", (f"critic {n}",))])]
        found = yield Use("look", {"word": f"{case.prompt.id} {n}"})
        yield Note("views", [first.text, critic.text])
        talk += [first, Message("user", found.parts)]
    last = yield Ask("", talk)
    return Answer(messages=[*talk, last])

def answer(messages):
    log(" ".join(" ".join(message.text.split()) for message in messages))
    time.sleep(float(os.environ.get("WAIT", "0")))
    if "STOP" in os.environ and len(LOG.read_text().splitlines()) >= 14:
        drops = os.environ["STOP"] == "drops"
        raise ServerGone("the server closed the connection") if drops else KeyboardInterrupt
    return "ABCD"[len(messages) % 4]

def plain(prompts, model, tools=()):
    return panel(prompts, model, (look,))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "quiz.py").write_text(TASK)
    (tmp_path / "mine.py").write_text(PANEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(out: str, *more: str) -> list[str]:
    asked = ["--model", "mine.py:answer", "--tasks", "quiz.py:quiz", "--limit", "6", "--batch-size", "1"]
    flow = ["--workflow", "mine.py:panel", "--tools", "mine.py:look", "--no-page", "--out", out]
    return ["eval", "run", *asked, *flow, *more]


def test_the_workflow_and_its_tools_are_arguments_and_results_record_them(place: Path) -> None:
    assert main(words("out", "--set", "workflow.rounds=2", "--set", "workflow.budget.asks=50")) == 0
    task = io.read_json(place / "out/run/1/results.json")["tasks"]["quiz"]
    assert task["workflow"] == "mine.py:panel" and task["tools"] == ["mine.py:look"]
    assert task["workflow_settings"] == {"rounds": 2, "budget": {"asks": 50}}
    for row in io.read_jsonl(place / "out/run/1/traces.jsonl"):
        trace = io.trace_from_json(row["trace"])
        kinds = Counter(step.kind for step in trace.steps)
        assert kinds == {"ask": 5, "use": 2, "note": 2} and trace.stop == "answered"
        assert [s.who for s in trace.steps if s.kind == "ask"] == ["", "critic", "", "critic", ""]
        assert trace.origin["workflow"] == "panel" and trace.origin["tools"] == "look@1"
        again = replay(trace, plugins.load("workflows", "mine.py:panel"))
        assert io.encoded(again) == io.encoded(trace)
    assert main(["eval", "reproduce", "out"]) == 0


def test_a_recipe_may_name_the_workflow(place: Path) -> None:
    (place / "recipe.yaml").write_text(
        "name: talks\nout: out\nstages:\n  exam:\n    uses: evals.run\n    with:\n"
        "      model: mine.py:answer\n      backend: python\n"
        "      tasks: [{name: 'quiz.py:quiz', limit: 3}]\n"
        "      workflow: {name: 'mine.py:panel', rounds: 3}\n      tools: ['mine.py:look']\n"
    )
    assert main(["run", "recipe.yaml"]) == 0
    task = io.read_json(place / "out/exam/1/results.json")["tasks"]["quiz"]
    assert task["workflow"] == "mine.py:panel" and task["workflow_settings"] == {"rounds": 3}
    assert main(["run", "recipe.yaml", "--set", "exam.workflow.round=2"]) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--set", "workflow.round=2"), "workflow panel.round: unknown setting; did you mean 'rounds'"),
        (("--set", "workflow.rounds=two"), "rounds: must be a whole number, not 'two'"),
        (("--set", "workflow.budget.asks=0"), "the budget of asks must be above 0, not 0"),
        (("--set", "workflow.budget.ask=9"), "unknown setting; did you mean 'asks'"),
        (("--workflow", "anser"), "no workflows named 'anser'; did you mean 'answer'"),
        (("--workflow", "mine.py:plain", "--set", "workflow.rounds=2"), "leave out 'rounds'"),
        (("--tools", "serch"), "no tools named 'serch'; did you mean 'search'"),
        (("--tools", "search"), "the tool search needs a library"),
        (("--rank",), "mode rank asks no workflow"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    assert main(words("out", *more)) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err


def test_a_budget_ends_a_case_and_the_run_goes_on(place: Path) -> None:
    assert main(words("out", "--set", "workflow.rounds=5", "--set", "workflow.budget.asks=4")) == 0
    traces = [io.trace_from_json(row["trace"]) for row in io.read_jsonl(place / "out/run/1/traces.jsonl")]
    assert len(traces) == 6 and {trace.stop for trace in traces} == {"budget"}
    assert all("4 asks" in trace.error and trace.answer == "" for trace in traces)


def test_a_workflow_of_the_outer_shape_still_works(place: Path) -> None:
    assert main(words("out", "--workflow", "mine.py:plain")) == 0
    rows = list(io.read_jsonl(place / "out/run/1/traces.jsonl"))
    assert len(rows) == 6 and all(row["trace"]["steps"] for row in rows)


def test_killed_by_minus_nine_it_asks_nothing_twice_not_even_its_tools(place: Path) -> None:
    """SIGKILL from outside, at moments nobody chose: each costs one request at most."""
    log, command = place / "calls", [sys.executable, "-m", "medxiaohe", *words("killed")]
    root = str(Path(__file__).parent.parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "CALLS": str(log), "WAIT": "0.05"}
    kills = 0
    for more in (4, 11):
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(1200):
            if process.poll() is not None or (log.exists() and len(log.read_text().splitlines()) >= more):
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 2
    assert subprocess.run(command, env=env, capture_output=True, timeout=120).returncode == 0
    asked = Counter(log.read_text().splitlines())
    assert len(asked) == 6 * 4 and sum(asked.values()) <= 6 * 4 + kills, asked.most_common(3)
    assert sum(number for line, number in asked.items() if line.startswith("look")) >= 6
    env.pop("CALLS")
    whole = [sys.executable, "-m", "medxiaohe", *words("whole")]
    assert subprocess.run(whole, env={**env, "WAIT": "0"}, capture_output=True, timeout=120).returncode == 0
    killed, never = (place / name / "run/1/traces.jsonl" for name in ("killed", "whole"))
    assert killed.read_bytes() == never.read_bytes()


@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [("drops", 3, "the server closed the connection"), ("ctrl-c", 130, "continues where it stopped")],
)
def test_a_server_that_drops_and_ctrl_c_are_a_sentence_and_what_was_answered_stays(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setenv("CALLS", str(place / "calls"))
    monkeypatch.setenv("STOP", stop)
    assert main(words("out")) == code
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and not (place / "out/run/1").exists()
    monkeypatch.delenv("STOP")
    assert main(words("out")) == 0
    asked = Counter((place / "calls").read_text().splitlines())
    assert len(asked) == 6 * 4 and sum(asked.values()) == 6 * 4 + 1  # the request that got no answer


def test_an_image_that_is_not_there_is_a_sentence_that_names_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", "mine.py:answer", "--backend", "python", "--workflow", "observe"]
    assert main(["ask", "What is seen?", "--image", "gone.png", *model]) in (2, 3)
    err = capsys.readouterr().err
    assert "gone.png" in err and "Traceback" not in err and len(err.strip().splitlines()) == 1


def test_ask_takes_a_workflow_and_tools(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow = ["--workflow", "mine.py:panel", "--tools", "mine.py:look", "--set", "workflow.rounds=2"]
    common = ["ask", "Why?", "--model", "mine.py:answer", "--backend", "python"]
    assert main([*common, *flow, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    trace = io.trace_from_json(told["trace"])
    assert "not for clinical use" in told["statement"] and trace.origin["statement"] == told["statement"]
    assert told["answer"] == trace.answer == "B" and told["workflow"] == "mine.py:panel"
    assert sum(step.kind == "use" for step in trace.steps) == 2
    assert main(common) == 0 and capsys.readouterr().out == "B\n"
    assert main([*common, *flow, "--set", "workflow.budget.asks=2"]) == 3
    assert "no answer within the budget of 2 asks" in capsys.readouterr().err
    passages = place / "passages.jsonl"
    io.write_jsonl(passages, [{"id": "1", "text": "Scurvy is a lack of vitamin C.", "source": "made up"}])
    assert main([*common, "--tools", "search", "--library", str(passages)]) == 0
    assert main([*common, "--tools", "search"]) == 2 and "needs a library" in capsys.readouterr().err


CRITIC = """
def critic(messages):
    return "CRITIC " + messages[0].text.split()[0]
"""


def test_a_role_has_a_model_of_its_own_from_the_command_line_and_from_a_recipe(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "other.py").write_text(CRITIC)
    assert main(words("out", "--model", "critic=other.py:critic")) == 0
    whole = io.read_json(place / "out/run/1/results.json")
    assert whole["model"]["name"] == "mine.py:answer"
    assert whole["model"]["cast"]["critic"]["name"] == "other.py:critic"
    for row in io.read_jsonl(place / "out/run/1/traces.jsonl"):
        for step in io.trace_from_json(row["trace"]).steps:
            if step.kind == "ask":
                assert step.got.text.startswith("CRITIC") == (step.who == "critic")
    assert main(["eval", "reproduce", "out"]) == 0
    (place / "recipe.yaml").write_text(
        "name: talks\nout: out2\nstages:\n  exam:\n    uses: evals.run\n    with:\n"
        "      model: mine.py:answer\n      backend: python\n"
        "      cast: {critic: {model: 'other.py:critic', backend: python}}\n"
        "      tasks: [{name: 'quiz.py:quiz', limit: 6}]\n      batch_size: 1\n"
        "      workflow: {name: 'mine.py:panel'}\n      tools: ['mine.py:look']\n"
    )
    assert main(["run", "recipe.yaml"]) == 0
    traces = [place / name / "1/traces.jsonl" for name in ("out/run", "out2/exam")]
    assert traces[0].read_bytes() == traces[1].read_bytes()
    (place / "other.py").write_text(CRITIC.replace("CRITIC", "ANOTHER"))
    assert main(["eval", "reproduce", "out"]) == 2
    assert "the model of the role critic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--model", "critc=other.py:critic"), "has no role 'critc'; did you mean 'critic'"),
        (("--model", "critic=a", "--model", "critic=b"), "critic is given twice"),
        (("--model", "other.py:critic"), "the one without a name is given twice"),
        (("--workflow", "mine.py:plain", "--model", "critic=a"), "a function without roles"),
        (("--workflow", "cot", "--model", "critic=other.py:critic"), "it has the default role alone"),
        (("--model", "critic=http://localhost:1/v1"), "the server has several models"),
    ],
)
def test_a_role_that_is_not_there_is_a_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    (place / "other.py").write_text(CRITIC)
    assert main(words("out", *more)) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and not (place / "out/run/1").exists()
    base = ["ask", "Why?", "--backend", "python", "--workflow", "mine.py:panel", "--tools", "mine.py:look"]
    assert main([*base, "--model", "critic=other.py:critic"]) == 2
    assert "no model for the default role" in capsys.readouterr().err


def test_replaced_prompts_belong_to_what_a_result_depends_on(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "mine").mkdir()
    (place / "mine/cot.txt").write_text("Think. Then answer.")
    asked = ["eval", "run", "--model", "mine.py:answer", "--tasks", "quiz.py:quiz", "--limit", "2"]
    asked += ["--workflow", "cot", "--set", "workflow.prompts=mine", "--no-page", "--out", "out"]
    assert main(asked) == 0 and main(asked) == 0
    (place / "mine/cot.txt").write_text("Think twice. Then answer.")
    assert main(asked) == 2
    assert "mine/cot.txt" in capsys.readouterr().err
    shipped = io.code.dependencies("medxiaohe.agents.cot")
    assert "agents/prompts/cot.txt" in shipped and "agents/prompts/panel_vote.txt" in shipped
