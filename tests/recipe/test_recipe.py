"""A recipe is checked before anything runs, resumes where it stopped, and refuses what has drifted."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import engine
import pytest
import yaml

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError, RunLocked
from medxiaohe.recipe import load, run


def quiet(text: str) -> None:
    pass


def edited(path: Path, change: Any) -> Path:
    raw = yaml.safe_load(path.read_text())
    change(raw)
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return path


def test_a_run_finishes_every_stage_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    recipe = load.load(engine.recipe(tmp_path))
    first = run.run(recipe, quiet)
    before = engine.files(recipe.out)
    second = run.run(recipe, quiet)
    assert [d.ran for d in first] == [True] * 3 and [d.ran for d in second] == [False] * 3
    assert [d.summary for d in first] == [d.summary for d in second]
    assert engine.files(recipe.out) == before


def test_two_runs_leave_identical_bytes(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    for name in ("one", "two"):
        run.run(load.load(path, out=tmp_path / name), quiet)
    assert engine.files(tmp_path / "one") == engine.files(tmp_path / "two")


def test_until_stops_after_a_stage(tmp_path: Path) -> None:
    done = run.run(load.load(engine.recipe(tmp_path)), quiet, until="top")
    assert [d.name for d in done] == ["words", "top"]


def test_overrides_reach_parameters_settings_and_lists(tmp_path: Path) -> None:
    recipe = load.load(engine.recipe(tmp_path), ["most=1", "words.case=upper", "words.sources.0.limit=2"])
    assert recipe.stages[0].settings.case == "upper"
    assert recipe.stages[0].settings.sources[0].limit == 2
    assert recipe.stages[1].settings.most == 1


def test_environment_variables_are_filled_into_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEPARATOR", "-")
    monkeypatch.setenv("MEDXIAOHE_ENV", "SEPARATOR")
    path = edited(
        engine.recipe(tmp_path),
        lambda raw: raw["params"].update(sep="${env:SEPARATOR}", both="${sep}${most}"),
    )
    recipe = load.load(
        edited(path, lambda raw: raw["stages"]["join"].update({"with": {"separator": "${both}"}}))
    )
    assert recipe.stages[2].settings.separator == "-2"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("x" * 20, "${%s}" * 10),
        (["x"] * 10, ["${%s}"] * 10),
        ({"a": 1, "b": 2}, {str(i): "${%s}" for i in range(10)}),
        (["x"] * 10, "${%s}" * 10),
    ],
)
def test_parameters_that_repeat_each_other_are_refused_before_they_are_made(
    tmp_path: Path, first: Any, again: Any
) -> None:
    def of(name: str) -> Any:
        if isinstance(again, str):
            return again.replace("%s", name)
        return (
            [one % name for one in again]
            if isinstance(again, list)
            else {key: one % name for key, one in again.items()}
        )

    many = {"p0": first, **{f"p{n}": of(f"p{n - 1}") for n in range(1, 40)}}
    path = edited(engine.recipe(tmp_path), lambda raw: raw["params"].update(many))
    with pytest.raises(ConfigError, match=r"params\.p\d.*: its references stand for more than 1,048,576"):
        load.load(path)
    few = {name: many[name] for name in ("p0", "p1", "p2")}
    (tmp_path / "few").mkdir()
    path = edited(engine.recipe(tmp_path / "few"), lambda raw: raw["params"].update(few))
    assert len(load.load(path).params) >= 3


DRIFTS = {
    "settings.case": lambda folder: ["words.case=upper"],
    "settings.sources.0.limit: 0 -> 2": lambda folder: ["words.sources.0.limit=2"],
    "files": lambda folder: (folder / "input.txt").write_text(engine.TEXT.replace("rash", "rasp")) and [],
}


@pytest.mark.parametrize("says", DRIFTS)
def test_a_finished_stage_made_otherwise_is_refused_with_a_diff_and_made_again_when_accepted(
    tmp_path: Path, says: str
) -> None:
    path = engine.recipe(tmp_path)
    run.run(load.load(path), quiet)
    before = engine.files(tmp_path / "out")
    recipe = load.load(path, DRIFTS[says](tmp_path))
    with pytest.raises(ConfigError, match=re.escape(says)):
        run.run(recipe, quiet)
    assert engine.files(tmp_path / "out") == before
    assert run.plan(recipe)["words"].startswith("changed: ")
    done = run.run(recipe, quiet, accept_change=True)
    assert done[0].ran and engine.files(tmp_path / "out") != before
    assert set(run.plan(recipe).values()) == {"done"}


def test_changed_code_is_refused(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    shutil.copy(engine.STAGES, code)
    sources = {"sources": [{"path": str(tmp_path / "input.txt")}]}
    path = engine.recipe(tmp_path, words={"uses": f"{code}:words", "with": sources})
    run.run(load.load(path), quiet)
    code.write_text(code.read_text() + "\n# a change\n")
    with pytest.raises(ConfigError, match=r"code\.mine\.py"):
        run.run(load.load(path), quiet)


def test_changed_code_of_a_file_of_ones_own_named_in_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def eye(): ...\n")
    path = engine.recipe(
        tmp_path, b={"uses": f"{engine.STAGES}:plugin", "with": {"reader": f"{tmp_path}/mine.py:eye"}}
    )
    run.run(load.load(path), quiet)
    (tmp_path / "mine.py").write_text("def eye(): pass\n")
    with pytest.raises(ConfigError, match=r"code\..*mine\.py:eye"):
        run.run(load.load(path), quiet)


def test_a_changed_wire_is_refused(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    run.run(load.load(path), quiet)
    edited(path, lambda raw: raw["stages"]["join"]["needs"].pop("words"))
    with pytest.raises(ConfigError, match=r"needs\.words: .* -> absent"):
        run.run(load.load(path), quiet)


def test_a_stage_below_one_that_came_out_the_same_is_not_run_again(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    run.run(load.load(path), quiet)
    done = run.run(load.load(path, ["words.longest=29"]), quiet, accept_change=True)
    assert [d.ran for d in done] == [True, False, False]


def test_a_version_is_a_folder_of_its_own(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    run.run(load.load(path), quiet)
    edited(
        path,
        lambda raw: raw["stages"]["words"].update(
            version="2", **{"with": {**raw["stages"]["words"]["with"], "case": "upper"}}
        ),
    )
    run.run(load.load(path), quiet, until="words")
    assert sorted(p.name for p in (tmp_path / "out" / "words").iterdir()) == ["1", "2"]
    assert run.finished(tmp_path / "out")["words"].name == "2"


@pytest.mark.parametrize(
    "name",
    ["words/1/words.jsonl", "words/1/MANIFEST.json", "words/1/stage.json", "words/1/parts/counts.json"],
)
def test_a_finished_stage_that_was_tampered_with_is_named(tmp_path: Path, name: str) -> None:
    recipe = load.load(engine.recipe(tmp_path))
    run.run(recipe, quiet)
    path = tmp_path / "out" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="words/1"):
        run.run(recipe, quiet)
    assert path.read_bytes() == bytes(data), "nothing is repaired behind the user's back"


def test_a_folder_without_its_record_is_not_taken_for_a_finished_stage_nor_deleted(tmp_path: Path) -> None:
    recipe = load.load(engine.recipe(tmp_path))
    run.run(recipe, quiet)
    (tmp_path / "out/words/1/stage.json").unlink()
    (tmp_path / "out/words/1/MANIFEST.json").unlink()
    with pytest.raises(OSError, match="not made by medxiaohe"):
        run.run(recipe, quiet)
    assert (tmp_path / "out/words/1/words.jsonl").exists()


def test_only_one_process_may_run_in_a_folder(tmp_path: Path) -> None:
    recipe = load.load(engine.recipe(tmp_path))
    with run.lock(recipe.out), pytest.raises(RunLocked, match=f"in use by process {os.getpid()}"):
        run.run(recipe, quiet)


def test_published_folders_can_stand_for_stages(tmp_path: Path) -> None:
    first = load.load(engine.recipe(tmp_path))
    words = run.run(first, quiet, until="words")[0].folder
    top = load.stage("top", f"{engine.STAGES}:top", {}, {"words": "words"}, ["most=1"])
    recipe = dataclasses.replace(first, out=tmp_path / "alone", stages=(top,))
    done = run.run(recipe, quiet, given={"words": words})
    assert io.read_json(done[0].folder / "top.json") == ["fever"]


def test_times_are_read_from_the_log_even_when_its_last_line_was_cut_short(tmp_path: Path) -> None:
    recipe = load.load(engine.recipe(tmp_path))
    run.run(recipe, quiet)
    with open(tmp_path / "out/log.jsonl", "a") as log:
        log.write('{"stage": "wor')
    assert set(run.seconds(tmp_path / "out")) == {("words", "1"), ("top", "1"), ("join", "1")}


def test_checking_a_recipe_is_quick(tmp_path: Path) -> None:
    path = engine.recipe(tmp_path)
    start = time.process_time()
    load.load(path)
    assert time.process_time() - start < 2


def test_a_recipe_extends_another_and_changes_what_is_given(tmp_path: Path) -> None:
    base = load.load(engine.recipe(tmp_path))
    first = base.stages[0]
    (tmp_path / "more.yaml").write_text(
        f"extends: recipe.yaml\nname: more\nstages:\n  {first.name}: {{with: {{case: upper}}}}\n"
    )
    (tmp_path / "loop.yaml").write_text(f"extends: ../{tmp_path.name}/loop.yaml\n")
    more = load.load(tmp_path / "more.yaml")
    assert more.name == "more" and more.stages[0].settings == dataclasses.replace(
        first.settings, case="upper"
    )
    assert more.stages[1:] == base.stages[1:]
    with pytest.raises(ConfigError, match="extends itself"):
        load.load(tmp_path / "loop.yaml")
