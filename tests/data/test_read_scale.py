"""data.read in parts: the same rows however sources are divided, the same bytes whatever the workers and
after any kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import engine
import pytest
from test_crash import assert_all_like, kills

from medxiaohe import io
from medxiaohe.data.read import ReadSettings, Source, read

FILES = ("samples.jsonl", "dead.jsonl", "coverage.json")
NAMES = ("pneumonia", "asthma", "influenza")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    rows = [
        {"id": f"my:{i}", "name": name, "kind": "disease", "source": "mine", "license": "CC0-1.0"}
        for i, name in enumerate(NAMES)
    ]
    with io.publish(folder / "tree", record=lambda: {}) as draft:
        io.write_jsonl(draft / "entities.jsonl", rows)
    return folder / "tree"


def questions(folder: Path, num_files: int = 6, rows: int = 8) -> Path:
    """Files of chat rows: one has a bad row, one repeats ids of another, and a table lies beside them."""
    for number in range(num_files):
        lines = [
            {
                "id": f"{number}-{n}" if (number, n) != (4, 2) else "1-3",
                "messages": [
                    {"role": "user", "content": f"What is {NAMES[n % 3]} in case {number} {n}?"},
                    {"role": "assistant", "content": f"A disease of kind {n}."},
                ],
            }
            for n in range(rows)
        ]
        io.write_jsonl(folder / "chat" / f"{number:02d}.jsonl", lines)
    with open(folder / "chat" / "03.jsonl", "a") as file:
        file.write('{"id": "broken"\n')
    (folder / "table.csv").write_text(
        "text,id\n" + "".join(f"A patient with {NAMES[n % 3]} number {n}.,{n}\n" for n in range(20))
    )
    return folder


def sources(folder: Path) -> tuple[Source, ...]:
    chat = Source(
        reader="chat_jsonl", path=str(folder / "chat"), license="CC0-1.0", options={"bad_rows": "skip"}
    )
    table = Source(
        reader="table",
        path=str(folder / "table.csv"),
        license="CC0-1.0",
        options={"columns": {"text": "text", "id": "id"}},
    )
    return chat, table


def done(folder: Path, name: str, tree: Path, **settings: Any) -> dict[str, Any]:
    (folder / name).mkdir()
    return read(ReadSettings(sources(folder), **settings), folder / name, tree=tree)


def test_rows_are_the_same_however_files_are_divided_and_bytes_whatever_the_workers(
    tmp_path: Path, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions(tmp_path)
    whole = done(tmp_path, "whole", tree)
    apart = done(tmp_path, "apart", tree, part_mb=0.0001)
    assert apart == whole and whole["account"]["read"] == 69
    assert whole["account"] == {"read": 69, "written": 67, "dropped": {}, "dead": {"json": 1, "duplicate": 1}}
    for name in ("samples.jsonl", "coverage.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "apart" / name).read_bytes()
    letters = [sorted(map(str, io.read_jsonl(tmp_path / name / "dead.jsonl"))) for name in ("whole", "apart")]
    assert letters[0] == letters[1]
    assert done(tmp_path, "two", tree, part_mb=0.0001, workers=2) == apart
    assert all(
        (tmp_path / "two" / name).read_bytes() == (tmp_path / "apart" / name).read_bytes() for name in FILES
    )
    assert (
        "data.read: read 69 = written 67 + dropped 0 + dead 2 (duplicate 1, json 1)"
        in capsys.readouterr().err
    )


def test_a_bad_file_of_a_folder_is_a_dead_letter_and_the_others_are_read(tmp_path: Path, tree: Path) -> None:
    good = "227508|t|Pneumonia of rats.\n227508|a|In rats with pneumonia the pressure fell.\n\n"
    tokens = "Chronic\tB-Cancer\nmyeloid\tI-Cancer\n.\tO\n\n"
    for reader, ending, text in (("pubtator", "txt", good), ("iob_tsv", "tsv", tokens)):
        folder = tmp_path / reader
        folder.mkdir()
        (folder / f"a.{ending}").write_bytes(b"\xff\xfe\x00broken\n")
        (folder / f"b.{ending}").write_text(text)
        (tmp_path / f"out-{reader}").mkdir()
        summary = read(
            ReadSettings((Source(reader=reader, path=str(folder)),)), tmp_path / f"out-{reader}", tree=tree
        )
        assert summary["written"] == 1 and summary["dead"] == 1
        (letter,) = io.read_jsonl(tmp_path / f"out-{reader}" / "dead.jsonl")
        assert letter["where"] == f"a.{ending}" and letter["sha256"]


@pytest.mark.slow
def test_ray_reads_the_same_bytes(tmp_path: Path, tree: Path) -> None:
    pytest.importorskip("ray")
    questions(tmp_path)
    done(tmp_path, "one", tree, part_mb=0.0001)
    done(tmp_path, "ray", tree, part_mb=0.0001, workers=2, engine="ray")
    assert all(
        (tmp_path / "ray" / name).read_bytes() == (tmp_path / "one" / name).read_bytes() for name in FILES
    )


def command(folder: Path, tree: Path, *more: str) -> list[str]:
    questions(folder, 4, 4)
    given = [
        {
            "reader": "chat_jsonl",
            "path": str(folder / "chat"),
            "license": "CC0-1.0",
            "options": {"bad_rows": "skip"},
        }
    ]
    (folder / "read.yaml").write_text(str({"sources": given, "part_mb": 0.0001}))
    return ["data", "read", "--with", str(folder / "read.yaml"), "--input", f"tree={tree}", *more]


@pytest.mark.long
def test_reading_killed_at_any_write_goes_on_to_the_same_bytes(tmp_path: Path, tree: Path) -> None:
    words = command(tmp_path, tree)
    whole = engine.medxiaohe(*words, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    num = kills(tmp_path / "killed", *words, "--out", "@")
    assert num > 40
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)


@pytest.mark.long
def test_a_driver_with_workers_killed_at_random_loses_and_repeats_nothing(tmp_path: Path, tree: Path) -> None:
    """Reading, curation and mixing of one recipe, its process group killed again and again until it gets
    through."""
    questions(tmp_path, 8, 30)
    given = [
        {
            "reader": "chat_jsonl",
            "path": str(tmp_path / "chat"),
            "license": "CC0-1.0",
            "options": {"bad_rows": "skip"},
        }
    ]
    many = {"workers": 2}
    stages = {
        "tree": {
            "uses": "entity.build",
            "with": {"vocabularies": [{"reader": "tsv", "path": str(tmp_path / "mine.tsv")}]},
        },
        "corpus": {
            "uses": "data.read",
            "needs": {"tree": "tree"},
            "with": {"sources": given, "part_mb": 0.0001, **many},
        },
        "linked": {
            "uses": "data.link",
            "needs": {"tree": "tree", "corpus": "corpus"},
            "with": {"rules": False, "shard_mb": 0.02, **many},
        },
        "curated": {
            "uses": "data.curate",
            "needs": {"corpus": "linked"},
            "with": {"shard_mb": 0.02, "filters": [], **many},
        },
        "mixture": {
            "uses": "data.mixture",
            "needs": {"data": "curated"},
            "with": {"instructions": 60, "shard_mb": 0.02, **many},
        },
    }
    (tmp_path / "mine.tsv").write_text(
        "id\tname\tkind\n" + "".join(f"my:{i}\t{name}\tdisease\n" for i, name in enumerate(NAMES))
    )
    recipe = engine.recipe(tmp_path, **stages)
    start = time.monotonic()
    assert engine.medxiaohe("run", recipe, "--out", tmp_path / "whole").returncode == 0
    whole = time.monotonic() - start  # kills come within a run, however fast the machine is
    dice, environment = random.Random(3), {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for attempt in range(60):
        line = [sys.executable, "-m", "medxiaohe", "run", str(recipe), "--out", str(tmp_path / "killed")]
        process = subprocess.Popen(
            line,
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        share = dice.uniform(0.1, 0.3) if attempt < 3 else dice.uniform(0.2, 1.2)
        wait = share * whole if attempt < 12 else 300
        end = time.monotonic() + wait
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL) if dice.random() < 0.5 else process.kill()
        process.wait()
    assert process.returncode == 0 and attempt >= 2
    assert engine.files(tmp_path / "killed") == engine.files(tmp_path / "whole") and not engine.drafts(
        tmp_path / "killed"
    )
