"""Decode images and labels of a NumPy archive, in the child process of data/formats/sandbox.py; objects
(pickles) are refused."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.data.readers import Rejected
from medxiaohe.plugins import need

MAX_ARRAY = 192 * 2**20  # bytes of one array, unpacked


def prepare() -> None:
    """Import the decoders before the memory of the child process is limited.

    Raises:
        MissingExtra: numpy or Pillow is not installed.
    """
    need("numpy", "PIL", why="NumPy archives")
    import numpy  # noqa: F401
    import PIL.Image
    import PIL.PngImagePlugin  # noqa: F401


def rows(path: Path, images: str, labels: str) -> Iterator[dict[str, Any]]:
    """Decode images and labels of a NumPy archive.

    Args:
        path: an .npz file.
        images: ending of the names of arrays of images, (n, height, width) or (n, height, width, 3)
            uint8; what is before it is the split.
        labels: ending of the names of arrays of labels, (n, ...).

    Yields:
        {split, index, label, image}: label as a flat list, image as the data: URI of a PNG.

    Raises:
        Rejected: format for arrays that are missing or of another type, lie for numbers that differ, bomb
            for arrays of more than MAX_ARRAY bytes.
    """
    import numpy as np

    try:
        members = {
            info.filename.removesuffix(".npy"): info.file_size for info in zipfile.ZipFile(path).infolist()
        }
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise Rejected("format", f"not a NumPy archive: {error}", 0) from error
    named = [name for name in members if name.endswith(images)]
    if not named:
        raise Rejected(
            "format", f"no array whose name ends in {images}; there are {', '.join(members)[:200]}", 0
        )
    with np.load(path, allow_pickle=False) as arrays:
        for name in named:
            prefix = name.removesuffix(images)
            pixels, marks = _array(arrays, name, members), _array(arrays, prefix + labels, members)
            if len(marks) != len(pixels):
                raise Rejected("lie", f"{len(pixels)} images but {len(marks)} labels")
            if (
                pixels.dtype != np.uint8
                or pixels.ndim not in (3, 4)
                or (pixels.ndim == 4 and pixels.shape[3] != 3)
            ):
                raise Rejected(
                    "format",
                    f"{name} must be uint8 of n x height x width (x 3), not {pixels.dtype} of {pixels.shape}",
                )
            for index, (picture, mark) in enumerate(zip(pixels, marks, strict=True)):
                yield {
                    "split": prefix.strip("_"),
                    "index": index,
                    "label": np.ravel(mark).tolist(),
                    "image": _png(picture),
                }


def _array(arrays: Any, name: str, members: dict[str, int]) -> Any:
    if name not in members:
        raise Rejected("format", f"no array {name}; there are {', '.join(members)[:200]}", 0)
    if members[name] > MAX_ARRAY:
        raise Rejected(
            "bomb", f"{name} unpacks to {members[name] >> 20} MiB, at most {MAX_ARRAY >> 20} are read"
        )
    try:
        return arrays[name]
    except ValueError as error:
        raise Rejected("format", f"{name}: {str(error)[:160]}", 0) from error


def _png(picture: Any) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
