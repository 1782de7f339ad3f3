"""The same image again: what near_images.py finds of planted copies, how often it errs, and what it costs.

    MEDXIAOHE_DATA=/path/to/data python benchmarks/near_images.py                  # held-out pictures
    MEDXIAOHE_DATA=/path/to/data python benchmarks/near_images.py --some 130       # some of them
    MEDXIAOHE_DATA=/path/to/data python benchmarks/near_images.py --tuning         # the other half
    MEDXIAOHE_DATA=/path/to/data python benchmarks/near_images.py --scale 100000   # made-up looks
    MEDXIAOHE_DATA=/path/to/data python benchmarks/near_images.py --scale 100000 --sample 3000

Pictures: the chest X-rays and CTs, radiology, skin, fundus and blood smear images of the data pack. Those
whose SHA-256 begins with an even number of 32 bits were looked at while limits were chosen, others not. All
pictures of a half are known; those asked are edited in every way (medxiaohe/data/duplicates/planted_leaks.py)
and looked up. A panel has a picture of the other half beside it. A false alarm is a picture that is taken for
another one of its half. Intervals are exact ones at 95 %.

Scale: made-up looks, a chest X-ray bent at random under layers of random grey, so that they resemble each
other as X-rays do. Each size is the processor time to look up a sample and to add one, on one thread;
the whole is what looking up and adding every image takes, by a straight line through the sizes.
"""

import argparse
import hashlib
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from shares import line

from medxiaohe import images
from medxiaohe.data.duplicates import planted_leaks
from medxiaohe.data.duplicates.near_images import SIDE, Gallery, Look, look
from medxiaohe.progress import track
from medxiaohe.threads import single
from medxiaohe.types import ImageRef

FOLDERS = (
    "cxr/covid_chestxray/images", "vqa/vqa_rad/images", "derm/ham10000/images", "vqa/bccd/JPEGImages",
    "retina/drive/images",
)  # fmt: skip
ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".gif")
LARGEST = 700  # pixels of a side of the pictures that are edited
PER_KIND = 600  # looks from which on each kind of copy has a line
COPIES = (
    "resized",
    "cropped 10 %",
    "cropped 15 % at each edge",
    "mirrored",
    "upside down",
    "inverted grey values",
    "turned by 5 degrees",
    "brightness, contrast",
)


def halves(data: Path) -> tuple[list[Path], list[Path]]:
    """Pictures looked at while tuning, and the others."""
    files = [file for name in FOLDERS for file in sorted((data / name).iterdir())]
    files = [file for file in files if file.suffix.lower() in ENDINGS]
    odd = [int(hashlib.sha256(file.read_bytes()).hexdigest()[:8], 16) % 2 for file in files]
    return (
        [file for file, own in zip(files, odd, strict=True) if not own],
        [file for file, own in zip(files, odd, strict=True) if own],
    )


def picture(file: Path) -> Image.Image:
    pixels = images.open_image(ImageRef(str(file)))
    pixels.thumbnail((LARGEST, LARGEST))
    return pixels


def quality(files: list[Path], others: list[Path], most: int) -> None:
    gallery = Gallery()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.png"

        def seen(pixels: Image.Image) -> Look:
            pixels.convert("RGB").save(path, compress_level=1)
            return look(ImageRef(str(path)))

        own = [seen(picture(file)) for file in files]
        for number, one in enumerate(own):
            gallery.add(one, str(number))
        asked = sorted(random.Random(0).sample(range(len(files)), min(most, len(files))))
        print(f"{len(files)} pictures are known, {len(asked)} edited in every way")

        def beside(pixels: Image.Image, dice: random.Random) -> Image.Image:
            return planted_leaks.panel(pixels, picture(dice.choice(others)), dice)

        edits: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
            **planted_leaks.IMAGE_EDITS,
            "panel of two": beside,
        }
        for kind, edit in edits.items():
            hits = 0
            for number in track(asked, kind):
                file = files[number]
                changed = seen(edit(picture(file), random.Random(f"{kind} {file.name}")))
                hits += str(number) in [name for name, _ in gallery.find(changed)]
            print(line(kind, hits, len(asked)), flush=True)
    pairs = [
        (value, file.name, files[int(name)].name)
        for number, (file, one) in enumerate(zip(files, own, strict=True))
        for name, value in gallery.find(one)
        if int(name) != number
    ]
    alarmed = len({name for _, name, _ in pairs})
    print(line("taken for another picture", alarmed, len(files), 2))
    for value, name, other in sorted(pairs, reverse=True):
        print(f"      {name} ~ {other} {value:.3f}")


def made_up(template: np.ndarray, dice: np.random.Generator) -> Look:
    """A chest bent at random, by up to a tenth of its side, under layers of random grey."""
    ticks = np.arange(SIDE, dtype=np.float32)
    bend = [smooth(dice.normal(0, 0.05 * SIDE, (4, 4))) for _ in range(2)]
    xs = np.clip(ticks[None] + bend[0], 0, SIDE - 1).astype(int)
    ys = np.clip(ticks[:, None] + bend[1], 0, SIDE - 1).astype(int)
    layers = sum(smooth(dice.normal(0, size, (n, n))) for n, size in ((6, 25), (16, 18), (40, 10)))
    grey = template[ys, xs] + layers + dice.normal(0, 2, (SIDE, SIDE))
    return Look(np.clip(grey, 0, 255).astype(np.uint8))


def edited(one: Look, number: int) -> Look:
    """A copy of a look, in one of several ways, one after the other."""
    edit = planted_leaks.IMAGE_EDITS[COPIES[number % len(COPIES)]]
    pixels = edit(Image.fromarray(one.grey).convert("RGB"), random.Random(number)).convert("L")
    return Look(np.asarray(pixels.resize((SIDE, SIDE), Image.Resampling.BICUBIC)))


def smooth(values: np.ndarray) -> np.ndarray:
    return np.asarray(
        Image.fromarray(values.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    )


def scale(most: int, data: Path, sample: int) -> None:
    template = look(ImageRef(str(sorted((data / FOLDERS[0]).glob("*PA*"))[0]))).grey.astype(np.float32)
    gallery, dice = Gallery(), np.random.default_rng(0)
    sizes = [size for size in (1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000) if sample <= size <= most]
    asked = [made_up(template, np.random.default_rng(10**6 + number)) for number in range(sample)]
    planted: list[Look] = []
    points: list[tuple[int, float]] = []
    adding, since, add_one = 0.0, 0, 0.0
    for number in track(range(sizes[-1]), "looks added"):
        one = made_up(template, dice)
        if number < sample:
            planted.append(edited(one, number))
        start = time.process_time()
        gallery.add(one, str(number))
        adding += time.process_time() - start
        if number + 1 in sizes:
            start = time.process_time()
            alarms = sum(bool(list(gallery.find(each))) for each in asked)
            finding = (time.process_time() - start) / sample
            copies = Counter[str]()  # kind of copy -> copies found
            for row, copy in enumerate(planted):
                copies[COPIES[row % len(COPIES)]] += any(name == str(row) for name, _ in gallery.find(copy))
            add_one = adding / (number + 1 - since)
            points.append((number + 1, finding))
            print(
                f"  {number + 1:>9,} known: {1e3 * finding:6.1f} ms to look one up,"
                f" {1e3 * add_one:.1f} ms to add one,"
                f" {copies.total()} of {sample} copies found, {alarms} of {sample} others taken for one",
                flush=True,
            )
            for row, kind in enumerate(COPIES if sample >= PER_KIND else ()):
                print(
                    f"              {line(kind, copies[kind], len(range(row, sample, len(COPIES))))}",
                    flush=True,
                )
            adding, since = 0.0, number + 1
    if len(points) < 2:
        return  # one size says nothing of others
    slope, start_at = np.polyfit(*zip(*points, strict=True), 1)
    for total in (100_000, 1_000_000):
        hours = (total * (start_at + add_one) + slope * total**2 / 2) / 3600
        print(f"  {total:>9,} images, each looked up among those before it: {hours:.1f} hours of one core")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tuning", action="store_true", help="the pictures that limits were chosen with")
    parser.add_argument("--scale", type=int, default=0, help="made-up looks")
    parser.add_argument("--sample", type=int, default=100, help="looks that are looked up at each size")
    parser.add_argument("--some", type=int, default=100_000, help="pictures that are edited, at most")
    given = parser.parse_args()
    place = Path(os.environ["MEDXIAOHE_DATA"])
    with single():
        if given.scale:
            scale(given.scale, place, given.sample)
        else:
            tuned, held_out = halves(place)
            pair = (tuned, held_out) if given.tuning else (held_out, tuned)
            quality(*pair, given.some)
