"""A run says how much is left, and its folder says what is finished and what runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import engine
import pytest
import yaml

from medxiaohe.cli import main
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe import load, run, shipped, status
from medxiaohe.recipe.estimate import Estimate


def timed(path: Path, **minutes: float) -> Path:
    raw = yaml.safe_load(path.read_text())
    raw["minutes"] = minutes
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return path


def names(path: Path) -> list[str]:
    return [stage.name for stage in load.load(path).stages]


def test_a_run_says_at_once_how_long_it_takes_and_after_each_stage_what_is_left(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    one, two, three = names(path)
    said: list[str] = []
    run.run(load.load(timed(path, **{one: 1, two: 2, three: 3})), said.append)
    assert said[0] == "3 of 3 stages to run, about 6:00 on two quiet cores"
    overall = [line for line in said if line.startswith("overall")]
    assert len(overall) == 2 and overall[0].startswith("overall  1 of 3 stages, about ")
    again: list[str] = []
    run.run(load.load(path), again.append)
    assert again[0] == "0 of 3 stages to run" and not any("overall" in line for line in again)


def test_a_slower_machine_is_noticed(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    one, two, three = names(path)
    estimate = Estimate(load.load(timed(path, **{one: 10, two: 10, three: 10})))
    # 10 minutes took 20; with a prior of a tenth of 30 minutes: (20 + 3) / (10 + 3) * 20 minutes are left
    assert estimate.after(one, 20 * 60, ran=True) == "overall  1 of 3 stages, about 35:23 left"


def test_minutes_of_a_stage_that_is_not_there_are_refused(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    first = names(path)[0]
    with pytest.raises(ConfigError, match="no such stage"):
        load.load(timed(path, nosuch=1))
    with pytest.raises(ConfigError, match="must be a number of minutes"):
        load.load(timed(path, **{first: -1}))


def test_the_state_of_a_run_folder_names_what_is_done_and_what_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load.load(engine.recipe(tmp_path))
    run.run(recipe, lambda line: None, until="top")
    found = status.state(recipe.out)
    assert list(found.done) == ["words", "top"] and found.running == "" and found.process == 0
    with run.lock(recipe.out):
        with open(recipe.out / "log.jsonl", "a") as log:
            log.write(json.dumps({"stage": "last", "version": "1", "started": 1.0}) + "\n")
        found = status.state(recipe.out)
        assert (found.running, found.process) == ("last", os.getpid())
    assert status.state(recipe.out).running == ""  # killed: nobody holds the folder
    assert main(["status", str(recipe.out)]) == 0
    assert "2 of 2 stages done" in capsys.readouterr().out


def test_no_run_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run folder"):
        status.state(tmp_path / "nowhere")


def test_a_shipped_recipe_is_known_by_its_name() -> None:
    assert shipped.recipe(Path("quickstart")).name == "quickstart.yaml"
    assert shipped.recipe(Path("recipes/quickstart.yaml")).is_file()
    with pytest.raises(ConfigError, match="did you mean 'quickstart'"):
        shipped.recipe(Path("quickstat"))


@pytest.mark.parametrize("what", ["own_data", "benchmark", "workflow", "gpu"])
def test_init_writes_files_to_start_from_and_overwrites_nothing(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", what, "--out", str(tmp_path / "new")]) == 0
    assert "next:" in capsys.readouterr().out
    files = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    written = {path: path.read_bytes() for path in files}
    assert written and all(written.values())
    assert main(["init", what, "--out", str(tmp_path / "new")]) == 2
    assert "already exists" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in files} == written


def test_the_recipe_for_own_rows_runs_as_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "own_data", "--out", "mine"]) == 0
    assert "medxiaohe run mine/own_data.yaml" in capsys.readouterr().out
    assert main(["data", "check", "mine/rows.jsonl"]) == 0
    assert main(["run", "mine/own_data.yaml", "--dry-run"]) == 0
    assert "    medxiaohe run mine/own_data.yaml\n" in (tmp_path / "mine" / "own_data.yaml").read_text()
