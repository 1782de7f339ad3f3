"""Mirror an image of the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from medxiaohe.tools import tool
from medxiaohe.tools.vision.pictures import chosen, pixels, returned
from medxiaohe.types import ImageRef, ToolResult


@tool(effects="reads", example={"image": 1, "direction": "left-right"})
def flip(
    image: int, direction: Literal["left-right", "up-down"], *, images: Sequence[ImageRef]
) -> ToolResult:
    """An image mirrored from left to right or upside down. `image` counts from 1. Left and right of the
    patient change places in a left-right mirror image."""
    seen = pixels(chosen(images, image))
    mirrored = seen[:, ::-1] if direction == "left-right" else seen[::-1]
    return ToolResult("", (f"Image {image} mirrored {direction}:", returned(mirrored)))
