"""What is made to hurt ends as a typed rejected row while the run goes on (reliability.md section 2; issue:
hostile input)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import hostile_files
import pytest

from medxiaohe import io
from medxiaohe.data.read import ReadSettings, Source, read
from medxiaohe.data.readers import CODES, DeadLetter
from medxiaohe.types import Entity

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")
pytest.importorskip("pypdf")

MAX_MIB, MAX_CPU = 300, 5.0


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))


def tree(folder: Path) -> Path:
    io.write_jsonl(
        folder / "tree" / "entities.jsonl",
        [Entity("D:1", "scurvy", "disease", source="toy", license="CC0-1.0")],
    )
    return folder / "tree"


@pytest.mark.slow
def test_every_hostile_case_is_a_typed_dead_letter_and_the_run_goes_on(tmp_path: Path) -> None:
    places = hostile_files.made(tmp_path / "hostile")
    readers = {name: reader for name, (reader, _, _) in hostile_files.CASES.items()}
    sources = tuple(
        Source(
            reader=readers[name],
            path=str(place),
            name=place.name,
            options=hostile_files.options(readers[name]),
        )
        for name, place in places.items()
    )
    (tmp_path / "out").mkdir()
    summary = read(ReadSettings(sources), tmp_path / "out", tree=tree(tmp_path))
    letters = list(io.read_jsonl(tmp_path / "out" / "dead.jsonl"))
    by_source = {letter["source"]: letter for letter in letters}
    wrong = {}
    for name, place in places.items():
        letter = by_source.get(place.name, {})
        codes = hostile_files.CASES[name][2]
        if letter.get("code") not in codes or not (
            letter.get("sha256") or letter["code"] in ("unsafe_path", "surrogate", "not_finite")
        ):
            wrong[name] = letter
    assert not wrong
    assert all(
        letter["code"] in CODES and letter["reason"] and len(letter["reason"]) < 600 for letter in letters
    )
    assert len(places) >= 28 and len(letters) == len(places)
    good = {sample.source for sample in io.read_samples(tmp_path / "out" / "samples.jsonl")}
    assert good == {place.name for place in places.values()}, "the good file beside each hostile one is read"
    assert summary["read"] == summary["written"] + summary["dropped"] + summary["dead"]
    assert summary["dead"] == len(letters) == sum(summary["dead_by"].values())
    outside = [p for p in tmp_path.rglob("x.jsonl")]
    assert not outside, "nothing is written outside of an archive's folder"


@pytest.mark.long
@pytest.mark.slow
def test_no_hostile_case_takes_more_than_300_mib_or_5_seconds(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(Path(__file__).parent.with_name("hostile_driver.py")),
        str(tmp_path / "hostile"),
    ]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(hostile_files.CASES)
    over = [row for row in rows if row["mib"] > MAX_MIB or row["cpu"] > MAX_CPU]
    assert not over


def test_the_offset_of_a_bad_line_is_its_byte_in_the_file(tmp_path: Path) -> None:
    from medxiaohe.data.readers.chat_jsonl import chat_jsonl

    (tmp_path / "a.jsonl").write_bytes(hostile_files.GOOD.encode() + b'{"text": "\xff"}\n{"a": 1}\n')
    letters = [row for row in chat_jsonl(tmp_path, bad_rows="skip") if isinstance(row, DeadLetter)]
    start = len(hostile_files.GOOD)
    assert [(letter.code, letter.offset) for letter in letters] == [
        ("encoding", start + 10),
        ("row", start + 14),
    ]
