"""A power cut at any moment leaves what was reported as done, and nothing half written is believed.

`kill -9` keeps what the kernel has in memory; a power cut does not. tests/power_cut.py gives the states that
a disk may be in.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jobs_for_tests
import pytest
from power_cut import Disk

from medxiaohe import io, shards
from medxiaohe.errors import DataError

MEMORY = Path("/dev/shm")
pytestmark = pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="needs a tmpfs")


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        (Path(folder) / "run").mkdir()
        (Path(folder) / "cuts").mkdir()
        yield Path(folder)


def watched(place: Path, seed: int = 0, each: int = 6) -> Disk:
    return Disk(place / "run", place / "cuts", random.Random(seed), each)


@pytest.mark.parametrize("seed", range(3))
def test_a_file_is_the_old_one_or_the_new_one_and_the_new_one_once_it_is_reported(
    place: Path, seed: int
) -> None:
    io.write_text(place / "run/deep/er/x.json", "old " * 2000)
    with watched(place, seed) as disk:
        io.write_text(place / "run/deep/er/x.json", "new " * 3000)
        io.write_text(place / "run/other/y.json", "first " * 1000)
        disk.cut()
    assert len(disk.states) > 50
    for state, _ in disk.states:
        assert (state / "deep/er/x.json").read_text() in ("old " * 2000, "new " * 3000)
        other = state / "other/y.json"
        assert not other.exists() or other.read_text() == "first " * 1000
    for state, _ in disk.states[-6:]:  # after the last call returned
        assert (state / "deep/er/x.json").read_text() == "new " * 3000 and (state / "other/y.json").exists()


@pytest.mark.parametrize("seed", range(3))
def test_a_published_folder_is_whole_or_not_there(place: Path, seed: int) -> None:
    def publish(text: str) -> None:
        with io.publish(place / "run/stage/1", record=lambda: {"text": text}) as draft:
            (draft / "below").mkdir()
            (draft / "rows.jsonl").write_text(text * 500)
            (draft / "below" / "more.bin").write_bytes(text.encode() * 900)

    with watched(place, seed) as disk:
        publish("first")
        disk.cut()
        reported = len(disk.states)
        publish("second")
        disk.cut()
    assert len(disk.states) > 100
    for number, (state, _) in enumerate(disk.states):
        folder = state / "stage/1"
        if folder.parent.exists():
            io.recover(folder)
        if number >= reported:
            assert folder.exists()  # an old version stays until the new one is there
        if folder.exists():
            io.verify(folder)
            assert io.read_record(folder)["text"] in ("first", "second")
    for state, _ in disk.states[-6:]:
        assert io.read_record(state / "stage/1")["text"] == "second"


def test_lines_that_were_reported_are_there_and_a_torn_one_is_dropped(place: Path) -> None:
    path = place / "run/log/rows.jsonl"
    io.write_text(path, "")
    with watched(place) as disk:
        reported = []
        for number in range(12):
            io.append_jsonl(path, [{"n": number, "text": "x" * 300}])
            disk.cut()
            reported.append(len(disk.states))
    for at, (state, _) in enumerate(disk.states):
        io.drop_torn_line(state / "log/rows.jsonl")
        rows = [row["n"] for row in io.read_jsonl(state / "log/rows.jsonl")]
        done = sum(end <= at for end in reported)
        assert rows == list(range(len(rows))) and len(rows) >= done


@pytest.mark.parametrize("seed", range(2))
def test_work_over_shards_goes_on_after_a_cut_and_ends_in_the_same_bytes(place: Path, seed: int) -> None:
    source = place / "rows.jsonl"
    source.write_text("".join(f'{{"id": "{n}", "text": "row {n}"}}\n' for n in range(60)))
    pieces = shards.split([source], shard_bytes=400)

    def work(folder: Path) -> list[bytes]:
        done = shards.run(f"{jobs_for_tests.__name__}:upper", pieces, folder)
        return [path.read_bytes() for out, _ in done for path in sorted(out.iterdir())]

    with watched(place, seed, each=2) as disk:
        wanted = work(place / "run/work")
        disk.cut()
    assert len(pieces) > 2 and len(disk.states) > 60
    for state, _ in disk.states:
        for folder in (state / "work").iterdir() if (state / "work").exists() else ():
            if not folder.name.startswith("."):
                io.verify(folder)
        assert work(state / "work") == wanted


def test_the_states_of_a_disk_show_what_a_missing_fsync_does(place: Path) -> None:
    """A test of the test: the usual ways to write a file are caught."""

    def without_sync(path: Path, text: str) -> None:
        draft = path.with_suffix(".draft")
        draft.write_text(text)
        os.replace(draft, path)

    def in_place(path: Path, text: str) -> None:
        path.write_text(text)

    for unsafe in (without_sync, in_place):
        shutil.rmtree(place / "cuts")
        (place / "cuts").mkdir()
        io.write_text(place / "run/x.txt", "old " * 1000)
        with watched(place, each=20) as disk:
            unsafe(place / "run/x.txt", "new " * 1000)
            disk.cut()
        texts = {(state / "x.txt").read_text() for state, _ in disk.states}
        assert not texts <= {"old " * 1000, "new " * 1000}, unsafe.__name__


def test_a_folder_whose_manifest_was_lost_is_not_believed(place: Path) -> None:
    with io.publish(place / "run/stage/1") as draft:
        (draft / "rows.jsonl").write_text("{}\n")
    (place / "run/stage/1/rows.jsonl").write_bytes(b"")
    with pytest.raises(DataError, match="not what was published"):
        io.verify(place / "run/stage/1")
