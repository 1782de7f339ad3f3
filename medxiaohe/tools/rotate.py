"""Turn an image of the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from medxiaohe.tools import tool
from medxiaohe.tools.vision.pictures import chosen, pixels, returned
from medxiaohe.types import ImageRef, ToolResult


@tool(effects="reads", example={"image": 1, "degrees": 90})
def rotate(image: int, degrees: Literal[90, 180, 270], *, images: Sequence[ImageRef]) -> ToolResult:
    """An image turned clockwise by 90, 180 or 270 degrees. `image` counts from 1. Left and right of the
    patient turn with it."""
    import numpy as np

    turned = np.rot90(pixels(chosen(images, image)), -degrees // 90)
    return ToolResult("", (f"Image {image} turned clockwise by {degrees} degrees:", returned(turned)))
