"""Frames of a file that a decoder kept as pictures: what the readers of DICOM and NIfTI share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe.images import keep
from medxiaohe.types import ImageRef, Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Row = Mapping[str, Any]  # of a decoder: `picture` and what it says about the frame


def save_frame(rgb: NDArray[np.uint8], folder: str) -> dict[str, str]:
    """A kept picture as a decoder sends it from its process: {path, sha256}."""
    ref = keep(rgb, Path(folder))
    return {"path": ref.uri, "sha256": ref.sha256}


def grouped(
    name: str, rows: Sequence[Row], number: str, together: bool
) -> Iterator[tuple[str, Sequence[Row]]]:
    """Id and rows of each sample of a file: all frames in one, or one each with its `number` in the id."""
    if together:
        yield name, rows
        return
    for row in rows:
        yield f"{name}#{row[number]}", [row]


def shown(rows: Iterable[Row], words: Callable[[Row], str]) -> list[Part]:
    """Each picture, and after it what `words` says of it, unless that is ""."""
    parts: list[Part] = []
    for row in rows:
        parts.append(ImageRef(row["picture"]["path"], sha256=row["picture"]["sha256"]))
        if said := words(row):
            parts.append(said)
    return parts
