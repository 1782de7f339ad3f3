"""Plant leaks: test items verbatim, lightly edited and transformed, to measure the recall of decontamination.

An edit is light when the item can still be recognised as the same one: typing errors in one word of ten,
synonyms, one clause replaced (a fifth of the words), the options in another order under other labels, words
before and after it. Image transforms keep the picture: at most 15 % is cut from an edge.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from medxiaohe.types import Sample

if TYPE_CHECKING:
    from PIL.Image import Image

Edit = Callable[[str, Sequence[str], random.Random], str]
SYNONYMS = dict(
    pair.strip().split("/")
    for pair in """
    man/gentleman;woman/lady;year-old/years old;patient/individual;patients/people;presents/comes;physician/doctor;hospital/clinic;
    emergency/acute care;history/background;physical/clinical;examination/exam;shows/reveals;reveals/demonstrates;pain/discomfort;
    fever/raised temperature;temperature/body temperature;elevated/raised;increased/higher;decreased/lower;due/owing;because/since;
    most/commonest;likely/probable;following/listed;cause/reason;caused/produced;treatment/therapy;therapy/treatment;drug/medication;
    medication/drug;disease/illness;illness/disease;diagnosis/conclusion;kidney/renal organ;renal/kidney;heart/cardiac;cardiac/heart;
    lung/pulmonary;pulmonary/lung;liver/hepatic;hepatic/liver;tumor/neoplasm;cancer/malignancy;blood/haematic;pressure/tension;
    child/kid;infant/baby;mother/mom;symptoms/complaints;severe/marked;mild/slight;acute/sudden;chronic/longstanding;
    administered/given;initiated/started;months/mo;weeks/wk;days/d;appropriate/suitable;management/handling;study/investigation;
    effect/influence;risk/hazard;important/major;associated/linked;characterized/marked;infection/infectious disease;swelling/edema;
    vomiting/emesis;shortness/lack;weight/body weight;skin/cutaneous;bone/osseous;brain/cerebral;vessel/duct;use/usage;found/seen;
    used/employed;occurs/happens;common/frequent;rapid/fast;large/big;small/little;initial/first;begin/start;normal/usual
    """.replace("\n", "").split(";")  # noqa: E501
)
CLAUSES = (
    "which the family had not mentioned before the visit",
    "as was noted by the nurse who had taken over at night",
    "although nobody in the team could say when it had begun",
    "and this had been so for as long as anyone remembered",
)
BEFORE = (
    "Here is a question from my revision notes.",
    "Consider the following carefully.",
    "Q:",
    "Quiz time, everyone!",
)
AFTER = (
    "Explain how you arrived at your choice.",
    "Think it over and reply.",
    "Thanks in advance.",
    "(Set by the tutor.)",
)


def verbatim(question: str, options: Sequence[str], dice: random.Random) -> str:
    """Write an item as it is: the question, then the options with letters, a line each.

    Args:
        question: without its options.
        options: in their order.
        dice: not used.

    Returns:
        The text.
    """
    return "\n".join([question, *_lettered(options, "{}. {}")])


def typos(question: str, options: Sequence[str], dice: random.Random) -> str:
    """Add typing errors: one word of ten, at least one, has a letter dropped, doubled, changed or swapped
    with the next.

    Args:
        question: without its options.
        options: left alone.
        dice: source of randomness.

    Returns:
        The edited text.
    """
    words = question.split(" ")
    long = [i for i, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    for i in dice.sample(long, min(len(long), max(1, len(words) // 10))):
        words[i] = _mistyped(words[i], dice)
    return verbatim(" ".join(words), options, dice)


def synonyms(question: str, options: Sequence[str], dice: random.Random) -> str:
    """Replace up to one word of six by a synonym.

    Args:
        question: without its options.
        options: left alone.
        dice: source of randomness.

    Returns:
        The edited text.
    """
    words = question.split(" ")
    replaceable = [i for i, word in enumerate(words) if word.casefold().strip(".,?;:()") in SYNONYMS]
    for i in dice.sample(replaceable, min(len(replaceable), max(1, len(words) // 6))):
        bare = words[i].casefold().strip(".,?;:()")
        words[i] = words[i].casefold().replace(bare, SYNONYMS[bare])
    return verbatim(" ".join(words), options, dice)


def clause(question: str, options: Sequence[str], dice: random.Random) -> str:
    """Replace a run of a fifth of the words by as many words of another clause.

    Args:
        question: without its options.
        options: left alone.
        dice: source of randomness.

    Returns:
        The edited text.
    """
    words = question.split(" ")
    length = max(1, len(words) // 5)
    start = dice.randrange(max(1, len(words) - length))
    replacement = (dice.choice(CLAUSES).split(" ") * (length // 8 + 1))[:length]
    return verbatim(" ".join([*words[:start], *replacement, *words[start + length :]]), options, dice)


def shuffled(question: str, options: Sequence[str], dice: random.Random) -> str:
    """Shuffle the options under other labels on one line, and change capitals and punctuation of the
    question.

    Args:
        question: without its options.
        options: in their order.
        dice: source of randomness.

    Returns:
        The edited text.
    """
    mixed = dice.sample(list(options), len(options))
    return " ".join(
        [
            re.sub(r"[.,;:]", "", question).capitalize(),
            *_lettered(mixed, dice.choice(["({})  {};", "{}) {} /"])),
        ]
    )


def wrapped(question: str, options: Sequence[str], dice: random.Random) -> str:
    """Add a sentence before the item and one after it.

    Args:
        question: without its options.
        options: in their order.
        dice: source of randomness.

    Returns:
        The edited text.
    """
    return f"{dice.choice(BEFORE)} {verbatim(question, options, dice)}\n{dice.choice(AFTER)}"


def everything(question: str, options: Sequence[str], dice: random.Random) -> str:
    """Combine the edits: typing errors, synonyms, shuffled options, and sentences around the item.

    Args:
        question: without its options.
        options: in their order.
        dice: source of randomness.

    Returns:
        The edited text.
    """
    edited = synonyms(typos(question, (), dice), (), dice)
    return f"{dice.choice(BEFORE)} {shuffled(edited, options, dice)} {dice.choice(AFTER)}"


TEXT_EDITS: dict[str, Edit] = {
    "verbatim": verbatim, "typos": typos, "synonyms": synonyms, "clause changed": clause,
    "options shuffled": shuffled, "wrapped": wrapped, "all of these": everything,
}  # fmt: skip


def question_of(item: Sample) -> tuple[str, tuple[str, ...]]:
    """Split a multiple-choice item into question and options.

    Args:
        item: a row whose prompt has its options on lines of their own.

    Returns:
        The question without the lines of options, and the options.
    """
    options = {" ".join(choice.split()).casefold() for choice in item.choices}
    lines = [line for message in item.prompt.messages for line in message.text.splitlines()]
    selected = [line for line in lines if not _is_option(line, options)]
    return "\n".join(selected).strip(), item.choices


def _is_option(line: str, options: set[str]) -> bool:
    line = " ".join(line.split()).casefold()
    return bool(line) and (line in options or re.sub(r"^\W?\w{1,2}\W\s*", "", line) in options)


def _lettered(options: Sequence[str], form: str) -> list[str]:
    return [form.format(chr(ord("A") + i), option) for i, option in enumerate(options)]


def _mistyped(word: str, dice: random.Random) -> str:
    # dropped, doubled, changed, or swapped with the next letter; the first letter stays
    at = dice.randrange(1, len(word) - 1)
    kind = dice.randrange(4)
    letter = dice.choice("abcdefghijklmnoprstuvw")
    return (
        word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )[kind]  # fmt: skip


# ---- images --------------------------------------------------------------------------------------


def _jpeg(picture: Image, quality: int) -> Image:
    from PIL import Image as pil

    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    data.seek(0)
    return pil.open(data).convert("RGB")


def _cropped(picture: Image, most: float, dice: random.Random) -> Image:
    width, height = picture.size
    left, top, right, bottom = (dice.uniform(0, most) for _ in range(4))
    return picture.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def _windowed(picture: Image, dice: random.Random) -> Image:
    """Stretch the grey values between two random percentiles to the whole range: another window of the
    viewer.
    """
    import numpy as np
    from PIL import Image as pil

    pixels = np.asarray(picture, np.float32)
    low, high = np.percentile(pixels, [dice.uniform(0, 10), dice.uniform(85, 99)])
    return pil.fromarray((np.clip((pixels - low) / max(1.0, high - low), 0, 1) * 255).astype(np.uint8))


def _brighter(picture: Image, dice: random.Random) -> Image:
    from PIL import ImageEnhance

    return ImageEnhance.Contrast(ImageEnhance.Brightness(picture).enhance(dice.uniform(0.75, 1.25))).enhance(
        dice.uniform(0.7, 1.4)
    )


def panel(picture: Image, extra: Image, dice: random.Random) -> Image:
    """Compose a figure of two pictures, side by side or one above the other, in either order.

    Args:
        picture: in its own size.
        extra: resized to the height (or width) of `picture`.
        dice: source of randomness.

    Returns:
        An RGB picture.
    """
    from PIL import Image as pil

    if dice.random() < 0.5:
        extra = extra.resize((max(1, round(extra.width * picture.height / extra.height)), picture.height))
        figure = pil.new("RGB", (picture.width + extra.width, picture.height))
        step = (1, 0)
    else:
        extra = extra.resize((picture.width, max(1, round(extra.height * picture.width / extra.width))))
        figure = pil.new("RGB", (picture.width, picture.height + extra.height))
        step = (0, 1)
    first, second = (picture, extra) if dice.random() < 0.5 else (extra, picture)
    figure.paste(first, (0, 0))
    figure.paste(second, (step[0] * first.width, step[1] * first.height))
    return figure


def _inverted(picture: Image, dice: random.Random) -> Image:
    from PIL import ImageOps

    return ImageOps.invert(picture)


def _turned(picture: Image, dice: random.Random) -> Image:
    from PIL import Image as pil

    return picture.rotate(dice.choice((-5, 5)), resample=pil.Resampling.BICUBIC)


def _middle(picture: Image, dice: random.Random) -> Image:
    """Crop 15 % at each edge."""
    width, height = picture.size
    return picture.crop(
        (round(0.15 * width), round(0.15 * height), round(0.85 * width), round(0.85 * height))
    )


IMAGE_EDITS: dict[str, Callable[[Image, random.Random], Image]] = {
    "resized": lambda picture, dice: picture.resize(
        (round(picture.width * (s := dice.uniform(0.3, 1.5))), round(picture.height * s))
    ),
    "re-encoded": lambda picture, dice: _jpeg(picture, dice.randint(30, 80)),
    "cropped 5 %": lambda picture, dice: _cropped(picture, 0.05, dice),
    "cropped 10 %": lambda picture, dice: _cropped(picture, 0.10, dice),
    "mirrored": lambda picture, dice: picture.transpose(0),  # type: ignore[arg-type]
    "upside down": lambda picture, dice: picture.transpose(1),  # type: ignore[arg-type]
    "inverted grey values": _inverted,
    "turned by 5 degrees": _turned,
    "cropped 15 % at each edge": _middle,
    "brightness, contrast": _brighter,
    "window": _windowed,
    "all but mirrored": lambda picture, dice: _jpeg(
        _brighter(_cropped(picture, 0.08, dice), dice).resize((256, 240)), 50
    ),
}
