"""What a finished stage was made of is compared with what there is now: code, YAML tasks, data, scorers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import engine
import pytest
import yaml

from medxiaohe import io, tasks
from medxiaohe.assets import digests
from medxiaohe.recipe import identity, load, run

ROOT = Path(__file__).parent.parent.parent
BOT = "def answer(messages):\n    return 'B'\n"
TASK = """
task: eye
about: Which eye is it?
dataset_path: rows.jsonl
test_split: test
doc_to_text: question
doc_to_choice: options
doc_to_target: gold
prompt: choice
metric_list: [{metric: choice}]
license: CC0-1.0
example: {question: "Which eye?", options: [left, right], gold: B}
"""
ROWS = [{"question": f"Which eye is {n}?", "options": ["left", "right"], "gold": "B"} for n in range(3)]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that a test may edit."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(
        ROOT / "medxiaohe", folder / "medxiaohe", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text(BOT)
    (tmp_path / "eye.yaml").write_text(TASK)
    io.write_jsonl(tmp_path / "rows.jsonl", ROWS)
    stages = {
        "exam": {
            "uses": "evals.run",
            "with": {"model": "bot.py:answer", "backend": "python", "tasks": [{"name": "eye.yaml"}]},
        }
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"out": "out", "stages": stages}))
    return tmp_path


def command(package: Path, place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run(
        [sys.executable, "-m", "medxiaohe", *words],
        cwd=place,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )


EVAL = ("eval", "run", "--model", "bot.py:answer", "--tasks", "eye.yaml", "--no-page", "--out", "alone")
RUN = ("run", "recipe.yaml")


def edit_yaml(package: Path, place: Path) -> None:
    file = place / "eye.yaml"
    file.write_text(file.read_text().replace("Which eye is it?", "Which of the two is it?"))


def edit_row(package: Path, place: Path) -> None:
    io.write_jsonl(place / "rows.jsonl", [*ROWS[:2], {**ROWS[2], "gold": "A"}])


def edit_helper_of_the_scorer(package: Path, place: Path) -> None:
    file = package / "medxiaohe/scoring/_text.py"
    file.write_text(file.read_text() + f"\n# {place}\n")


EDITS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a YAML task": (edit_yaml, "eye.yaml:"),
    "a row of its data": (edit_row, "data.rows.jsonl:"),
    "a helper of its scorer": (edit_helper_of_the_scorer, "code.medxiaohe.scoring._text:"),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_evaluation_is_refused_when_what_it_rests_on_was_edited(
    what: str, package: Path, place: Path
) -> None:
    edit, named = EDITS[what]
    for words in (RUN, EVAL):
        done = command(package, place, *words)
        assert done.returncode == 0, done.stderr
    assert "done     exam" in command(package, place, *RUN).stderr
    dry = command(package, place, *RUN, "--dry-run")
    assert dry.returncode == 0 and ["exam", "done"] in map(str.split, dry.stdout.splitlines())
    before = engine.files(place / "out")
    edit(package, place)
    for words in (RUN, EVAL):
        refused = command(package, place, *words)
        assert refused.returncode == 2 and named in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr and "accept-change" in refused.stderr
    dry = command(package, place, *RUN, "--dry-run")
    assert dry.returncode == 1 and "changed: " in dry.stdout and named in dry.stdout
    assert engine.files(place / "out") == before


def test_a_helper_of_a_finished_stage_that_was_edited_is_named(package: Path, tmp_path: Path) -> None:
    engine.data_recipe(tmp_path)
    words = (*RUN, "--out", "out")
    assert command(package, tmp_path, *words).returncode == 0
    file = package / "medxiaohe/data/mixing/draw.py"
    before = file.read_text()
    file.write_text(before + "\n# a change\n")
    refused, dry = command(package, tmp_path, *words), command(package, tmp_path, *words, "--dry-run")
    file.write_text(before)
    assert refused.returncode == 2 and "stage mixture@1 was made with other settings" in refused.stderr
    assert "code.medxiaohe.data.mixing.draw:" in refused.stderr and "done     curated" in refused.stderr
    assert dry.returncode == 1 and "code.medxiaohe.data.mixing.draw:" in dry.stdout


def test_many_changed_files_are_counted_and_three_are_named() -> None:
    old = {"settings": {"a": 1}, "code": {f"m{n}": "x" for n in range(9)}}
    now = {"settings": {"a": 2}, "code": {"fresh": "x", **{f"m{n}": "y" for n in range(8)}}}
    lines = identity.changes(old, now)
    assert lines[0] == "settings.a: 1 -> 2" and lines[-1] == "and 7 more source files" and len(lines) == 5
    assert all(line.startswith("code.m") for line in lines[1:4])


def test_a_module_that_a_file_of_ones_own_imports_and_data_it_names_count(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one")
    (tmp_path / "helper.py").write_text("WORDS = 'words.txt'\n")
    (tmp_path / "mine.py").write_text("import helper\nfrom medxiaohe.scoring.exact import exact\n")
    found = io.code.dependencies_of_file(tmp_path / "mine.py")
    assert {"mine.py", "helper.py", "words.txt", "medxiaohe.scoring.exact", "medxiaohe.types"} <= set(found)
    (tmp_path / "words.txt").write_text("two")
    again = io.code.dependencies_of_file(tmp_path / "mine.py")
    assert {key for key in found if found[key] != again[key]} == {"words.txt"}


OWN = """
import json
from pathlib import Path
from medxiaohe.scoring.exact import exact
from medxiaohe.types import Message, Sample, Task

def own(folder: str = ""):
    def samples(split):
        for line in open(Path(folder or Path(__file__).parent) / f"{split}.rows"):
            row = json.loads(line)
            yield Sample(row["id"], (Message("user", (row["q"],)), Message("assistant", ("yes",))), "yes")
    return Task("own", samples, (exact,), Sample("x", (Message("user", ("q",)),)), "CC0-1.0")
"""


def test_what_a_task_of_ones_own_opens_is_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "test.rows").write_text('{"id": "1", "q": "Is it?"}\n')
    first = tasks.reads("own.py:own", {}, split="test")
    assert set(first.data) == {"test.rows"} and "medxiaohe.scoring.exact" in first.code
    (tmp_path / "test.rows").write_text('{"id": "1", "q": "Was it?"}\n')
    assert tasks.reads("own.py:own", {}, split="test").data != first.data
    assert "unreadable" in tasks.reads("own.py:own", {}, split="train").data


def test_a_file_or_folder_that_an_option_names_is_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/test.rows").write_text('{"id": "1", "q": "Is it?"}\n')
    (tmp_path / "rows/.draft").write_text("hidden files do not count")
    first = tasks.reads("own.py:own", {"folder": "rows"}, split="test").data
    assert "rows" in first
    (tmp_path / "rows/more.png").write_text("a picture")
    assert tasks.reads("own.py:own", {"folder": "rows"}, split="test").data["rows"] != first["rows"]


def test_data_of_the_hub_is_not_fetched_to_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_OFFLINE", "1")
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path))  # where no commit is known
    found = tasks.reads("slake", {}, split="test")
    assert found.data == {"hub:BoKelvin/SLAKE": "no revision"}


def test_the_digest_of_a_large_folder_is_kept_until_a_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "LARGE", 10)
    folder = tmp_path / "rows"
    io.write_text(folder / "a.jsonl", "1" * 100)
    first = digests.content(folder)
    read = list[Path]()
    monkeypatch.setattr(io, "sha256", lambda path: read.append(path) or "0")
    assert digests.content(folder) == first and not read
    io.write_text(folder / "a.jsonl", "2" * 100)
    assert digests.content(folder) != first and read == [folder / "a.jsonl"]


def test_a_stage_knows_every_module_its_jobs_import(tmp_path: Path) -> None:
    recipe = load.load(engine.data_recipe(tmp_path))
    found = {stage.name: identity.code(stage) for stage in recipe.stages}
    assert "medxiaohe.data.mixing.draw" in found["mixture"]
    assert {"medxiaohe.data.cleaning.curation", "medxiaohe.data.filters.too_short"} <= set(found["curated"])
    assert "medxiaohe.data.readers.chat_jsonl" in found["corpus"]
    assert "medxiaohe.data.readers.pdf" not in found["corpus"]
    assert set(run.plan(recipe).values()) == {"run"}


def test_the_scorers_of_the_tasks_that_prompts_name_are_code_of_a_stage_that_scores(tmp_path: Path) -> None:
    from medxiaohe.train.rl import RLSettings
    from medxiaohe.types import Message, Sample

    prompts = [Sample("1", (Message("user", ("q",)),), source=name) for name in ("medcalc", "mine", "medqa")]
    io.write_jsonl(tmp_path / "prompts.jsonl", prompts)
    found = RLSettings().reads({"data": tmp_path}).code
    assert {"medxiaohe.scoring.numeric", "medxiaohe.scoring.choice", "tasks/medqa.yaml"} <= set(found)
    assert "medxiaohe.tasks.kqa" not in found and not RLSettings().reads({"data": tmp_path / "none"}).code
