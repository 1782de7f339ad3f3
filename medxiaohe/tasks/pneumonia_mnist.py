"""PneumoniaMNIST (Yang et al. 2023, doi 10.1038/s41597-022-01721-8): chest radiographs of children at 28 x 28
pixels.

Made from the images that `chest_xray` is made from, so a model trained on one has seen the patients of the
other. The file has no patient numbers: its train part becomes train and validation (a tenth, by image), its
val part is test, and patients may be in both. A quick check of a pipeline, not evidence about a model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from medxiaohe import assets, images, io, plugins
from medxiaohe.errors import DataError
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks._common import alternating, hash_split, item, known_split, place
from medxiaohe.tasks.chest_xray import QUESTION
from medxiaohe.types import ImageRef, Sample, Task

if TYPE_CHECKING:
    import numpy as np

LICENSE = "CC BY 4.0"
FINGERPRINTS = {"train": "8d6b694d8414b6d2", "validation": "381a0ed5395ef62f", "test": "6c3941c5d6d4dcab"}


def pneumonia_mnist(path: str = "") -> Task:
    """PneumoniaMNIST: chest radiographs of children at 28 x 28 pixels, yes or no.

    Args:
        path: .npz of MedMNIST; "" for ${MEDXIAOHE_DATA}/cxr/pneumoniamnist_train_val.npz.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "pneumonia_mnist",
        partial(samples, path),
        (yes_no,),
        example(),
        LICENSE,
        prompt="yes_no",
        cluster="picture",
        tags=("image", "english", "radiology"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        Items that alternate between yes and no as long as both last; images are written as PNG below the
        cache.

    Raises:
        ConfigError: the task has no such split.
        MissingExtra: NumPy or Pillow is not installed.
        DataError: the file is missing or not of PneumoniaMNIST.
    """
    known_split(split)
    plugins.need("numpy", "PIL", why="the task pneumonia_mnist")
    import numpy as np

    file = place(path, "cxr/pneumoniamnist_train_val.npz")
    prefix = "val" if split == "test" else "train"
    try:
        with np.load(file, allow_pickle=False) as arrays:
            pixels, labels = arrays[f"{prefix}_images"], arrays[f"{prefix}_labels"].ravel()
    except (ValueError, KeyError, OSError) as error:
        raise DataError(f"{file}: not the PneumoniaMNIST file: {error}") from error
    folder = assets.cache_root() / "derived" / "pneumonia_mnist"
    rows = [
        (f"{prefix}-{i}", image, "yes" if label else "no")
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True))
    ]
    for name, image, answer in alternating(rows, key=lambda row: row[0], label=lambda row: row[2]):
        if split == "test" or hash_split("pneumonia_mnist", name, train=0.9, validation=0.1) == split:
            yield _question(name, _png(image, folder), answer, split)


def _question(name: str, image: ImageRef, answer: str, split: str) -> Sample:
    id = f"pneumonia_mnist/{name}"
    return item(id, (image, QUESTION), answer.capitalize(), target=answer, license=LICENSE, split=split)


def _png(pixels: np.ndarray, folder: Path) -> ImageRef:
    """The array as a PNG file named by its pixels, written once."""
    from PIL import Image

    path = folder / f"{hashlib.sha256(pixels.tobytes()).hexdigest()[:20]}.png"
    if not path.exists():
        io.write(path, lambda out: Image.fromarray(pixels).save(out, "PNG"))
    return images.ref(path)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question("example", ImageRef("example.png"), "yes", "test")  # nobody opens the image
