"""Made-up reports of radiographs, drawn from a seed, and those of the data pack where it is there."""

import csv
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

AFFIRMED = (
    "There is a {degree} {side} pleural effusion.",
    "A {size} mm nodule is seen in the {side} upper lobe.",
    "{side_} basilar atelectasis is noted.",
    "The heart is {degree_}ly enlarged.",
    "Degenerative changes of the thoracic spine.",
    "An endotracheal tube is in place.",
    "There is a calcified granuloma in the {side} lower lobe.",
    "{degree__} interstitial edema.",
    "Old fracture of the {side} clavicle.",
)
DENIED = (
    "No pneumothorax.",
    "The lungs are clear.",
    "Heart size is normal.",
    "No focal consolidation, pleural effusion or pneumothorax.",
    "The mediastinal contour is unremarkable.",
    "No acute bony abnormality.",
    "There is no evidence of {side} effusion.",
)
COMPARED = (
    "Compared to the prior exam, the {side} effusion has increased.",
    "Stable cardiomegaly.",
    "The nodule is unchanged since the previous study.",
    "Interval removal of the chest tube.",
    "There has been interval improvement of the edema.",
    "New {side} basilar opacity.",
)
OTHER = ("The trachea is midline.", "Recommend CT of the chest.", "Thank you.", "2 views of the chest.")


def report(seed: int, kinds: tuple[tuple[str, ...], ...] = (AFFIRMED, DENIED, OTHER), most: int = 7) -> str:
    """A report of a few sentences."""
    draw = random.Random(seed)
    rows = []
    for _ in range(draw.randrange(1, most)):
        side, degree = draw.choice(("left", "right")), draw.choice(("small", "moderate", "large"))
        rows.append(
            draw.choice(draw.choice(kinds)).format(
                side=side,
                side_=side.capitalize(),
                degree=degree,
                degree_=draw.choice(("mild", "moderate")),
                degree__=draw.choice(("Mild", "Severe")),
                size=draw.randrange(3, 40),
            )
        )
    return draw.choice((" ", "\n", "  ")).join(rows)


def packed(most: int, sections: tuple[str, ...] = ("findings", "impression")) -> Iterator[str]:
    """Texts of the Indiana University reports of the data pack; the test is skipped where there is none."""
    folder = os.environ.get("MEDXIAOHE_DATA", "")
    file = Path(folder, "cxr", "iu_reports", "indiana_reports.csv")
    if not folder or not file.is_file():
        pytest.skip("needs the data pack: MEDXIAOHE_DATA")
    with open(file, newline="", encoding="utf-8") as rows:
        texts = [row[name] for row in csv.DictReader(rows) for name in sections if row[name].strip()]
    random.Random(0).shuffle(texts)
    yield from texts[:most]
