"""Decode untrusted pictures for the first time in a child process with limits.

A decoder that a file makes crash, loop or grow takes the child with it, and the row is a rejected row. What
got through is opened in this process later on, by the digest of its bytes: another file under its name is an
error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe import images
from medxiaohe.data.formats.sandbox import decode
from medxiaohe.errors import DataError, Rejected
from medxiaohe.plugins import need
from medxiaohe.types import ImageRef

# reserved, not used: the decoder of WebP asks for two canvases before the head is judged, and what is judged
# from the head (images.too_costly) keeps what is used below 300 MiB
MEMORY_MIB = 512


def check(image: ImageRef) -> tuple[int, int]:
    """Decode all pixels of a picture in a child process with limits.

    Args:
        image: a reference to an image file.

    Returns:
        Width and height in pixels, of the box where it has one.

    Raises:
        DataError: as images.open_image, and Rejected where the decoder dies, takes longer than
            sandbox.SECONDS or reserves more than MEMORY_MIB.
    """
    options: dict[str, Any] = {"frame": image.frame, "box": image.box, "sha256": image.sha256}
    (answer,) = decode(f"{__name__}:unpacked", Path(image.uri), memory_mib=MEMORY_MIB, **options)
    if "error" in answer:
        raise Rejected(answer["code"], answer["error"]) if answer["code"] else DataError(answer["error"])
    return answer["width"], answer["height"]


# ---- inside the child ------------------------------------------------------------------------------


def prepare() -> None:
    """Load the decoders before the memory of the child process is limited.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    need("PIL", why="opening pictures")
    from PIL import Image

    Image.init()


def unpacked(
    path: Path, *, frame: int | None, box: list[int] | None, sha256: str
) -> Iterator[dict[str, Any]]:
    """Decode all pixels of a picture.

    Args:
        path: the image file.
        frame: number of a frame; None: the first.
        box: left, top, right and bottom in pixels; None: all.
        sha256: digest that the bytes must have; "": any.

    Yields:
        One row: {width, height}, or {error, code} of what images.open_image raises.
    """
    ref = ImageRef(str(path), frame=frame, box=tuple(box) if box else None, sha256=sha256)  # type: ignore[arg-type]
    try:
        opened = images.open_image(ref)
    except DataError as error:
        yield {"error": str(error), "code": getattr(error, "code", "")}
        return
    yield {"width": opened.width, "height": opened.height}
