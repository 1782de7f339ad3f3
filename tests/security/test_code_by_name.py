"""Data never runs code: a canary in rows, results, recipes and task files; what a person may still name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import engine
import pytest
import yaml

from medxiaohe import io, permission, plugins
from medxiaohe.cli import main
from medxiaohe.errors import CodeRefused
from medxiaohe.tasks import make
from medxiaohe.types import Message, Sample

EVIL = "import pathlib\npathlib.Path({0!r}).touch()\n\ndef t(*a, **k):\n    pathlib.Path({0!r}).touch()\n"


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that evil.py would make; the policy is that of a new process."""
    monkeypatch.delenv(permission.VARIABLE)
    path = tmp_path / "PWNED"
    (tmp_path / "evil.py").write_text(EVIL.format(str(path)))
    return path


def command(canary: Path, capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    """The command line with the policy of a new process: its exit code and what it says."""
    os.environ.pop(permission.VARIABLE, None)
    code = main(list(map(str, args)))
    return code, capsys.readouterr().err


def names(canary: Path) -> list[str]:
    return [f"{canary.parent}/evil.py:t", "os:system", "subprocess:run", "posixpath:join", "builtins:exec"]


@pytest.mark.parametrize("kind", sorted(plugins.KINDS))
def test_no_kind_of_plug_in_is_loaded_from_a_name_in_data(canary: Path, kind: str) -> None:
    for name in names(canary):
        with pytest.raises(CodeRefused):
            plugins.load(kind, name, from_data=True)
    assert not canary.exists()


@pytest.mark.parametrize(
    "name", ["os:system", "subprocess:run", "shutil:rmtree", "builtins:eval", "pickle:loads"]
)
def test_a_module_of_python_is_never_a_plug_in(
    canary: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for policy in (None, "any", json.dumps([name])):
        monkeypatch.delenv(permission.VARIABLE, raising=False)
        if policy is not None:
            monkeypatch.setenv(permission.VARIABLE, policy)
        with pytest.raises(CodeRefused, match="module of Python itself"):
            plugins.load_object(name)


def test_a_row_does_not_choose_the_code_that_rewards_it(canary: Path) -> None:
    with pytest.raises(CodeRefused, match="data names code"):
        make(names(canary)[0], None, from_data=True)
    assert not canary.exists()


def test_training_refuses_rows_that_name_code_as_their_source(
    canary: Path, capsys: pytest.CaptureFixture[str], tiny_vlm: Path
) -> None:
    data = canary.parent / "data"
    with io.publish(data, record=lambda: {"summary": {}}) as draft:
        question = (Message("user", ("?",)),)
        rows = [Sample(str(i), question, target="x", source=names(canary)[0]) for i in range(64)]
        io.write_jsonl(draft / "prompts.jsonl", rows)
        io.write_json(draft / "contamination.json", {"checked": {}, "matches": []})
    code, said = command(
        canary,
        capsys,
        "train",
        "rl",
        "--input",
        f"data={data}",
        "--set",
        "allow_contaminated=true",
        "--set",
        f"model={tiny_vlm}",
        "--out",
        canary.parent / "o",
    )
    assert code == 2 and "data names code" in said, said
    assert not canary.exists()


def results(canary: Path, name: str) -> Path:
    folder = canary.parent / "results"
    folder.mkdir(exist_ok=True)
    tasks = [{"name": name, "args": {"command": f"touch {canary}"}}]
    whole = {"settings": {"tasks": tasks}, "inputs": {}, "model": {}, "tasks": {}, "packages": {}}
    (folder / "results.json").write_text(json.dumps(whole))
    return folder / "results.json"


def test_results_do_not_bring_code(canary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in names(canary):
        code, said = command(canary, capsys, "eval", "reproduce", results(canary, name))
        assert code in (2, 3) and not canary.exists(), said


def recipe(canary: Path, **stage: object) -> Path:
    path = canary.parent / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "r", "out": str(canary.parent / "out"), "stages": {"s": stage}}))
    return path


STAGES = {
    "uses": lambda name: {"uses": name},
    "model": lambda name: {"uses": "evals.run", "with": {"model": name, "backend": "python"}},
    "backend": lambda name: {"uses": "evals.run", "with": {"model": "touch PWNED; true", "backend": name}},
    "task": lambda name: {"uses": "evals.run", "with": {"model": "starter", "tasks": [{"name": name}]}},
    "reader": lambda name: {"uses": "data.read", "with": {"sources": [{"reader": name, "path": "x"}]}},
    "source task": lambda name: {"uses": "data.read", "with": {"sources": [{"task": name}]}},
    "filter": lambda name: {"uses": "data.curate", "with": {"filters": [name]}},
    "vocabulary": lambda name: {"uses": "entity.build", "with": {"vocabularies": [{"reader": name}]}},
    "expert": lambda name: {"uses": "train.demonstrate", "with": {"task": "bedside", "expert": name}},
}


@pytest.mark.parametrize("place", STAGES)
def test_a_recipe_that_brings_code_says_so_and_does_not_run_it(
    canary: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    for name in names(canary)[:2]:
        for extra in ((), ("--dry-run",)):
            code, said = command(canary, capsys, "run", recipe(canary, **STAGES[place](name)), *extra)
            assert code == 2 and ("brings code" in said or "is refused" in said), said
            assert not canary.exists()


def test_a_recipe_with_code_runs_once_it_is_allowed(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    denied = engine.medxiaohe("run", path, **{permission.VARIABLE: ""})
    assert denied.returncode == 2 and "--allow-code" in denied.stderr
    assert not (tmp_path / "out").exists()
    allowed = engine.medxiaohe("run", path, "--allow-code", **{permission.VARIABLE: ""})
    assert allowed.returncode == 0, allowed.stderr


def test_a_dry_run_calls_no_factory(canary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (canary.parent / "task.py").write_text(
        f"import pathlib\n\ndef t():\n    pathlib.Path({str(canary)!r}).touch()\n"
    )
    stage = {
        "uses": "evals.run",
        "with": {"model": "starter", "tasks": [{"name": f"{canary.parent}/task.py:t"}]},
    }
    code, said = command(canary, capsys, "run", recipe(canary, **stage), "--dry-run", "--allow-code")
    assert code == 0 and not canary.exists(), said


def test_a_task_file_that_names_a_scorer_in_code_is_refused(canary: Path) -> None:
    task = (Path(__file__).parents[2] / "examples" / "custom_task.yaml").read_text()
    loaded = yaml.safe_load(task)
    loaded["metric_list"] = [{"metric": names(canary)[0]}]
    path = canary.parent / "task.yaml"
    path.write_text(yaml.safe_dump(loaded))
    with pytest.raises(CodeRefused):
        make(str(path))
    assert not canary.exists()


def test_names_on_the_command_line_are_the_users() -> None:
    words = [
        "eval",
        "run",
        "--tasks",
        "mine/eye.py:eye,medqa",
        "--set",
        "read.reader=a.b:c",
        "--model",
        "hub:x",
    ]
    assert permission.names_in(words) == {"mine/eye.py:eye", "a.b:c"}


def test_what_looks_like_code_but_is_an_identifier_is_none() -> None:
    for text in (
        "asset:mondo",
        "MONDO:0005015",
        "hub:ORG/NAME",
        "http://127.0.0.1:80/v1",
        "nowhere_at_all:x",
    ):
        assert not permission.is_code(text)
    assert permission.is_code("mine.py:f") and permission.is_code("yaml:safe_load")


def test_worker_processes_have_the_policy_of_their_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(permission.VARIABLE)
    permission.restrict(["a.py:b"])
    permission.allow(["c.py:d"])
    assert json.loads(os.environ[permission.VARIABLE]) == ["a.py:b", "c.py:d"]
    assert permission.allowed("c.py:d", from_data=True) and not permission.allowed("e.py:f")
