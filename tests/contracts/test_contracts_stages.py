"""Every stage over shards keeps the contract of its kind; a stage of one's own loses no record of its rows.

A stage is one over shards when its settings have `workers` and `engine`; the recipe below must have each of
them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import corpora_for_tests as corpora
import engine
import pytest
import yaml

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.recipe import load, run
from medxiaohe.recipe.load import Recipe, settings_type
from medxiaohe.train.loop.contamination_check import refuse_unchecked

OWN = '''
"""A stage of one's own: rows that are asked in capitals go."""

from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io


@dataclass(frozen=True)
class QuietSettings:
    most: float = 0.5  # share of capital letters
    say: str = ""  # one more row, of this text


def quiet(settings: QuietSettings, out: Path, *, corpus: Path) -> dict:
    """Drop rows that shout."""
    kept = [sample for sample in io.read_samples(corpus / "samples.jsonl") if not shouts(sample, settings)]
    rows = list(map(io.to_json, kept))
    if settings.say:
        rows.append({**rows[0], "id": "new/1", "messages": [{"role": "document", "parts": [settings.say]}]})
    return {"rows": io.write_jsonl(out / "samples.jsonl", rows)}


def shouts(sample, settings):
    letters = [letter for letter in sample.text if letter.isalpha()]
    return sum(map(str.isupper, letters)) > settings.most * len(letters)
'''
OVER_SHARDS = [
    name
    for name in plugins.stages()
    if {"workers", "engine"}
    <= {field.name for field in dataclasses.fields(settings_type(plugins.load_stage(name)))}
]
CARRIED = ("linked", "clean", "quiet")  # stages after data.curate whose rows are some of those it left


def recipe(folder: Path) -> Path:
    """From files to a mixture, in shards of about two rows."""
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    folder.mkdir()
    leak = corpora.question("t/1", "Which sign of a heart that fails is heard first at the lung bases?")
    task = corpora.task_file(folder, [leak, corpora.question("t/2", corpora.prose("other item", 30))])
    (folder / "chat").mkdir()
    for part in range(3):
        asked = [corpora.prose(f"{part} {n}", 30) for n in range(9)]
        asked[0] = leak.messages[0].text if part == 1 else asked[0]
        asked[1] = asked[1].upper()
        asked[2] = f"Mr. John Miller, born 3 May 1961, {asked[2]} pneumonia"
        rows = [corpora.asks(f"{text} {part} {n}?", f"{text[:40]}.") for n, text in enumerate(asked)]
        rows[0] = corpora.asks(asked[0])
        rows.append(rows[3])
        corpora.chat(folder / f"chat/{part}.jsonl", *[{"id": f"{part}{n}", **r} for n, r in enumerate(rows)])
    (folder / "mine.tsv").write_text("id\tname\tkind\nm:1\tpneumonia\tdisease\nm:2\theart\tanatomy\n")
    (folder / "own.py").write_text(OWN)
    tiny = {"shard_mb": 0.001}
    curated = {**tiny, "against": [{"task": task}], "filters": ["too_short"]}
    source = {"reader": "chat_jsonl", "path": str(folder / "chat"), "name": "mine", "license": "CC0-1.0"}
    stages: dict[str, dict[str, Any]] = {
        "tree": {
            "uses": "entity.build",
            "with": {"vocabularies": [{"reader": "tsv", "path": str(folder / "mine.tsv")}]},
        },
        "corpus": {
            "uses": "data.read",
            "needs": {"tree": "tree"},
            "with": {"sources": [source], "part_mb": 0.001},
        },
        "curated": {"uses": "data.curate", "needs": {"corpus": "corpus", "tree": "tree"}, "with": curated},
        "linked": {"uses": "data.link", "needs": {"corpus": "curated", "tree": "tree"}, "with": tiny},
        "clean": {"uses": "data.deidentify", "needs": {"corpus": "linked"}, "with": tiny},
        "quiet": {"uses": f"{folder}/own.py:quiet", "needs": {"corpus": "clean"}},
        "mixture": {
            "uses": "data.mixture",
            "needs": {"data": "quiet", "tree": "tree"},
            "with": {**tiny, "instructions": 9},
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    return folder / "recipe.yaml"


def loaded(path: Path, out: Path, *changes: str) -> Recipe:
    return load.load(path, list(changes), out)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe(tmp_path_factory.mktemp("stages") / "made")


@pytest.fixture(scope="module")
def whole(path: Path) -> Path:
    out = path.parent / "whole"
    run.run(loaded(path, out), lambda text: None)
    return out


def summary(whole: Path, name: str) -> dict[str, Any]:
    return io.read_record(whole / name / "1")["summary"]


def num_rows(folder: Path) -> int:
    names = ("samples.jsonl", "documents.jsonl", "instructions.jsonl", "prompts.jsonl")
    return sum(len((folder / name).read_bytes().splitlines()) for name in names if (folder / name).is_file())


def test_the_recipe_has_every_stage_over_shards(path: Path) -> None:
    uses = {stage.uses for stage in loaded(path, path.parent / "out").stages}
    assert set(OVER_SHARDS) <= uses, "add the new stage to the recipe of this test"


@pytest.mark.parametrize("uses", OVER_SHARDS)
def test_the_account_of_a_stage_adds_up(uses: str, path: Path, whole: Path) -> None:
    stage = next(stage for stage in loaded(path, whole).stages if stage.uses == uses)
    account = summary(whole, stage.name)["account"]
    gone = sum(account["dropped"].values()) + sum(account["dead"].values())
    assert account["read"] == account["written"] + gone
    assert account["written"] == num_rows(whole / stage.name / "1") > 0
    before = stage.needs.get("corpus") or stage.needs.get("data")
    assert account["read"] == (num_rows(whole / before / "1") if before else 30)
    if uses == "data.curate":
        assert account["dropped"]["test_text"] == 1 and account["dropped"]["exact_duplicate"] == 3


@pytest.mark.slow
def test_two_workers_leave_the_same_bytes(path: Path, whole: Path) -> None:
    out = path.parent / "two"
    names = [stage.name for stage in loaded(path, out).stages if stage.uses in OVER_SHARDS]
    run.run(loaded(path, out, *(f"{name}.workers=2" for name in names)), lambda text: None)
    assert engine.files(out) == engine.files(whole)


KILLED = """
import sys
sys.path.insert(0, {tests!r})
import crash_driver, numpy, PIL.Image, yaml, pydantic
from medxiaohe.cli import main
from medxiaohe.data import curate, link, mixture, read
crash_driver.main, times = main, 0
while crash_driver.forked({arguments!r}, 151 if times < 40 else 0):
    times += 1
print(times)
"""


@pytest.mark.long
def test_killed_over_and_over_a_recipe_ends_with_the_same_bytes(path: Path, whole: Path) -> None:
    """Each process is killed at its 151st durable step; the next goes on."""
    out, tests = path.parent / "killed", Path(__file__).parent.parent
    script = KILLED.format(tests=str(tests), arguments=["run", str(path), "--out", str(out)])
    env = {**os.environ, "PYTHONPATH": str(tests.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, timeout=400
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 2 < int(done.stdout.splitlines()[-1]) < 40, done.stdout[-200:]
    assert engine.files(out) == engine.files(whole) and not engine.drafts(out)


@pytest.mark.parametrize("name", CARRIED)
def test_what_rows_were_compared_with_and_what_they_cover_goes_with_them(name: str, whole: Path) -> None:
    folder, before = whole / name / "1", whole / "curated/1"
    assert io.read_json(folder / "contamination.json") == io.read_json(before / "contamination.json")
    covered = io.read_json(folder / "coverage.json")
    rows = [sample.entities for sample in io.read_samples(folder / "samples.jsonl")]
    assert covered and covered == {id: sum(id in row for row in rows) for id in sorted(covered)}


def test_training_sees_the_report_after_a_stage_of_ones_own(path: Path, whole: Path) -> None:
    found = io.read_json(whole / "mixture/1/mixture.json")["contamination"]
    assert found["checked"] == {"mine": 2} and found["removed"] == 1
    refuse_unchecked(whole / "mixture/1", False, "train.sft")
    dropped = num_rows(whole / "clean/1") - num_rows(whole / "quiet/1")
    assert dropped == 3, "the stage dropped the rows that shout"


def test_rows_that_a_stage_adds_were_compared_with_nothing(path: Path, whole: Path) -> None:
    folders = {"clean": whole / "clean/1", "tree": whole / "tree/1"}
    own = load.stage("quiet", f"{path.parent}/own.py:quiet", {"say": "heart"}, {"corpus": "clean"})
    mixed = load.stage("mixture", "data.mixture", {"documents": 1}, {"data": "quiet", "tree": "tree"})
    out = path.parent / "added"
    run.run(Recipe("added", out, (own, mixed)), lambda text: None, given=folders)
    assert not (out / "quiet/1/contamination.json").exists() and (out / "quiet/1/coverage.json").is_file()
    with pytest.raises(ConfigError, match="compared with no test split"):
        refuse_unchecked(out / "mixture/1", False, "train.cpt")


AFTER = """
from dataclasses import dataclass
from pathlib import Path
from medxiaohe import io

@dataclass(frozen=True)
class HalfSettings:
    every: int = 2

def half(settings: HalfSettings, out: Path, *, data: Path) -> None:
    rows = list(io.read_jsonl(data / "instructions.jsonl"))
    io.write_jsonl(out / "instructions.jsonl", rows[:: settings.every])
"""


def test_a_stage_of_ones_own_after_the_mixture_keeps_the_report_too(path: Path, whole: Path) -> None:
    (path.parent / "after.py").write_text(AFTER)
    own = load.stage("half", f"{path.parent}/after.py:half", {}, {"data": "mixture"})
    out = path.parent / "after"
    run.run(Recipe("after", out, (own,)), lambda text: None, given={"mixture": whole / "mixture/1"})
    refuse_unchecked(out / "half/1", False, "train.sft")
    kept = json.loads((out / "half/1/mixture.json").read_text())["contamination"]
    assert kept == io.read_json(whole / "mixture/1/mixture.json")["contamination"]
