"""Edited images, stored as files named by the digest of their source and edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from medxiaohe import images, io
from medxiaohe.types import ImageRef

GREY = (128, 128, 128)  # mid-grey in RGB, 0 to 255


def mirrored(ref: ImageRef, folder: Path) -> ImageRef:
    """Mirror an image left to right.

    Args:
        ref: the image; its frame and box are applied first.
        folder: where the result is stored.

    Returns:
        reference to a PNG file, made once
    """
    from PIL import ImageOps

    return _made("mirrored", ref, folder, ImageOps.mirror)


def blank(ref: ImageRef, folder: Path) -> ImageRef:
    """Grey rectangle of the size of an image.

    Args:
        ref: the image; its frame and box are applied first.
        folder: where the result is stored.

    Returns:
        reference to a PNG file, made once
    """
    from PIL import Image

    return _made("blank", ref, folder, lambda pixels: Image.new("RGB", pixels.size, GREY))


def _made(kind: str, ref: ImageRef, folder: Path, change: Callable[[Any], Any]) -> ImageRef:
    key = io.fingerprint([kind, ref.sha256 or io.sha256(Path(ref.uri)), ref.frame, ref.box])
    path = folder / f"{kind}-{key}.png"
    if not path.exists():
        pixels = change(images.open_image(ref))
        io.write(path, lambda out: pixels.save(out, "PNG"))
    return images.ref(path)
