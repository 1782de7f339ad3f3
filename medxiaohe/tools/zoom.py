"""Enlarge a part of an image of the conversation: the zoom-in tool of MedXIAOHE (arXiv 2602.12705)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medxiaohe.errors import ToolError
from medxiaohe.images import open_image
from medxiaohe.tools import tool
from medxiaohe.types import ImageRef, ToolResult

LEAST = 8  # pixels of each side


@tool(effects="reads", example={"image": 1, "left": 25.0, "top": 25.0, "right": 75.0, "bottom": 75.0})
def zoom(
    image: int, left: float, top: float, right: float, bottom: float, *, images: Sequence[ImageRef]
) -> ToolResult:
    """A part of an image, as an image. `image` counts from 1; the sides are percent of its width and
    height."""
    if not 1 <= image <= len(images):
        raise ToolError(f"there is no image {image}: there are 1 to {len(images)}")
    if not (0 <= left < right <= 100 and 0 <= top < bottom <= 100):
        raise ToolError("left, top, right and bottom are percent, with left below right and top below bottom")
    ref = images[image - 1]
    full_image = open_image(ref)
    at_left, at_top = ref.box[:2] if ref.box else (0, 0)
    sides = (
        left * full_image.width,
        top * full_image.height,
        right * full_image.width,
        bottom * full_image.height,
    )
    x, y, x_end, y_end = (round(side / 100) for side in sides)
    if x_end - x < LEAST or y_end - y < LEAST:
        raise ToolError(f"that part is smaller than {LEAST} pixels: take a larger one")
    part = replace(ref, box=(at_left + x, at_top + y, at_left + x_end, at_top + y_end))
    return ToolResult("", (f"Part of image {image}:", part))
