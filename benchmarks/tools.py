"""Tools beside their gold: calculators on MedCalc-Bench, cells on BCCD, vessels on DRIVE, refusals of
pictures of another kind.

    python benchmarks/tools.py                  all that the data pack has gold for
    python benchmarks/tools.py medcalc cells    some of them
    python benchmarks/fit_vessels.py --write    fit the weights of tools/vision/vessels.py again

The pack lies in ${MEDXIAOHE_DATA}. What was fitted on a picture is never measured on it: cells are fitted on
the training split (by hash) and measured on the test split; vessels are measured leaving one picture out.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from fit_vessels import left_out
from medcalc_faults import gold_of
from medcalc_inputs import inputs

from medxiaohe.data.readers.nifti import nifti
from medxiaohe.errors import DataError, ToolError
from medxiaohe.images import open_image
from medxiaohe.scoring.boxes import Box, matches
from medxiaohe.tasks import _bccd
from medxiaohe.tasks._rows import table
from medxiaohe.tools.calculation.declare import evaluate
from medxiaohe.tools.calculation.registry import find
from medxiaohe.tools.vision import cells as cells_of
from medxiaohe.tools.vision import kinds
from medxiaohe.tools.vision.pixels import otsu
from medxiaohe.types import ImageRef, Sample


def medcalc(pack: Path, show: bool = False) -> Counter[str]:
    """Items of MedCalc-Bench by what became of them, given the gold inputs.

    agrees: within the limits of the data. fault: the gold is what a fault of the data's own reference makes
    of the inputs. refused: a value in its stated unit is impossible, or the patient is outside the formula's
    limits. unexplained: neither.
    """
    counts: Counter[str] = Counter()
    by: dict[str, Counter[str]] = {}
    for row in table(pack / "tools/medcalc_bench.csv"):
        name, given = inputs(row)
        try:
            got: Any = evaluate(find(name), given)
            refused = ""
        except ToolError as error:
            got, refused = None, str(error)
        what, faulty = gold_of(row)
        if within(row, got):
            kind = "agrees"
        elif what and within(row, faulty):
            kind = "fault"
        else:
            kind = "refused" if refused else "unexplained"
        counts[kind] += 1
        by.setdefault(name, Counter())[kind] += 1
        if show and kind in ("refused", "unexplained"):
            print(
                f"  {row['Row Number']} {name}: {refused or got} (gold {row['Ground Truth Answer']}): {kind}"
            )
    if show:
        for name, kinds in sorted(by.items()):
            if kinds["agrees"] != sum(kinds.values()):
                print(f"  {name}: {dict(kinds)}")
    return counts


def within(row: Mapping[str, str], got: Any) -> bool:
    """Whether a result is within the limits of an item."""
    said = row["Ground Truth Answer"].strip()
    if got is None:
        return False
    if said.startswith("("):
        return [part.split()[0] for part in ast.literal_eval(said)] == [
            part.split()[0] for part in str(got).split(", ")
        ]
    if row["Output Type"] == "date":
        return bool(got == said)
    low, high = sorted((float(row["Lower Limit"]), float(row["Upper Limit"])))
    return low - 1e-9 <= float(got) <= high + 1e-9


def print_medcalc(pack: Path) -> None:
    counts = medcalc(pack, show=True)
    total = sum(counts.values())
    print(
        f"medcalc: {total} items: " + ", ".join(f"{k} {v} ({v / total:.1%})" for k, v in counts.most_common())
    )


def white_cells(split: str) -> dict[str, float]:
    """F1 of the boxes of `detect` at an overlap of 0.5, and how many of their middles lie in a white cell."""
    matched = said = there = pointed = 0
    for smear in _bccd.smears("", split):
        cells = cells_of.white_cells(np.asarray(open_image(smear.image)))
        gold = [Box(*map(float, box)) for kind, box in smear.boxes if kind == "WBC"]
        found = [Box(*map(float, cell.box)) for cell in cells]
        matched += matches(found, gold)
        said, there = said + len(found), there + len(gold)
        for box in found:
            x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
            pointed += any(one.left <= x <= one.right and one.top <= y <= one.bottom for one in gold)
    return {
        "f1": 2 * matched / (said + there), "precision": matched / said, "recall": matched / there,
        "pointing": pointed / said, "boxes": said, "gold": there,
    }  # fmt: skip


def print_cells(pack: Path) -> None:
    for split in ("train", "validation", "test"):
        figures = white_cells(split)
        print(
            f"cells: white cells of BCCD, {split}: " + ", ".join(f"{k} {v:.3g}" for k, v in figures.items())
        )
    shares, counts = [], []
    for smear in _bccd.smears("", "train"):
        pixels = np.asarray(open_image(smear.image), np.float64)
        stained = np.kron(cells_of.nuclei(pixels.astype(np.uint8)), np.ones((4, 4), bool))
        green = pixels[..., 1]
        shares.append(float((green < otsu(green[~stained]))[~stained].mean()))
        counts.append(sum(kind == "RBC" for kind, _ in smear.boxes))
    r = np.corrcoef(shares, counts)[0, 1]
    print(
        f"cells: red cells of BCCD, train: the share they cover and the number marked"
        f" correlate with r = {r:.2f} over {len(counts)} pictures; {counts.count(0)} have none marked"
    )


def pictures(pack: Path) -> Iterator[tuple[str, str, Any]]:
    """Set, kind and pixels of every picture of the pack that Pillow opens, and slices of its volumes."""
    for name, kind, folder, ending in (
        ("bccd", kinds.SMEAR, "vqa/bccd/JPEGImages", ".jpg"),
        ("drive", kinds.FUNDUS, "retina/drive/images", ".tif"),
        ("ham10000", kinds.OTHER, "derm/ham10000/images", ""),
        ("covid_chestxray", kinds.GREY, "cxr/covid_chestxray/images", ""),
        ("vqa_rad", kinds.GREY, "vqa/vqa_rad/images", ""),
    ):
        for file in sorted((pack / folder).iterdir()):
            if file.name.endswith(ending):
                try:
                    yield name, kind, np.asarray(open_image(ImageRef(str(file))))
                except DataError:
                    continue
    with np.load(pack / "cxr/pneumoniamnist_train_val.npz", allow_pickle=False) as stored:
        for picture in stored["val_images"]:
            yield "pneumoniamnist", kinds.GREY, np.repeat(picture[..., None], 3, axis=-1)
    for sample in nifti(pack / "volumes/niivue"):
        if isinstance(sample, Sample):
            for image in sample.images:
                yield "volumes", kinds.GREY, np.asarray(open_image(image))


TAKES = {"detect": kinds.SMEAR, "segment white cells": kinds.SMEAR, "segment vessels": kinds.FUNDUS}


def refusals(pack: Path, every: int = 1) -> dict[str, float]:
    """The share of pictures of other kinds that a tool refuses, by tool and set; each `every`-th picture."""
    refused: dict[str, list[bool]] = {}
    for n, (name, kind, pixels) in enumerate(pictures(pack)):
        if n % every:
            continue
        for tool, takes in TAKES.items():
            if kind == takes:
                continue
            try:
                kinds.require(pixels, takes, tool)
                refused.setdefault(f"{tool} / {name}", []).append(False)
            except ToolError:
                refused.setdefault(f"{tool} / {name}", []).append(True)
    return {key: sum(values) / len(values) for key, values in refused.items()}


def print_refusals(pack: Path) -> None:
    for key, share in refusals(pack).items():
        print(f"refusals: {key}: {share:.1%}")


def print_kinds(pack: Path) -> None:
    right: dict[str, list[bool]] = {}
    for name, kind, pixels in pictures(pack):
        right.setdefault(name, []).append(kinds.kind_of(pixels) == kind)
    for name, values in right.items():
        print(f"classify: {name}: {sum(values)} of {len(values)} kinds right ({np.mean(values):.1%})")


def print_vessels(pack: Path) -> None:
    left_out(pack)


PARTS = {
    "medcalc": print_medcalc, "cells": print_cells, "classify": print_kinds, "refusals": print_refusals,
    "vessels": print_vessels,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="which, all unless given")
    given = parser.parse_args()
    pack = Path(os.environ["MEDXIAOHE_DATA"])
    for name in given.parts or PARTS:
        PARTS[name](pack)


if __name__ == "__main__":
    main()
