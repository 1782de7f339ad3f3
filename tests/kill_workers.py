"""Kill workers of a driver at random times and say how each run ended.

    python tests/kill_workers.py 500 [0]    # runs, first seed: one line of JSON says how they ended

A run reads 12 small shards with two workers in a process of its own. After a random wait, which covers the
start of the workers, their jobs and their end, one process below the driver gets SIGKILL. It must end within
MAX_SECONDS of that, with the bytes of a quiet run or with one sentence.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io

HERE = Path(__file__).parent
MAX_SECONDS = 10.0
NUM_SHARDS = 12
DRIVER = """
import sys
from pathlib import Path
from medxiaohe import shards
from medxiaohe.errors import MedError

if __name__ == "__main__":
    path, work = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        pieces, options = shards.split([path], 60), {"wait": 0.02}
        done = shards.run("jobs_for_tests:upper", pieces, work, options=options, workers=2)
        data = b"".join((folder / "upper.jsonl").read_bytes() for folder, _ in done)
    except MedError as error:
        print(error)
        sys.exit(3)
    (work.parent / "out").write_bytes(data)
"""


@dataclass(frozen=True)
class Outcome:
    killed: bool  # whether there was a process to kill
    ended: bool
    seconds_after: float  # from the kill to the end of the driver
    right: bool  # the bytes of a quiet run
    sentence: str
    text: str  # all that the driver wrote


def one(folder: Path, chance: random.Random) -> Outcome:
    """Run the driver and kill one of its processes after a random wait."""
    rows = [{"id": str(i), "text": f"Row {i} " * 4} for i in range(NUM_SHARDS)]
    io.write_jsonl(folder / "rows.jsonl", rows)
    want = b"".join(
        json.dumps({"id": row["id"], "text": row["text"].upper()}).encode() + b"\n" for row in rows
    )
    (folder / "driver.py").write_text(DRIVER)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    command = [sys.executable, str(folder / "driver.py"), str(folder / "rows.jsonl"), str(folder / "work")]
    driver = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    killed = _kill_one(driver.pid, chance)
    start = time.monotonic()
    try:
        text = driver.communicate(timeout=MAX_SECONDS)[0]
    except subprocess.TimeoutExpired:
        driver.kill()
        driver.communicate()
        return Outcome(killed, False, time.monotonic() - start, False, "", "")
    seconds = time.monotonic() - start
    out = folder / "out"
    right = driver.returncode == 0 and out.is_file() and _rows(out.read_bytes()) == _rows(want)
    said = text.strip() if driver.returncode == 3 and len(text.strip().splitlines()) == 1 else ""
    return Outcome(killed, True, seconds, right, said, text)


def _rows(data: bytes) -> list[object]:
    return [json.loads(line) for line in data.splitlines()]


def _kill_one(driver: int, chance: random.Random) -> bool:
    """SIGKILL to a child of the driver that was alive after a random wait from the first child on."""
    children = Path(f"/proc/{driver}/task/{driver}/children")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if children.read_text().split():
                break
        except OSError:
            return False
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 1.0) ** 2 * 1.5)  # most kills early: while workers start
    try:
        os.kill(int(chance.choice(children.read_text().split())), signal.SIGKILL)
    except (OSError, IndexError):
        return False
    return True


def main(number: int, first: int = 0) -> None:
    ends, slowest = Counter[str](), 0.0
    for seed in range(first, first + number):
        with tempfile.TemporaryDirectory() as folder:
            found = one(Path(folder), random.Random(seed))
        ends["killed"] += found.killed
        ends["right" if found.right else "sentence" if found.sentence else "wrong"] += 1
        slowest = max(slowest, found.seconds_after)
        if not (found.right or found.sentence):
            print(seed, found, flush=True)
    print(json.dumps({"runs": number, **ends, "slowest_s": round(slowest, 1)}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
