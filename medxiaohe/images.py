"""Decode images: an ImageRef becomes an RGB image here and nowhere else.

Only the formats listed are opened. A file that declares more than MAX_PIXELS, or would take more than
MAX_DECODED or MAX_PASSES, is refused before its pixels are unpacked, and one whose bytes changed since it was
read is an error. Grey images of more than 8 bits are stretched from their darkest to their brightest pixel:
Pillow would cut them off to white.
"""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from medxiaohe import io
from medxiaohe.errors import DataError, Rejected
from medxiaohe.types import ImageRef

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
DEEP_GREY = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
MAX_PIXELS = 50_000_000  # a chest radiograph has 4 to 10 million
MAX_BYTES = 256 * 2**20
MAX_DECODED = 200 * 2**20  # bytes at once while a picture is decoded, those of its file included
MAX_PASSES = 500_000_000  # pixels times the scans of a JPEG, or times the frames up to the one that is read
STRIP_ROWS = 256
TILE_HEIGHT, ROWS_PER_STRIP = 323, 278  # tags of TIFF 6.0
BYTES = {
    "1": 1,
    "L": 1,
    "P": 1,
    "I;16": 2,
    "I;16L": 2,
    "I;16B": 2,
    "I;16N": 2,
}  # of a pixel in memory; others 4
BESIDE = {"WEBP": 12, "GIF": 8}  # bytes a pixel that a decoder of animations holds for itself


def ref(path: Path) -> ImageRef:
    """Make an ImageRef to a file, with the SHA-256 of the bytes it holds now.

    Args:
        path: image file; stored in the reference as it is, relative or absolute.

    Returns:
        a reference with `sha256` set, without frame or box. The pixels are not decoded.

    Raises:
        DataError: the file is missing, unreadable or larger than MAX_BYTES.
    """
    return ImageRef(str(path), sha256=hashlib.sha256(_bytes(path)).hexdigest())


def open_image(image: ImageRef, *, small: int = 0) -> Image:
    """Decode the pixels of a reference as a PIL image, cropped to its box.

    Args:
        image: which file, frame and box; with `sha256` the bytes of the file are compared with it.
        small: 0 for full resolution in RGB. Otherwise a JPEG is decoded at a reduced scale of at least
            this many pixels each way, as 8-bit grey (for thumbnails).

    Returns:
        an image of mode "RGB"; with `small` one of mode "L" where the file has grey or RGB pixels.

    Raises:
        DataError: the file is missing, not one of FORMATS, truncated, not the bytes of `sha256`, or the
            box lies outside of the image; Rejected "too_large" where decoding would exceed a limit.
    """
    data = _bytes(Path(image.uri))
    if image.sha256 and hashlib.sha256(data).hexdigest() != image.sha256:
        raise DataError(f"{image.uri}: the file changed since it was read: run the reading stage again")
    plain = _decoded(data, image, small)
    requested = "L" if small and plain.mode in ("L", "RGB") else "RGB"
    # a copy of what has the right mode already would double the memory
    pixels = plain if plain.mode == requested else plain.convert(requested)
    if not image.box:
        return pixels
    left, top, right, bottom = image.box
    if not (0 <= left < right <= pixels.width and 0 <= top < bottom <= pixels.height):
        raise DataError(
            f"{image.uri}: the box {image.box} is not inside {pixels.width} x {pixels.height} pixels"
        )
    return pixels.crop(image.box)


def too_costly(opened: Image, data: bytes, frame: int = 0) -> str:
    """Say why a picture would need too much memory or time to be decoded, from its header alone.

    Args:
        opened: as Pillow opens it, not decoded yet.
        data: the bytes of the file.
        frame: number of the frame that is decoded, from 0.

    Returns:
        the reason, "" where it may be decoded. Counted are the bytes of the file, of the pixels as
        decoded and as RGB, and of the decoder; the time of a JPEG grows with its scans, that of an
        animation with the frames before.
    """
    pixels, form = opened.width * opened.height, opened.format or ""
    if pixels > MAX_PIXELS:
        return f"{opened.width} x {opened.height} pixels, at most {MAX_PIXELS:,} are opened"
    stored = BYTES.get(opened.mode, 4)
    # grey of more than 8 bits is first made L, then RGB; every other mode but RGB is in memory twice, as
    # decoded and as RGB
    each = max(stored + 1, 5) if opened.mode in DEEP_GREY else 4 if opened.mode == "RGB" else stored + 4
    scans = data.count(b"\xff\xda") if form in ("JPEG", "MPO") else 1
    if scans > 1:  # libjpeg holds all coefficients, two bytes each
        each += 2 * len(opened.getbands())
    held = len(data) + pixels * (each + BESIDE.get(form, 0))
    if form == "TIFF":
        held += _strip_bytes(opened, stored)
    if held > MAX_DECODED:
        return f"decoding it takes {held >> 20} MiB, at most {MAX_DECODED >> 20} are used: make it smaller"
    if pixels * scans > MAX_PASSES:
        return f"a JPEG of {scans} scans, which is more than {opened.width} x {opened.height} pixels can need"
    if form in BESIDE and pixels * (frame + 1) > MAX_PASSES:
        return f"frame {frame} comes after more pixels than are decoded for one: {MAX_PASSES:,}"
    return ""


def _strip_bytes(opened: Image, stored: int) -> int:
    """What libtiff unpacks at once: a strip, or a row of tiles."""
    tags = getattr(opened, "tag_v2", {})
    rows = tags.get(TILE_HEIGHT) or tags.get(ROWS_PER_STRIP) or opened.height
    return int(opened.width * min(int(rows), opened.height) * stored)


def _decoded(data: bytes, image: ImageRef, small: int) -> Image:
    """The pixels in the mode of the file, deep grey as 8 bits."""
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("error", pil.DecompressionBombWarning)
        try:
            with pil.open(BytesIO(data), formats=FORMATS) as opened:
                if reason := too_costly(opened, data, image.frame or 0):
                    raise Rejected("too_large", f"{image.uri}: {reason}")
                if image.frame is not None:
                    opened.seek(image.frame)
                if small and not image.box and image.frame is None:
                    opened.draft("L", (small, small))
                if opened.mode in DEEP_GREY:
                    return _stretched(opened)
                opened.load()
                return opened
        except DataError:
            raise
        except UnidentifiedImageError as error:
            raise DataError(
                f"{image.uri}: not a readable image: its format is not one of {', '.join(FORMATS)}"
            ) from error
        except (
            OSError,
            ValueError,
            SyntaxError,
            EOFError,
            pil.DecompressionBombError,
            pil.DecompressionBombWarning,
        ) as error:
            raise DataError(f"{image.uri}: not a readable image: {error}") from error


def keep(rgb: NDArray[np.uint8], folder: Path) -> ImageRef:
    """Store an RGB picture as a PNG named by the SHA-256 of its bytes: equal pixels share one file, without
    metadata of their origin.

    Args:
        rgb: pixels (height, width, 3); stored as one channel where all three are equal.
        folder: where the file is written; one that exists is not written again.

    Returns:
        a reference to the file, with its SHA-256.

    Raises:
        StorageError: the disk is full or read-only.
    """
    from PIL import Image as pil

    grey = (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all()
    out = BytesIO()
    pil.fromarray(rgb[..., 0] if grey else rgb).save(out, "PNG", compress_level=4)
    data = out.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    path = folder / digest
    if not path.exists():
        io.write(path, lambda file: file.write(data))
    return ImageRef(str(path), sha256=digest)


def size_of(image: ImageRef) -> tuple[int, int]:
    """Read the size of what `open_image` returns from the header of the file; no pixel is decoded.

    Args:
        image: which file, frame and box.

    Returns:
        (width, height) in pixels, of the box where there is one.

    Raises:
        DataError: as `open_image`, for what a header can tell.
    """
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pil.DecompressionBombWarning)  # open_image judges the size
            with io.open_regular(Path(image.uri)) as file, pil.open(file, formats=FORMATS) as opened:
                if image.frame is not None:
                    opened.seek(image.frame)
                width, height = opened.size
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"no such image: {image.uri}") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{image.uri}: not a readable image: its format is not one of {', '.join(FORMATS)}"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, pil.DecompressionBombError) as error:
        raise DataError(f"{image.uri}: not a readable image: {error}") from error
    if width * height > MAX_PIXELS:
        raise DataError(f"{image.uri}: {width} x {height} pixels, at most {MAX_PIXELS:,} are opened")
    if not image.box:
        return width, height
    left, top, right, bottom = image.box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise DataError(f"{image.uri}: the box {image.box} is not inside {width} x {height} pixels")
    return right - left, bottom - top


def _stretched(deep: Image) -> Image:
    """Grey of 8 bits from darkest to brightest, strip by strip: floats would take four times as much."""
    from PIL import Image as pil

    boxes = [
        (0, top, deep.width, min(top + STRIP_ROWS, deep.height)) for top in range(0, deep.height, STRIP_ROWS)
    ]
    ends = [deep.crop(box).convert("F").getextrema() for box in boxes]
    low, high = min(float(a) for a, _ in ends), max(float(b) for _, b in ends)  # type: ignore[arg-type, misc]
    if not all(math.isfinite(value) for pair in ends for value in pair):  # type: ignore[arg-type]
        raise ValueError("its pixels are not all numbers")
    scale = 255 / (high - low) if high > low else 0.0
    out = pil.new("L", deep.size)
    for box in boxes:
        strip = deep.crop(box).convert("F").point(lambda value: value * scale - low * scale)  # type: ignore[operator]
        out.paste(strip.convert("L"), box)
    return out


def _bytes(path: Path) -> bytes:
    try:
        with io.open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise DataError(f"{path}: larger than {MAX_BYTES >> 20} MiB: not opened")
            return file.read(MAX_BYTES)
    except FileNotFoundError as error:
        raise DataError(f"no such image: {path}") from error
    except DataError:
        raise
    except (OSError, ValueError) as error:  # a folder, no permission, a name too long or with a zero byte
        raise DataError(
            f"cannot read the image {str(path)[:200]!r}: {getattr(error, 'strerror', None) or error}"
        ) from error
