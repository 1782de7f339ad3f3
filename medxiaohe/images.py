"""Pixels: an ImageRef becomes an RGB image here and nowhere else.

Only the formats listed are opened, a file that declares more than MAX_PIXELS is refused before its
pixels are unpacked, and a file whose bytes changed since it was read is an error. Grey images of more
than 8 bits are stretched from their darkest to their brightest pixel: Pillow would cut them off to white.
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
from medxiaohe.errors import DataError
from medxiaohe.types import ImageRef

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
DEEP_GREY = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
MAX_PIXELS = 50_000_000  # a chest radiograph has 4 to 10 million
MAX_BYTES = 256 * 2**20


def ref(path: Path) -> ImageRef:
    """A reference to a file, with the digest of its bytes now."""
    return ImageRef(str(path), sha256=hashlib.sha256(_bytes(path)).hexdigest())


def open_image(image: ImageRef, *, small: int = 0) -> Image:
    """The pixels of a reference as an RGB PIL image.

    With `small` a grey one of at least so many pixels each way, for looking at: a JPEG is then unpacked no
    larger than need be. DataError when the file is missing, not an image of a known format, truncated, over
    MAX_PIXELS, or not the bytes that were read at ingest.
    """
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    data = _bytes(Path(image.uri))
    if image.sha256 and hashlib.sha256(data).hexdigest() != image.sha256:
        raise DataError(f"{image.uri}: the file changed since it was read: run the reading stage again")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pil.DecompressionBombWarning)
        try:
            with pil.open(BytesIO(data), formats=FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise DataError(
                        f"{image.uri}: {opened.width} x {opened.height} pixels, at most {MAX_PIXELS:,} are"
                        " opened"
                    )
                if image.frame is not None:
                    opened.seek(image.frame)
                if small and not image.box and image.frame is None:
                    opened.draft("L", (small, small))
                plain = _stretched(opened) if opened.mode in DEEP_GREY else opened
                pixels = plain.convert("L" if small and plain.mode in ("L", "RGB") else "RGB")
        except DataError:
            raise
        except UnidentifiedImageError as error:
            raise DataError(
                f"{image.uri}: not a readable image: it is none of {', '.join(FORMATS)}"
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
    if not image.box:
        return pixels
    left, top, right, bottom = image.box
    if not (0 <= left < right <= pixels.width and 0 <= top < bottom <= pixels.height):
        raise DataError(
            f"{image.uri}: the box {image.box} is not inside {pixels.width} x {pixels.height} pixels"
        )
    return pixels.crop(image.box)


def size_of(image: ImageRef) -> tuple[int, int]:
    """Width and height of what `open_image` gives, from the file's header alone: no pixel is unpacked.

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
        raise DataError(f"{image.uri}: not a readable image: it is none of {', '.join(FORMATS)}") from error
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
    low, high = deep.convert("F").getextrema()
    if not (math.isfinite(low) and math.isfinite(high)):  # type: ignore[arg-type]
        raise ValueError("its pixels are not all numbers")
    scale = 255 / (high - low) if high > low else 0.0  # type: ignore[operator]
    return deep.convert("F").point(lambda value: value * scale - low * scale).convert("L")  # type: ignore[operator]


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
