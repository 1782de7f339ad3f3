"""Jobs over shards leave the same bytes in one process, in several, on Ray, and after any kill; no row is
lost or done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import kill_workers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import io, shards
from medxiaohe.errors import DataError, Rejected, StorageError, UsageError

UPPER = "jobs_for_tests:upper"
HERE = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def workers_find_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))


def corpus(folder: Path, num: int = 40) -> Path:
    path = folder / "rows.jsonl"
    io.write_jsonl(path, ({"id": str(i), "text": f"Zeile {i} π " * (1 + i % 5)} for i in range(num)))
    return path


def output(work: Path, pieces: list[shards.Shard], **how: object) -> bytes:
    done = list(shards.run(UPPER, pieces, work, **how))  # type: ignore[arg-type]
    assert sum(summary["rows"] for _, summary in done) == 40
    return b"".join((folder / "upper.jsonl").read_bytes() for folder, _ in done)


LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30)


@settings(max_examples=60, deadline=None)
@given(texts=LINES, size=st.integers(1, 200), last=st.booleans())
def test_shards_are_whole_lines_and_together_the_file(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], size: int, last: bool
) -> None:
    path = tmp_path_factory.mktemp("x") / "a"
    path.write_bytes(b"\n".join(texts) + (b"\n" if last else b""))
    data, at = path.read_bytes(), 0
    for number, shard in enumerate(shards.split([path], size)):
        assert (shard.number, shard.start) == (number, at) and shard.end > at
        assert shard.start == 0 or data[shard.start - 1 : shard.start] == b"\n"
        at = shard.end
    assert at == len(data)


def test_one_process_and_three_leave_the_same_bytes(tmp_path: Path) -> None:
    pieces = shards.split([corpus(tmp_path)], 300)
    assert len(pieces) > 5
    assert output(tmp_path / "one", pieces) == output(tmp_path / "three", pieces, workers=3)


def test_the_job_of_a_killed_worker_is_done_by_another(tmp_path: Path) -> None:
    pieces = shards.split([corpus(tmp_path)], 300)
    whole = output(tmp_path / "one", pieces)
    assert (
        output(tmp_path / "killed", pieces, workers=2, options={"die_once": str(tmp_path / "died")}) == whole
    )
    assert (tmp_path / "died").is_dir()


def test_a_job_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    pieces = shards.split([corpus(tmp_path)], 300)
    with pytest.raises(StorageError, match=r"worker processes died 3 times .* at .*rows\.jsonl from byte"):
        output(tmp_path / "killed", pieces, workers=2, options={"die_always": 3})


def test_an_error_in_a_worker_names_the_line(tmp_path: Path) -> None:
    path = corpus(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"id": \n')
    for workers in (1, 2):
        with pytest.raises(DataError, match=r"rows\.jsonl: the line at byte \d+: not JSON"):
            output(tmp_path / str(workers), shards.split([path], 300), workers=workers)


def test_a_killed_driver_goes_on_where_it_was_and_leaves_no_worker_behind(tmp_path: Path) -> None:
    path, work = corpus(tmp_path), tmp_path / "work"
    pieces = shards.split([path], 300)
    whole = output(tmp_path / "one", pieces)
    code = (
        "from pathlib import Path\nfrom medxiaohe import shards\nif __name__ == '__main__':\n   "
        f" list(shards.run({UPPER!r}, shards.split([Path({str(path)!r})], 300), Path({str(work)!r}),"
        " workers=2, options={'wait': 0.3}))\n"
    )
    (tmp_path / "driver.py").write_text(code)
    driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py")])
    for _ in range(600):
        if len(list(work.glob("[0-9]*/stage.json"))) >= 2:
            break
        time.sleep(0.05)
    children = [int(c) for c in Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()]
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = {p: p.stat().st_mtime_ns for p in work.glob("[0-9]*/stage.json")}
    assert 2 <= len(before) < len(pieces) and children
    time.sleep(1.0)
    assert not [
        c
        for c in children
        if Path(f"/proc/{c}/cmdline").exists() and b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()
    ]
    assert output(work, pieces, workers=2) == whole
    assert {p: p.stat().st_mtime_ns for p in before} == before, "a finished job was done again"


def test_a_damaged_part_is_made_again(tmp_path: Path) -> None:
    pieces = shards.split([corpus(tmp_path)], 300)
    whole = output(tmp_path / "work", pieces)
    part = tmp_path / "work" / "000001" / "upper.jsonl"
    part.write_bytes(part.read_bytes()[:-3])
    assert output(tmp_path / "work", pieces) == whole


def test_wrong_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1 byte"):
        shards.split([corpus(tmp_path)], 0)
    with pytest.raises(UsageError, match="workers must be at least 1"):
        list(shards.run(UPPER, [], tmp_path, workers=0))
    assert shards.split([]) == []


@pytest.mark.slow
def test_ray_leaves_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    pieces = shards.split([corpus(tmp_path)], 300)
    whole = output(tmp_path / "one", pieces)
    assert (
        output(
            tmp_path / "ray", pieces, engine="ray", workers=2, options={"die_once": str(tmp_path / "died")}
        )
        == whole
    )
    assert (tmp_path / "died").is_dir()
    with pytest.raises(StorageError, match="workers died"):
        output(tmp_path / "killed", pieces, engine="ray", workers=2, options={"die_always": 3})
    path = tmp_path / "rows.jsonl"
    path.write_bytes(path.read_bytes() + b'{"id": \n')
    with pytest.raises(DataError, match="not JSON"):
        output(tmp_path / "bad", shards.split([path], 300), engine="ray", workers=2)


def test_an_error_of_any_kind_comes_out_of_a_worker_as_itself(tmp_path: Path) -> None:
    pieces = shards.split([corpus(tmp_path)], 300)
    with pytest.raises(Rejected, match="no such row") as caught:
        output(tmp_path / "refused", pieces, workers=2, options={"refuse": 1})
    assert (caught.value.code, caught.value.offset) == ("bomb", 7)
    with pytest.raises(RuntimeError, match="Unsendable: two words"):
        output(tmp_path / "odd", pieces, workers=2, options={"odd": 1})


@pytest.mark.parametrize("seed", range(4))
def test_workers_killed_at_any_time_even_while_they_start_never_hang_the_driver(
    seed: int, tmp_path: Path
) -> None:
    """Five kills each run: `python tests/kill_workers.py 500` does as many as are wanted."""
    for kill in range(5):
        found = kill_workers.one(tmp_path / str(kill), random.Random(seed * 1000 + kill))
        assert found.ended and found.seconds_after <= kill_workers.MAX_SECONDS, found
        assert found.right or found.sentence, found
