"""Read the pixels that a tool needs, and store those that it returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medxiaohe import assets
from medxiaohe.errors import DataError, ToolError
from medxiaohe.images import keep, open_image
from medxiaohe.plugins import need
from medxiaohe.types import Evidence, ImageRef, Locator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def chosen(images: Sequence[ImageRef], image: int) -> ImageRef:
    """Select an image of the conversation by its number.

    Args:
        images: of the conversation, in order.
        image: number, from 1.

    Returns:
        the reference.

    Raises:
        ToolError: there is none of this number.
    """
    if not 1 <= image <= len(images):
        raise ToolError(f"there is no image {image}: there are 1 to {len(images)}")
    return images[image - 1]


def pixels(ref: ImageRef) -> NDArray[np.uint8]:
    """Decode an image.

    Args:
        ref: which file, frame and box.

    Returns:
        RGB, (height, width, 3), uint8.

    Raises:
        ToolError: the file is no picture that can be opened.
    """
    need("numpy", "PIL", why="tools that look at pixels")
    import numpy as np

    try:
        return np.asarray(open_image(ref), np.uint8)
    except DataError as error:
        raise ToolError(str(error)) from error


def returned(rgb: NDArray[np.uint8]) -> ImageRef:
    """Store a picture that a tool computed in the cache, named by its content.

    Args:
        rgb: (height, width, 3), uint8.

    Returns:
        a reference to the stored PNG.

    Raises:
        StorageError: the disk is full or read-only.
    """
    import numpy as np

    return keep(np.ascontiguousarray(rgb), assets.cache_root() / "images")


def region(
    ref: ImageRef, text: str, *, by: str, box: tuple[int, int, int, int] | None = None, score: float = 0.0
) -> Evidence:
    """Record what a tool measured in an image as evidence, with its box in the original file.

    Args:
        ref: the image that the tool was shown; its own box is the origin of `box`.
        text: the finding, in words.
        by: name of the tool.
        box: (left, top, right, bottom) in pixels of what `ref` shows; None for all of it.
        score: confidence, 0 to 1.

    Returns:
        evidence of the kind `region`; its id is BY/IMAGE/BOX.
    """
    left, top = ref.box[:2] if ref.box else (0, 0)
    location = (box[0] + left, box[1] + top, box[2] + left, box[3] + top) if box else ref.box
    suffix = "" if location is None else ",".join(map(str, location))
    return Evidence(
        f"{by}/{ref.sha256[:12] or ref.uri.rpartition('/')[2]}{f'/{suffix}' if suffix else ''}",
        text,
        ref.uri.rpartition("/")[2],
        images=(ref,),
        score=score,
        kind="region",
        sha256=ref.sha256,
        at=Locator(box=location, frame=ref.frame),
        by=by,
    )
