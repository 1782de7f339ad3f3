"""The page about a run that goes on: written at every stage, loaded again by a browser, then left alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import engine
import pytest
import yaml

from medxiaohe import progress
from medxiaohe.cli import main
from medxiaohe.pages.sections import progress_page
from medxiaohe.recipe import load, run

REFRESH = re.compile(r'http-equiv="refresh" content="(\d+)"')


def timed(tmp_path: Path) -> Path:
    path = engine.recipe(tmp_path)
    raw = yaml.safe_load(path.read_text())
    raw["minutes"] = {name: 2 for name in raw["stages"]}
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return path


def test_each_stage_is_on_the_page_while_it_runs_and_the_browser_loads_it_again(tmp_path: Path) -> None:
    recipe = load.load(timed(tmp_path))
    pages: list[str] = []
    run.run(recipe, lambda _: None, changed=lambda: pages.append(progress_page.page(recipe.out)))
    names = [stage.name for stage in recipe.stages]
    assert len(pages) == 2 * len(names)  # a stage begins, a stage ends
    for i, name in enumerate(names):
        begun = pages[2 * i]
        assert f": {name}</title>" in begun and REFRESH.search(begun)
        assert f"{i} of {len(names)} stages done" in begun and "left." in begun
    assert not REFRESH.search(pages[-1]) and ": finished</title>" in pages[-1]


def test_a_run_leaves_a_page_that_is_still(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = timed(tmp_path)
    assert main(["run", str(path)]) == 0
    out = load.load(path).out
    page = (out / progress_page.NAME).read_text()
    assert not REFRESH.search(page) and "not for clinical use" in page.lower()
    assert str(out / progress_page.NAME) in capsys.readouterr().err
    assert not (out / run.NOTES).exists() and "http" not in page.replace("http-equiv", "")
    assert main(["run", str(path)]) == 0  # nothing runs: nothing is written
    assert (out / progress_page.NAME).read_text() == page


def test_a_stage_that_fails_is_named_and_the_page_loads_no_more(tmp_path: Path) -> None:
    path = timed(tmp_path)
    (path.parent / "input.txt").write_bytes(b"\xff\xfe")
    assert main(["run", str(path)]) != 0
    page = (load.load(path).out / progress_page.NAME).read_text()
    assert "stopped</title>" in page and not REFRESH.search(page)


def test_what_the_running_stage_has_done_is_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_NOTES", 0.0)
    recipe, pages = load.load(timed(tmp_path)), list[str]()
    first = recipe.stages[0]

    def train(*args: object, **others: object) -> dict[str, int]:
        meter = progress.Meter("steps", 8)
        for step in range(1, 4):
            progress.measured(step, {"loss": 3.0 / step, "note": "none", "bad": float("nan")})
            meter.advance()
        return {}

    object.__setattr__(first, "run", train)
    run.run(
        recipe, lambda _: None, until=first.name,
        changed=lambda: pages.append(progress_page.page(recipe.out)),
    )  # fmt: skip
    assert any("running: steps 3 of 8" in page and "loss, nats per token" in page for page in pages)


def test_measurements_are_kept_as_numbers_and_nowhere_when_no_run_goes_on(tmp_path: Path) -> None:
    progress.measured(1, {"loss": 1.0})
    with progress.watched(tmp_path / "now"):
        progress.measured(2, {"loss": 0.5, "good": True, "text": "x", "bad": float("inf")})
        lines = (tmp_path / "now" / progress.MEASURED).read_text().splitlines()
    assert list(map(json.loads, lines)) == [{"step": 2, "loss": 0.5}] and not (tmp_path / "now").exists()


def test_half_a_line_of_a_killed_run_is_passed_over(tmp_path: Path) -> None:
    recipe = load.load(timed(tmp_path))
    run.run(recipe, lambda _: None)
    (recipe.out / run.NOTES).mkdir()
    (recipe.out / run.NOTES / progress.METER).write_text('{"label": "st')
    assert "finished</title>" in progress_page.page(recipe.out)
