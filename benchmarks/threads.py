"""Processor time of data.curate over X-rays: as the machine is, beside two busy processes, and in a
container.

    python benchmarks/threads.py                    # 900 made-up X-rays of 1,024 x 1,024: about 4 minutes
    python benchmarks/threads.py --pictures 300 --turns 1

All rows have the same words, so every picture is compared with those before it. The quota is one core of a
cgroup (version 1 or 2) where this process may make one, else an affinity of one core. Each condition runs in
turn; the least processor time of the turns counts, because other work of the machine only adds to it.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medxiaohe import images, io
from medxiaohe.data.curate import CurateSettings, curate
from medxiaohe.threads import SINGLE
from medxiaohe.types import Message, Sample

SIDE = 1024
GROUP = "medxiaohe_benchmark"


def picture(seed: int) -> Image.Image:
    """Grey values that change as slowly as those of an X-ray, with some grain; all share half of them."""
    dice = np.random.default_rng(seed)
    shared = np.random.default_rng(0).integers(0, 120, (6, 6), np.uint8)
    layers = [
        np.asarray(Image.fromarray(shared).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(float)
    ]
    layers += [
        np.asarray(
            Image.fromarray(dice.integers(0, most, (n, n), np.uint8)).resize(
                (SIDE, SIDE), Image.Resampling.BICUBIC
            )
        ).astype(float)
        for n, most in ((5, 70), (24, 60), (SIDE, 12))
    ]
    return Image.fromarray(np.clip(sum(layers), 0, 255).astype(np.uint8))


def corpus(folder: Path, count: int) -> None:
    """The output of a reading stage: rows of one picture each, all with the same words."""
    rows = []
    for number in range(count):
        path = folder / "pictures" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path, quality=90)
        asked = Message("user", (images.ref(path), "Describe the chest X-ray."))
        rows.append(Sample(f"x/{number}", (asked, Message("assistant", ("No finding.",))), source="x"))
    io.write_jsonl(folder / "corpus" / "samples.jsonl", rows)


def once(folder: str) -> None:
    """The work that is measured, in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        counts = curate(CurateSettings(filters=()), Path(out), corpus=Path(folder) / "corpus")
    print(counts["kept"], file=sys.stderr)


def seconds(folder: Path) -> float:
    """Processor time of one run that is told nothing of threads."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {key: value for key, value in os.environ.items() if key not in SINGLE}
    subprocess.run(
        [sys.executable, __file__, "--once", str(folder)], env=env, check=True, stderr=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def spin() -> None:
    while True:
        pass


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    others = [multiprocessing.get_context("fork").Process(target=spin, daemon=True) for _ in range(count)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


@contextlib.contextmanager
def one_core() -> Iterator[str]:
    """A quota of one core for what this process starts; gives what it is."""
    for top, name, value in (
        (Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us", "100000"),
        (Path("/sys/fs/cgroup"), "cpu.max", "100000 100000"),
    ):
        group = top / GROUP
        try:
            group.mkdir(exist_ok=True)
            (group / name).write_text(value)
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
            continue
        try:
            yield f"cgroup {name}"
        finally:
            (top / "cgroup.procs").write_text(str(os.getpid()))
            group.rmdir()
        return
    whole = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(whole)[:1])
    try:
        yield "affinity"
    finally:
        os.sched_setaffinity(0, whole)


def main(pictures: int, turns: int) -> None:
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        corpus(Path(place), pictures)
        for _ in range(turns):
            found = {"as the machine is": seconds(Path(place))}
            with busy(2):
                found["beside two busy processes"] = seconds(Path(place))
            with one_core() as how:
                found[f"quota of one core ({how})"] = seconds(Path(place))
            for name, value in found.items():
                best[name] = min(best.get(name, value), value)
    quiet = best["as the machine is"]
    print(f"data.curate of {pictures} pictures of {SIDE} x {SIDE}, {len(os.sched_getaffinity(0))} cores")
    for name, value in best.items():
        print(f"  {name:<42} {value:6.1f} s of processor time, {value / quiet:.2f} of the first")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=900)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--once", metavar="FOLDER", help="used by the benchmark itself")
    given = parser.parse_args()
    if given.once:
        once(given.once)
    else:
        main(given.pictures, given.turns)
