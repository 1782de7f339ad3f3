"""Pneumonia in chest radiographs of children (Kermany et al. 2018, Cell 172:1122), 224 pixels, yes or no.

The copy split images, not patients: 276 patient numbers are in train and in test (144 pneumonia; 132 normal,
when IM-0011 and NORMAL2-IM-0011 count as one patient, which we cannot rule out). Test stays as it is, and
train loses every image whose patient number is in test (426 of 2,532). Validation is a tenth of the patients
left.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks._common import alternating, hash_split, item, known_split, pictured, place
from medxiaohe.types import ImageRef, Sample, Task

QUESTION = "Does this chest X-ray show pneumonia? Answer yes or no."
LICENSE = "CC BY 4.0 (Kermany et al., Mendeley Data rscbjbr9sj; the package names a mirror under CC0 1.0)"
FINGERPRINTS = {"train": "738d277c2f182ee3", "validation": "12673ac560f58a77", "test": "94c33eaa6cbc237d"}
ANSWERS = {"NORMAL": "No", "PNEUMONIA": "Yes"}
PATIENT = re.compile(r"(person\d+)_|(?:NORMAL2?-)?(IM-\d+)")


def chest_xray(path: str = "asset:chest_xray") -> Task:
    """Pneumonia in chest radiographs of children: yes or no.

    Args:
        path: folder with train/ and test/, each with NORMAL/ and PNEUMONIA/, or asset:NAME.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "chest_xray",
        partial(samples, path),
        (yes_no,),
        example(),
        LICENSE,
        prompt="yes_no",
        cluster="patient",
        tags=("image", "english", "radiology"),
        fingerprints=FINGERPRINTS if path == "asset:chest_xray" else {},
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        Items that alternate between yes and no as long as both last, in an order that depends only on the
        data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, has no images, or a file name has no patient number.
    """
    known_split(split)
    root = _root(place(path))
    files = {
        name: sorted(p for p in (root / name).rglob("*.jp*g") if p.parent.name in ANSWERS)
        for name in ("train", "test")
    }
    if not files["train"] or not files["test"]:
        raise DataError(f"{root}: no images in train/NORMAL, train/PNEUMONIA, test/NORMAL, test/PNEUMONIA")
    held_out = {patient(file) for file in files["test"]}
    chosen = (
        files["test"]
        if split == "test"
        else [f for f in files["train"] if patient(f) not in held_out and _part(f) == split]
    )
    for file in alternating(chosen, key=lambda f: f.name, label=lambda f: f.parent.name):
        # holds the gold: only its hash goes into the id
        name = f"{file.parent.parent.name}/{file.parent.name}/{file.name}"
        yield item(
            f"chest_xray/{io.fingerprint(name)}",
            (pictured(file.name, file.parent), QUESTION),
            ANSWERS[file.parent.name],
            target=ANSWERS[file.parent.name].lower(),
            license=LICENSE,
            patient_id=patient(file),
            split=split,
            meta={"file": name},
        )


def patient(file: Path) -> str:
    """Extract the patient number from a file name.

    Args:
        file: person1_... , IM-0001... or NORMAL2-IM-0001...

    Returns:
        person1 or IM-0001.

    Raises:
        DataError: the name begins otherwise.
    """
    match = PATIENT.match(file.name)
    if not match:
        raise DataError(f"{file}: a file name must start with person1_ or IM-0001 or NORMAL2-IM-0001")
    return match[1] or match[2]


def _part(file: Path) -> str:
    return (
        "validation"
        if hash_split("chest_xray", patient(file), train=0.9, validation=0.1) == "validation"
        else "train"
    )


def _root(folder: Path) -> Path:
    """The folder that holds train/ and test/, at `folder` or below it."""
    results = [
        p.parent for p in [folder / "test", *sorted(folder.rglob("test"))] if (p / "PNEUMONIA").is_dir()
    ]
    if not results:
        raise DataError(f"{folder}: no test/PNEUMONIA below it")
    return results[0]


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    image = ImageRef("example.jpeg")  # stands for a radiograph; nobody opens it
    return item(
        "chest_xray/example",
        (image, QUESTION),
        "Yes",
        target="yes",
        license=LICENSE,
        patient_id="person1",
        split="test",
    )
