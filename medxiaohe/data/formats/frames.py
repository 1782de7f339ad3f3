"""Save, group and show frames that a decoder yields: shared by the readers of DICOM and NIfTI."""

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
    """Save a decoded frame as PNG.

    Args:
        rgb: (height, width, 3) uint8.
        folder: where the file is kept.

    Returns:
        {"path", "sha256"}, as a decoder sends it from its process.
    """
    ref = keep(rgb, Path(folder))
    return {"path": ref.uri, "sha256": ref.sha256}


def grouped(
    name: str, rows: Sequence[Row], number: str, together: bool
) -> Iterator[tuple[str, Sequence[Row]]]:
    """Group the frames of a file into samples.

    Args:
        name: id of the file.
        rows: of a decoder, one a frame.
        number: key of a row with the number of the frame.
        together: one sample of all frames; False: one of each.

    Yields:
        Id of the sample, "NAME" or "NAME#NUMBER", and its rows.
    """
    if together:
        yield name, rows
        return
    for row in rows:
        yield f"{name}#{row[number]}", [row]


def shown(rows: Iterable[Row], words: Callable[[Row], str]) -> list[Part]:
    """List the parts of a message that shows frames.

    Args:
        rows: of a decoder, one a frame.
        words: gives the text about a frame; "": none.

    Returns:
        Each picture, followed by its words.
    """
    parts: list[Part] = []
    for row in rows:
        parts.append(ImageRef(row["picture"]["path"], sha256=row["picture"]["sha256"]))
        if text := words(row):
            parts.append(text)
    return parts
