"""Whatever is wrong: one clear sentence that names it, exit code 2 or 3, nothing half written, finished
stages kept."""

from __future__ import annotations

import functools
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import engine
import pytest
import yaml

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.recipe import run as recipes

PROGRESS = re.compile(r"(running|finished|done|page|overall) |\d+ of \d+ stages to run")


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence on stderr, without the lines that tell the progress."""
    lines = [line for line in capsys.readouterr().err.splitlines() if not PROGRESS.match(line)]
    assert len(lines) == 1 and lines[0].startswith("medxiaohe: "), lines
    assert "Traceback" not in lines[0]
    return lines[0]


# ---- wrong recipes: exit code 2, and nothing is written --------------------------------------------

STAGE = {"uses": f"{engine.STAGES}:words", "with": {"sources": []}}


def stages(**changes: Any) -> dict[str, Any]:
    return {"stages": {"words": {**STAGE, **changes}}}


def settings(**values: Any) -> dict[str, Any]:
    return stages(**{"with": {"sources": [], **values}})


WRONG: dict[str, tuple[Any, str]] = {
    "empty": ({}, "needs `stages:`"),
    "a list": ([1, 2], "needs `stages:`"),
    "no stage": ({"stages": {}}, "needs `stages:`"),
    "unknown key": ({**stages(), "stagez": 1}, "unknown key 'stagez'; did you mean 'stages'?"),
    "unknown key of a stage": (stages(useds=1), "stages.words: unknown key 'useds'; did you mean 'uses'?"),
    "unknown stage": ({"stages": {"a": {"uses": "data.reed"}}}, "no stage named 'data.reed'"),
    "unknown file": ({"stages": {"a": {"uses": "nowhere.py:words"}}}, "no such file: nowhere.py"),
    "unknown function": (
        {"stages": {"a": {"uses": f"{engine.STAGES}:wordz"}}},
        "has no 'wordz'; did you mean 'words'?",
    ),
    "unknown module": (
        {"stages": {"a": {"uses": "no_such_package.x:words"}}},
        "cannot import 'no_such_package.x'",
    ),
    "not a stage": ({"stages": {"a": {"uses": f"{engine.STAGES}:_words"}}}, "is no stage"),
    "unknown setting": (
        settings(shortst=2),
        "stages.words.with.shortst: unknown setting; did you mean 'shortest'?",
    ),
    "unknown nested setting": (
        settings(sources=[{"pth": "x"}]),
        "stages.words.with.sources[0].pth: unknown setting; did you mean 'path'?",
    ),
    "missing setting": (stages(**{"with": {}}), "stages.words.with.sources: missing"),
    "missing nested setting": (
        settings(sources=[{"limit": 2}]),
        "stages.words.with.sources[0].path: missing; it must be a path",
    ),
    "wrong type": (settings(shortest="two"), "stages.words.with.shortest: must be a whole number, not 'two'"),
    "a float for an int": (settings(shortest=2.5), "must be a whole number, not 2.5"),
    "text for a list": (
        settings(sources="input.txt"),
        "stages.words.with.sources: must be a list, not 'input.txt'",
    ),
    "not one of": (settings(case="Lower"), "must be one of 'lower', 'upper', not 'Lower'"),
    "not a number": (settings(wait=float("nan")), "stages.words.with.wait: must be a number, not nan"),
    "YAML's no": (settings(case=False), "must be one of 'lower', 'upper', not False"),
    "missing file": (settings(sources=[{"path": "nowhere.txt"}]), "no such file or folder: nowhere.txt"),
    "contradictory pair": (
        settings(shortest=9, longest=3),
        "stages.words.with: shortest: 9 is more than longest: 3",
    ),
    "settings are a list": (stages(**{"with": [1]}), "stages.words.with: must be a mapping, not [1]"),
    "needs is text": (stages(needs="words"), "stages.words.needs: must be a mapping"),
    "params is a list": ({**stages(), "params": ["a"]}, "params: must be a mapping"),
    "unknown parameter": (
        {**settings(case="${cases}"), "params": {"case": "upper"}},
        "no parameter 'cases'; did you mean 'case'?",
    ),
    "missing variable": (
        settings(case="${env:NO_SUCH_VARIABLE}"),
        "the environment variable NO_SUCH_VARIABLE is not set",
    ),
    "a name that is no folder": ({"stages": {"../words": STAGE}}, "a stage name is text of letters, digits"),
    "a name that is a number": ({"stages": {1: STAGE}}, "a stage name is text of letters, digits"),
    "a version that is no folder": (
        stages(version="../2"),
        "stages.words.version: '../2' cannot be a folder name",
    ),
    "unknown input": (stages(needs={"text": "x"}), "stages.words.needs.text: unknown input"),
    "a missing input": (
        {"stages": {"top": {"uses": f"{engine.STAGES}:top"}}},
        "stages.top.needs: missing words",
    ),
    "a later stage as input": (
        {"stages": {"top": {"uses": f"{engine.STAGES}:top", "needs": {"words": "words"}}, "words": STAGE}},
        "stages.top.needs.words: no earlier stage 'words'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_recipe_is_one_sentence_before_anything_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, says = WRONG[name]
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(yaml.safe_dump(raw))
    start = time.process_time()
    assert main(["run", "recipe.yaml"]) == 2
    assert time.process_time() - start < 2
    assert says in sentence(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["recipe.yaml"]


MALFORMED = {
    "stages: [": "not YAML",
    "stages: {a: *b}": "not YAML",
    "stages: {a: 1, a: 2}": "the key 'a' appears twice",
    "\tstages:": "not YAML",
    "a: !!python/object/apply:os.system ['true']": "not YAML",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_yaml_names_the_file_and_the_place(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    assert main(["run", str(tmp_path / "recipe.yaml")]) == 2
    said = sentence(capsys)
    assert "recipe.yaml" in said and MALFORMED[text] in said and "line 1" in said


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", None])
def test_a_recipe_that_cannot_be_read_is_named(
    data: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(data) if data else path.mkdir()
    assert main(["run", str(path)]) == 2
    assert "recipe.yaml" in sentence(capsys)


OVERRIDES = {
    "most": "write name=value",
    "mots=3": "unknown parameter; did you mean 'most'?",
    "wods.case=upper": "no stage 'wods'; did you mean 'words'?",
    "words.cse=upper": "stages.words.with.cse: unknown setting; did you mean 'case'?",
    "words.case=[": "is not a YAML value",
    "words.sources.3.limit=1": "'3' is not a place in a list of 1",
    "words.case=Upper": "must be one of 'lower', 'upper'",
    "words.shortest.x=1": "must be a whole number",
}


@pytest.mark.parametrize("text", OVERRIDES)
def test_a_wrong_override_is_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(engine.recipe(tmp_path)), "--set", text]) == 2
    assert OVERRIDES[text] in sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_an_unknown_last_stage_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(engine.recipe(tmp_path)), "--until", "tops"]) == 2
    assert "no such stage; did you mean 'top'?" in sentence(capsys)
    assert not (tmp_path / "out").exists()


# ---- the machine says no: exit code 3, finished stages are kept ------------------------------------


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    yield from _mounted(tmp_path / "small", "size=1m")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    yield from _mounted(tmp_path / "fixed", "ro")


def _mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("needs mount")
    if done.returncode:
        pytest.skip("needs the permission to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def filling(tmp_path: Path) -> Path:
    sources = {"sources": [{"path": str(tmp_path / "input.txt")}]}
    return engine.recipe(
        tmp_path,
        words={"uses": f"{engine.STAGES}:words", "with": sources},
        fill={"uses": f"{engine.STAGES}:fill"},
    )


def test_a_full_disk_is_one_sentence_and_finished_stages_are_kept(
    full_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = full_disk / "out"
    assert main(["run", str(filling(tmp_path)), "--out", str(out)]) == 3
    assert "fill/.1.draft/big.bin: the disk is full" in sentence(capsys)
    assert not (out / "fill" / "1").exists() and not engine.drafts(out)
    io.verify(out / "words" / "1")
    assert main(["run", str(filling(tmp_path)), "--out", str(out), "--set", "fill.mib=0"]) == 0, (
        "there is room for a smaller one"
    )


def test_a_file_size_limit_is_one_sentence(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    command = [sys.executable, "-m", "medxiaohe", "run", str(filling(tmp_path))]
    env = {"PYTHONPATH": str(Path(__file__).parents[2]), "MEDXIAOHE_CODE": "any"}
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, env=env)
    assert done.returncode == 3 and "big.bin: the file would pass the size limit" in done.stderr
    assert not engine.drafts(tmp_path / "out") and (tmp_path / "out/words/1/stage.json").exists()


def test_a_read_only_file_system_is_one_sentence(
    read_only: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(filling(tmp_path)), "--out", str(read_only / "out")]) == 3
    assert "the file system is read-only: choose another --out folder" in sentence(capsys)


def test_no_permission_to_write_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, *args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", denied)  # root may write everywhere
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(stages()))
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 3
    assert "no permission to write there: choose another --out folder" in sentence(capsys)


@pytest.mark.parametrize("out", ["file", "file/out"])
def test_a_file_where_the_run_folder_should_be_is_one_sentence(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["run", str(engine.recipe(tmp_path)), "--out", str(tmp_path / out)]) == 3
    assert "choose another --out folder" in sentence(capsys)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_second_run_on_the_same_folder_names_the_process_that_has_it(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    command = [sys.executable, "-m", "medxiaohe", "run", str(path), "--set", "words.wait=30"]
    first = subprocess.Popen(
        command,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "MEDXIAOHE_CODE": "any"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stderr is not None
        assert any(line.startswith("running") for line in iter(first.stderr.readline, ""))
        second = engine.medxiaohe("run", path)
    finally:
        first.kill()
        first.wait()
    assert (
        second.returncode == 2
        and f"in use by process {first.pid}: wait for it, or choose another --out" in second.stderr
    )
    assert engine.medxiaohe("run", path).returncode == 0, "a killed run leaves no lock behind"


def test_a_finished_stage_that_was_changed_by_hand_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = engine.recipe(tmp_path)
    assert main(["run", str(path)]) == 0
    capsys.readouterr()
    changed = tmp_path / "out/top/1/top.json"
    changed.write_bytes(changed.read_bytes().replace(b"fever", b"fevar"))
    assert main(["run", str(path)]) == 3
    assert "top/1/top.json is not what was published: delete" in sentence(capsys)


# ---- a stage that fails ----------------------------------------------------------------------------

BROKEN: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "bug": (lambda folder: {"how": "bug"}, "failed unexpectedly: ZeroDivisionError"),
    "nan": (lambda folder: {"how": "nan"}, "stage.json: a row without an id cannot be written as JSON"),
    "unreadable": (
        lambda folder: {"how": "unreadable", "path": str(folder / "input.txt" / "x")},
        "input.txt/x: not a directory",
    ),
    "missing": (lambda folder: {"how": "unreadable", "path": str(folder / "gone.txt")}, "gone.txt"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_stage_that_fails_leaves_nothing_and_keeps_what_was_finished(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, says = BROKEN[how]
    words = {"uses": f"{engine.STAGES}:words", "with": {"sources": [{"path": str(tmp_path / "input.txt")}]}}
    path = engine.recipe(
        tmp_path, words=words, bad={"uses": f"{engine.STAGES}:break_", "with": make(tmp_path)}
    )
    assert main(["run", str(path)]) == 3
    assert says in sentence(capsys)
    assert list(recipes.finished(tmp_path / "out")) == ["words"]
    assert not (tmp_path / "out/bad/1").exists() and not engine.drafts(tmp_path / "out")


def test_a_file_of_ones_own_that_does_not_import_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {"def x(:": "SyntaxError", "import no_such_package": "no_such_package", "1 / 0": "ZeroDivision"}
    for i, (code, says) in enumerate(broken.items()):
        (tmp_path / f"mine{i}.py").write_text(code)
        assert main(["run", str(engine.recipe(tmp_path, a={"uses": f"{tmp_path}/mine{i}.py:x"}))]) == 2
        said = sentence(capsys)
        assert f"mine{i}.py" in said and says in said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_half_written_and_goes_on(
    stop: signal.Signals, tmp_path: Path
) -> None:
    path = engine.recipe(tmp_path)
    command = [sys.executable, "-m", "medxiaohe", "run", str(path)]
    env = {"PYTHONPATH": str(Path(__file__).parents[2]), "MEDXIAOHE_CODE": "any"}
    # a background job of a shell may be deaf to it
    heard = functools.partial(signal.signal, stop, signal.SIG_DFL)
    running = subprocess.Popen(
        [*command, "--set", "words.wait=30"], env=env, stderr=subprocess.PIPE, text=True, preexec_fn=heard
    )
    assert running.stderr is not None
    assert any(line.startswith("running") for line in iter(running.stderr.readline, ""))
    running.send_signal(stop)
    assert running.wait(30) == 130
    (said,) = [line for line in running.stderr.read().splitlines() if line and not PROGRESS.match(line)]
    assert said == "medxiaohe: interrupted: the same command continues where it stopped"
    assert not engine.drafts(tmp_path / "out")
    assert engine.medxiaohe("run", path).returncode == 0
