"""`medxiaohe eval run`, `compare` and `reproduce` as a user types them, on a scripted model and on a real
server."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import engine
import pytest
from test_eval_run import BOT, TASK

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.errors import ConfigError
from medxiaohe.evals.reporting import reproduce
from medxiaohe.evals.reporting.results import read


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "quiz.py").write_text(TASK)
    (tmp_path / "bot.py").write_text(BOT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(*more: str, bot: str = "bot.py:answer", out: str = "out") -> int:
    return main(
        ["eval", "run", "--model", bot, "--tasks", "quiz.py:quiz", "--limit", "12", "--out", out, *more]
    )


def test_one_command_leaves_results_a_table_and_a_page(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        evaluate("--baselines", "--perturb", "option_shuffle,none_of_above", "--compat", "mirage", "--json")
        == 0
    )
    whole = json.loads(capsys.readouterr().out)
    task = whole["tasks"]["quiz"]
    assert (
        task["scores"]["n"] == 12
        and task["baselines"]["random"]["mean"] == 0.25
        and task["baselines"]["blind"] is None
    )
    assert (
        set(task["perturb"]["perturbations"]) == {"option_shuffle", "none_of_above"}
        and task["compat"]["mirage"]["n"] == 12
    )
    assert task["perturb"]["perturbations"]["option_shuffle"]["flips"]["mean"] == 0.0, (
        "the bot reads the options"
    )
    assert (place / "out/run/1/results.md").read_text().startswith("# bot.py:answer")
    assert "not for clinical use" in (place / "out/page/1/index.html").read_text()
    assert evaluate("--baselines", "--perturb", "option_shuffle,none_of_above", "--compat", "mirage") == 0
    said = capsys.readouterr()
    assert "done     run@1" in said.err and "results  out/run/1/results.json" in said.out


def test_another_model_in_the_same_folder_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--no-page") == 0
    (place / "other.py").write_text(BOT)
    assert evaluate("--no-page", bot="other.py:answer") == 2
    assert "settings.model" in capsys.readouterr().err


def test_results_are_compared_pairwise(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "better.py").write_text(BOT.replace("if n % 3 else", "if True else"))
    assert evaluate("--no-page", out="a") == 0 and evaluate("--no-page", bot="better.py:answer", out="b") == 0
    capsys.readouterr()
    assert main(["eval", "compare", "a", "b/run/1/results.json", "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["paired"]
    assert (
        pair["difference"] == pytest.approx(1 / 3)
        and pair["n"] == 12
        and pair["p_holm"] < 0.3
        and pair["minimum_detectable"] > 0
    )
    assert main(["eval", "compare", "a", "b"]) == 0 and "minimum detectable" in capsys.readouterr().out
    assert main(["eval", "compare", "a"]) == 2


def test_the_same_numbers_come_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--no-page", "--perturb", "typo") == 0
    assert main(["eval", "reproduce", "out/run/1/results.json"]) == 0
    assert "identical" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("the dataset of quiz", lambda text: text.replace("str(i + 1), wrong", "str(i + 9), wrong")),
        ("the prompt of quiz", lambda text: text.replace("Which number follows", "What number comes after")),
        (
            "a parser or scorer of quiz",
            lambda text: text.replace("(choice,)", "(mine,)").replace(
                "def quiz", "def mine(s, t):\n    return choice(s, t)\n\ndef quiz"
            ),
        ),
    ],
)
def test_what_changed_is_refused_by_name(
    place: Path, what: str, change, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluate("--no-page") == 0
    file, whole = read(Path("out"))
    changed = place / "changed.py"
    changed.write_text(change(TASK))
    settings = {
        **whole["settings"],
        "tasks": [{**whole["settings"]["tasks"][0], "name": "changed.py:quiz", "label": "quiz"}],
    }
    with pytest.raises(ConfigError, match=what):
        reproduce.check(file, {**whole, "settings": settings})


def test_a_changed_model_or_input_is_refused(place: Path) -> None:
    assert evaluate("--no-page") == 0
    file, whole = read(Path("out"))
    (place / "bot.py").write_text(BOT + "\n# another\n")
    with pytest.raises(ConfigError, match="other weights"):
        reproduce.check(file, whole)
    with pytest.raises(ConfigError, match="no longer exists"):
        reproduce.check(file, {**whole, "inputs": {"tree": {"folder": "../nowhere", "manifest": "x"}}})


def test_a_number_that_differs_is_told() -> None:
    before = {"tasks": {"a": {"scores": {"mean": 0.5}}}, "perplexity": {}, "traces": "1"}
    after = {"tasks": {"a": {"scores": {"mean": 0.25}}}, "perplexity": {}, "traces": "2"}
    assert [line.split(":")[0] for line in reproduce.differences(before, after)] == [
        "a.scores.mean",
        "traces",
    ]
    assert list(reproduce.differences(before, before)) == []


def test_scores_by_node_and_the_weak_ones(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(place / "cache"))
    rows = [("E:0", "disease", ()), ("E:1", "fever", ("E:0",)), ("E:2", "rash", ("E:0",))]
    with io.publish(place / "tree") as draft:
        io.write_jsonl(
            draft / "entities.jsonl",
            [{"id": i, "name": n, "kind": "disease", "parents": p} for i, n, p in rows],
        )
    with io.publish(place / "corpus") as draft:
        io.write_json(draft / "coverage.json", {"E:1": 7, "E:2": 0})
    (place / "quiz.py").write_text(TASK.replace("padding: int = 0", "padding: int = 1"))
    assert evaluate("--no-page", "--tree", "tree", "--coverage", "corpus", "--weak-nodes", "weak.json") == 0
    found = io.read_json(place / "weak.json")
    assert {row["node"]: (row["n"], row["training_mentions"]) for row in found["nodes"]} == {
        "E:0": (12, 7),
        "E:1": (12, 7),
    }
    assert (
        "by chance" in found["warning"]
        and found["nodes"][0]["low"] < found["nodes"][0]["mean"] < found["nodes"][0]["high"]
    )
    sliced = io.read_json(place / "out/run/1/slices.json")
    assert set(sliced["tasks"]["quiz"]["rarity"]) == {"head"} and sliced["all"]["kinds"]["disease"]["n"] == 12
    if importlib.util.find_spec("numba"):
        assert len(list((place / "cache/indexes").glob("*.index"))) == 1, (
            "the names of a tree are indexed once for all runs"
        )
    assert evaluate("--weak-nodes", "weak.json", out="b") == 2 and "--tree" in capsys.readouterr().err


def test_a_log_for_inspect(place: Path) -> None:
    assert evaluate("--no-page", "--inspect", "log.json") == 0
    log = io.read_json(place / "log.json")
    assert (
        log["version"] == 2
        and log["status"] == "success"
        and log["results"]["scores"][0]["metrics"]["mean"]["value"] == pytest.approx(2 / 3)
    )
    first = log["samples"][0]
    assert (
        first["target"]
        and first["scores"]["choice"]["answer"]
        and first["messages"][-1]["role"] == "assistant"
    )
    inspect_ai = pytest.importorskip("inspect_ai.log")
    assert len(inspect_ai.read_eval_log(str(place / "log.json")).samples) == 12


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--model", "bot.py:answer", "--tasks", "quiz.py"], "write quiz.py:NAME"),
        (["--model", "bot.py:answer", "--tasks", "quizz*"], "no such task"),
        (["--model", "bot.py:answer", "--tasks", "mesh_topik"], "did you mean 'mesh_topic'"),
        (["--model", "http://127.0.0.1:1/v1", "--tasks", "quiz.py:quiz"], "--name"),
        (["--model", "bot.py:answer", "--tasks", "quiz.py:quiz", "--k", "4"], "temperature"),
        (
            ["--model", "bot.py:answer", "--tasks", "quiz.py:quiz", "--perturb", "typos"],
            "did you mean 'typo'",
        ),
        (["--model", "bot.py:answer", "--tasks", "quiz.py:quiz", "--rank"], "no likelihoods"),
        (
            ["--model", "bot.py:answer", "--tasks", "quiz.py:quiz", "--compat", "mirrage"],
            "did you mean 'mirage'",
        ),
        (["--model", "bot.py:nothing", "--tasks", "quiz.py:quiz"], "has no 'nothing'"),
        ([], "--model and --tasks"),
    ],
)
def test_wrong_use_is_one_sentence(
    place: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "run", *words, *(["--out", "x"] if words else [])]) == 2
    assert problem in capsys.readouterr().err


SERVER = """
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert request["model"] == "bot"
        time.sleep(0.05)
        body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "A"}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def server() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline()), process
    process.kill()


def test_a_model_behind_a_url_is_asked_once(place: Path, server: tuple[int, subprocess.Popen[str]]) -> None:
    port, process = server
    words = [
        "eval",
        "run",
        "--model",
        f"http://127.0.0.1:{port}/v1#bot",
        "--tasks",
        "quiz.py:quiz",
        "--concurrency",
        "20",
        "--no-page",
        "--out",
    ]
    env = {"MEDXIAOHE_CACHE": str(place / "cache")}
    done = engine.medxiaohe(*words, place / "a", **env)
    assert done.returncode == 0, done.stderr
    process.kill()
    process.wait()
    done = engine.medxiaohe(*words, place / "b", **env)
    assert done.returncode == 0, "every reply was kept"
    assert (place / "a/run/1/traces.jsonl").read_bytes() == (place / "b/run/1/traces.jsonl").read_bytes()


def test_data_that_is_not_what_a_task_was_written_with_is_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--no-page", "--limit", "24", out="a") == 0
    found = read(Path("a"))[1]["tasks"]["quiz"]
    assert found["fingerprint"] and not found["data_changed"], (
        "a task without a fingerprint is given one to keep"
    )
    changed = f"fingerprint {found['fingerprint']}, not {'0' * 16}: the data changed"
    for name, digest, problem in (("same", found["fingerprint"], ""), ("other", "0" * 16, changed)):
        (place / f"{name}.py").write_text(
            TASK.replace('"CC0-1.0")\n', f'"CC0-1.0", fingerprints={{"test": "{digest}"}})\n')
        )
        capsys.readouterr()
        assert evaluate("--no-page", "--limit", "24", "--tasks", f"{name}.py:quiz", out=name) == 0
        assert bool(problem) == ("the data changed" in capsys.readouterr().out)
        assert problem in read(Path(name))[1]["tasks"][name]["data_changed"]
    assert evaluate("--no-page", "--limit", "23", out="c") == 0
    assert read(Path("c"))[1]["tasks"]["quiz"]["fingerprint"] == "", (
        "a part of the data has no fingerprint of the whole"
    )


READER = """
import json, re

def answer(messages):
    reply = re.search(r"<<reply>>\\n(.*)\\n<<end", messages[-1].text, re.DOTALL)[1]
    return json.dumps({"answer": reply[-3], "words": reply[-6:-1]} if "it:" in reply else {"answer": "",
    "words": ""})
"""
TERSE = BOT.replace(
    "return next((letter for", "return next((('My mind is on it: ' + letter + ' !') if n % 2 else letter for"
)


def test_readings_by_other_parsers_stand_beside_the_strict_one(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "terse.py").write_text(TERSE)
    (place / "reader.py").write_text(READER)
    assert evaluate("--parser", "judge") == 2
    assert "asks a model what a reply says" in capsys.readouterr().err
    assert evaluate("--parser", "generous") == 2 and "no parser 'generous'" in capsys.readouterr().err
    beside = ("--parser", "strict,lenient,judge", "--judge", "reader.py:answer")
    assert evaluate(*beside, bot="terse.py:answer", out="a") == 0
    said = capsys.readouterr().out
    assert "strict" in said and "lenient" in said and "judge (asked" in said
    whole = io.read_json(place / "a/run/1/results.json")["tasks"]["quiz"]
    strict, second, third = (whole["readings"][name] for name in ("strict", "lenient", "judge"))
    assert strict["mean"] == whole["scores"]["mean"], "the score is the strict reading"
    assert strict["unparsed"] == 6 and third["unparsed"] == 0 and third["asked"] == 6 and third["failed"] == 0
    assert strict["mean"] < second["mean"] <= third["mean"] and second["more"] == second["right"] + 2
    rows = list(io.read_jsonl(place / "a/run/1/readings.jsonl"))
    assert {row["strict"]["parsed"] for row in rows} == {""} and len(rows) == 6
    assert "Read by other parsers" in (place / "a/run/1/results.md").read_text()
    assert "read by other parsers" in (place / "a/page/1/index.html").read_text()

    assert evaluate("--no-page", out="b") == 0
    capsys.readouterr()
    assert main(["eval", "compare", "a", "b", "--parser", "lenient", "--out", "c"]) == 0
    found = io.read_json(place / "c/comparison.json")
    first, other = found["readings"]["quiz"]["stages"].values()
    assert first["parsers"]["lenient"] > first["parsers"]["strict"] == first["wrong"]
    assert other["parsers"]["lenient"] == other["parsers"]["strict"], "read now, from the traces"
    assert [row["unparsed"] for row in found["by_model"].values()] == [0.5, 0.0]
    assert "all tasks" in capsys.readouterr().out
