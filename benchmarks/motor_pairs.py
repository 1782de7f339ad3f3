"""Made-up pairs for train.motor: pictures of shapes, and reports that say what is drawn.

Each of the 27 chest tags has a shape, that of its group, and a pattern of its own. Half of the tags are rare
and look nearly like common ones of their group, which is what a graph of the tags can help with. `granuloma`
is never drawn: it is in each report that has fibrosis or scarring, which similar reports can help with.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from medxiaohe import images, io
from medxiaohe.train.image_report import tags as tagging
from medxiaohe.types import Message, Sample

SIDE = 84  # pixels
INFERRED, BECAUSE = "granuloma", ("fibrosis", "scarring")
RARE, COMMON = 0.012, 0.12  # share of the pictures that have a tag
WORDS = {  # of a tag in a report, where its name is none
    "support device": "pacemaker", "abnormal mediastinum": "widened mediastinum", "lung opacity": "opacity",
    "elevated diaphragm": "elevated hemidiaphragm", "aortic tortuosity": "tortuous aorta",
    "low lung volumes": "hypoinflation",
}  # fmt: skip
SIDED = ("pleura", "lung", "bones")  # groups whose findings have a side and a degree
DEGREES = {"mild": 8, "moderate": 11, "severe": 14}  # radius in pixels


def shares(tags: Sequence[tagging.Tag]) -> dict[str, float]:
    """How often each tag is drawn: in every group, every second one is rare."""
    found, place = {}, dict[str, int]()
    for tag in tags:
        number = place[tag.group] = place.get(tag.group, -1) + 1
        found[tag.name] = 0.0 if tag.name == INFERRED else RARE if number % 2 else COMMON
    return found


def write(folder: Path, count: int, seed: int = 0, held_out: int = 0) -> Path:
    """Pictures and samples.jsonl, as data.read leaves it.

    Args:
        folder: does not exist yet, or is empty.
        count: pairs of the split train.
        seed: of what is drawn.
        held_out: pairs of the split validation, drawn in the same way.

    Returns:
        The folder.
    """
    rng, tags = random.Random(seed), tagging.read()
    (folder / "pictures").mkdir(parents=True)
    io.write_jsonl(
        folder / "samples.jsonl",
        (io.to_json(one) for one in _samples(folder, tags, count, held_out, rng)),
    )
    return folder


def _samples(
    folder: Path, tags: Sequence[tagging.Tag], count: int, held_out: int, rng: random.Random
) -> Iterable[Sample]:
    often = shares(tags)
    for number in range(count + held_out):
        drawn = [tag for tag in tags if rng.random() < often[tag.name]]
        picture, report = make(drawn, tags, rng)
        file = folder / "pictures" / f"{number}.png"
        picture.save(file)
        yield Sample(
            f"made/{number}",
            (
                Message("user", (images.ref(file), "Write the report.")),
                Message("assistant", (report,)),
            ),
            source="made up",
            license="CC0 1.0",
            patient_id=f"patient {number}",
            study_id=f"study {number}",
            split="train" if number < count else "validation",
        )


def make(
    drawn: Sequence[tagging.Tag], tags: Sequence[tagging.Tag], rng: random.Random
) -> tuple[Image.Image, str]:
    """A picture with some tags, and its report."""
    picture = Image.frombytes("L", (SIDE, SIDE), bytes(rng.randrange(20, 60) for _ in range(SIDE * SIDE)))
    pen, sentences = ImageDraw.Draw(picture), []
    for tag in drawn:
        side, degree = rng.choice(("left", "right")), rng.choice(tuple(DEGREES))
        # the left of a patient is on the right of a radiograph
        x = rng.randrange(50, 68) if side == "left" else rng.randrange(16, 34)
        radius = DEGREES[degree] if tag.group in SIDED else DEGREES["moderate"]
        _shape(pen, tag, tags, x, rng.randrange(16, SIDE - 16), radius)
        words = WORDS.get(tag.name, tag.name)
        sentences.append(f"{degree} {side} {words}" if tag.group in SIDED else words)
    if any(tag.name in BECAUSE for tag in drawn):
        sentences.append(INFERRED)
    absent = [tag for tag in tags if tag not in drawn and tag.name != INFERRED]
    denied = rng.sample(absent, 2)
    sentences += [f"no {WORDS.get(tag.name, tag.name)}" for tag in denied]
    return picture.convert("RGB"), " ".join(f"{one[0].upper()}{one[1:]}." for one in sentences)


def _shape(
    pen: ImageDraw.ImageDraw, tag: tagging.Tag, tags: Sequence[tagging.Tag], x: int, y: int, radius: int
) -> None:
    group = [one.name for one in tags if one.group == tag.group]
    pattern = group.index(tag.name)
    grey = 150 + 35 * (pattern % 4)
    box = (x - radius, y - radius, x + radius, y + radius)
    match tag.group:
        case "heart":
            pen.ellipse((box[0], y - radius // 2, box[2], y + radius // 2), fill=grey)
        case "pleura":
            pen.polygon([(x, box[1]), (box[0], box[3]), (box[2], box[3])], fill=grey)
        case "mediastinum":
            pen.rectangle((x - radius // 3, box[1], x + radius // 3, box[3]), fill=grey)
        case "bones":
            pen.line((box[0], y, box[2], y), fill=grey, width=4)
            pen.line((x, box[1], x, box[3]), fill=grey, width=4)
        case "diaphragm":
            pen.arc(box, 180, 360, fill=grey, width=4)
        case "devices":
            pen.polygon([(x, box[1]), (box[2], y), (x, box[3]), (box[0], y)], outline=grey, width=2)
        case _:
            pen.ellipse(box, fill=grey)
    # the pattern tells a tag from others of its group: dark stripes, more of them, or across
    for line in range(1, 1 + pattern // 2):
        offset = -radius + 2 * radius * line // (1 + pattern // 2)
        if pattern % 2:
            pen.line((x + offset, box[1], x + offset, box[3]), fill=10, width=2)
        else:
            pen.line((box[0], y + offset, box[2], y + offset), fill=10, width=2)
