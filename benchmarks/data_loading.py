"""Planning and loading of training rows at size: time, memory, and what a second worker adds.

    python benchmarks/data_loading.py                 about six minutes on two cores; figures in
                                                      docs/results/data_loading.md
    python benchmarks/data_loading.py --images 40 --texts 200 --longest 2000 --files 4 --batches 6

Rows and images are made in a temporary folder. Every measurement is a process of its own, and its memory the
highest that the system saw of it, mapped files included. Seconds of processors do not change with what else
the machine does: two idle cores are twice as fast with two workers, less what these cost more.

    images    rows with one image of about 1 MP each, counted from headers, by one worker and by two
    texts     rows of text, counted in this process: a tenth of them, then all, to see what memory a row takes
    plan      batches of one epoch from the lengths of `--rows` rows, padded and packed, likewise
    load      batches of rows with images, unpacked and rendered ahead by one worker and by two
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe import images, io, plugins
from medxiaohe.types import ImageRef, Message, Sample

SIDE = 1024  # pixels; 1.05 MP
WORDS = (
    "the patient has fever cough and pain in chest with no effusion on image of lung heart liver kidney a"
    " dose was given"
).split()
FAMILY = "qwen3_vl"
BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000, help="rows with an image that are planned")
    parser.add_argument("--files", type=int, default=200, help="images there are; rows share them")
    parser.add_argument("--texts", type=int, default=200_000, help="rows of text that are counted")
    parser.add_argument("--longest", type=int, default=10_000_000, help="rows whose batches are planned")
    parser.add_argument("--batches", type=int, default=60, help="of eight rows with images, loaded")
    parser.add_argument("--only", nargs="*", choices=("images", "texts", "plan", "load"))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        work = json.loads(chosen.child)
        result = globals()[work.pop("call")](**work)
        print(json.dumps({"result": result, "peak": _peak(), "processor_seconds": sum(os.times()[:4])}))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), chosen)
    if chosen.json:
        io.write_json(chosen.json, found)


def measure(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """All parts, printed as they come."""
    parts = chosen.only or ["images", "texts", "plan", "load"]
    model = _in_child(call="checkpoint", folder=str(folder))["result"]
    pictures = _pictures(folder, chosen.files) if {"images", "load"} & set(parts) else []
    found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "load": [os.getloadavg()[0]]}
    print(f"{found['cores']} cores, load {found['load'][0]:.1f} before the first measurement", flush=True)
    if "images" in parts:
        file = _rows(folder / "images.jsonl", chosen.images, pictures)
        for workers in (1, 2):
            one = _in_child(call="count", file=str(file), model=model, workers=workers)
            found[f"images, workers {workers}"] = one
            seconds, tokens = one["result"]["seconds"], one["result"]["tokens"] / chosen.images
            print(
                f"images: {chosen.images:,} rows of {tokens:.0f} tokens planned in {seconds:.1f} s, {workers}"
                f" worker(s), {one['processor_seconds']:.0f} s of processors in all",
                flush=True,
            )
        _ratio(found, "images")
    if "texts" in parts:
        for number in (chosen.texts // 10, chosen.texts):
            file = _rows(folder / "texts.jsonl", number, ())
            one = _in_child(call="count", file=str(file), model=model, workers=0)
            found[f"texts, {number}"] = one
            each = one["result"]["seconds"] / number * 1e3
            print(
                f"texts: {number:,} rows, {each:.2f} ms each, peak {one['peak'] / 2**20:.0f} MiB,"
                f" {one['processor_seconds']:.0f} s of processors in all",
                flush=True,
            )
    if "plan" in parts:
        for pack_to in (0, 2048):
            for number in (chosen.longest // 10, chosen.longest):
                one = _in_child(call="batches", folder=str(folder), number=number, pack_to=pack_to)
                found[f"plan, {number}, packed to {pack_to}"] = one
                print(
                    f"plan: {number:,} rows {'packed' if pack_to else 'padded'} in"
                    f" {one['result']['seconds']:.1f} s, peak {one['peak'] / 2**20:.0f} MiB,"
                    f" {one['processor_seconds']:.1f} s of processors in all",
                    flush=True,
                )
    if "load" in parts:
        file = _rows(folder / "load.jsonl", BATCH * chosen.batches, pictures)
        for workers in (1, 2):
            one = _in_child(call="load", file=str(file), model=model, workers=workers)
            found[f"load, workers {workers}"] = one
            rate = BATCH * chosen.batches / one["result"]["seconds"]
            print(
                f"load: {rate:.1f} images a second, {workers} worker(s), {one['processor_seconds']:.0f} s of"
                " processors in all",
                flush=True,
            )
        _ratio(found, "load")
    found["load"].append(os.getloadavg()[0])
    print(f"load {found['load'][1]:.1f} after the last measurement")
    return found


def _ratio(found: dict[str, Any], part: str) -> None:
    one, two = (found[f"{part}, workers {workers}"]["result"]["seconds"] for workers in (1, 2))
    found[f"{part}, two workers against one"] = one / two
    costs = [found[f"{part}, workers {workers}"]["processor_seconds"] for workers in (1, 2)]
    found[f"{part}, two idle cores"] = 2 * costs[0] / costs[1]
    print(
        f"{part}: two workers are {one / two:.2f} times as fast as one here, and would be"
        f" {2 * costs[0] / costs[1]:.2f} times on two idle cores by the processors' seconds",
        flush=True,
    )


def _in_child(**work: Any) -> dict[str, Any]:
    """What a function of this file returns in a process of its own, and the most memory it had."""
    command = [sys.executable, __file__, "--child", json.dumps(work)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# ---- what is measured, each in a process of its own --------------------------------------------------


def checkpoint(folder: str) -> str:
    """A tiny random model of the family, whose processor is the real class."""
    plugins.need("transformers", why="this benchmark")
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import tiny_families

    return str(tiny_families.build(FAMILY, Path(folder)))


def count(file: str, model: str, workers: int) -> dict[str, float]:
    """Build the index of a file's rows; opening the processor is not in the time, starting workers is."""
    from medxiaohe.train.loop import row_index

    reading = _reading(model)
    processor = reading.processor()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as work:
        index = row_index.build(
            Path(file), Path(work) / "rows", reading, "count", processor=processor, workers=workers
        )
        return {"seconds": time.perf_counter() - start, "tokens": index.total_tokens}


def batches(folder: str, number: int, pack_to: int) -> dict[str, float]:
    """Plan an epoch from lengths that lie in a mapped file, and walk through it."""
    from medxiaohe.train.loop import batch_plan, row_index

    path, dice = Path(folder) / "lengths", random.Random(0)
    with open(path, "wb") as file:
        for start in range(0, number, 1 << 20):
            size = min(1 << 20, number - start)
            array("i", (min(2048, 8 + int(dice.expovariate(1 / 300))) for _ in range(size))).tofile(file)
    lengths = row_index.mapped(path, "i")
    start_time = time.perf_counter()
    each = 1 if pack_to else BATCH
    epoch = batch_plan.batches_of_an_epoch(lengths, each, 0, pack_to)
    plan = batch_plan.plan(lengths, each, epoch, 0, pack_to)
    planned = time.perf_counter() - start_time
    return {"seconds": planned, "batches": len(plan), "fill": batch_plan.fill(plan, lengths)}


def load(file: str, model: str, workers: int) -> dict[str, float]:
    """Batches of eight rows by torch's DataLoader, as a trainer takes them, timed from the first batch."""
    import torch
    from torch.utils.data import DataLoader

    from medxiaohe.train.loop.rows import Rows

    torch.set_num_threads(1)
    reading = _reading(model)
    rows = Rows(Path(file), reading.processor(), reading, "count", workers=workers)
    loader = DataLoader(
        range(len(rows) // BATCH),  # type: ignore[arg-type]
        batch_size=1,
        num_workers=workers,
        collate_fn=lambda some: rows.batch([[some[0] * BATCH + i] for i in range(BATCH)]),
    )
    found = iter(loader)
    next(found)
    start, number = time.perf_counter(), 1
    for _ in found:
        number += 1
    # as if the first batch had been timed too
    return {"seconds": (time.perf_counter() - start) * number / max(1, number - 1)}


def _reading(model: str) -> Any:
    from medxiaohe.train.loop.row_index import Reading

    return Reading(model, 4096, max_pixels=SIDE * SIDE, min_pixels=64 * 64)


# ---- rows and images ---------------------------------------------------------------------------------


def _pictures(folder: Path, number: int) -> list[ImageRef]:
    """JPEG files of noise that is smooth enough to be about as large as radiographs are, no two alike."""
    from PIL import Image

    found = []
    for i in range(number):
        path = folder / f"{i}.jpg"
        small = Image.effect_noise((128, 128), 60 + i % 40).convert("RGB")
        small.resize((SIDE + i % 50, SIDE - i % 50)).save(path, quality=90)
        found.append(images.ref(path))
    return found


def _rows(path: Path, number: int, pictures: Any) -> Path:
    dice = random.Random(0)

    def made() -> Iterator[Sample]:
        for i in range(number):
            asked: list[Any] = [" ".join(dice.choices(WORDS, k=dice.randint(10, 80)))]
            if pictures:
                asked.insert(0, pictures[i % len(pictures)])
            answer = " ".join(dice.choices(WORDS, k=dice.randint(4, 60)))
            talk = (Message("user", tuple(asked)), Message("assistant", (answer,)))
            yield Sample(f"r/{i}", talk, source="made")

    io.write_jsonl(path, made())
    return path


if __name__ == "__main__":
    main()
