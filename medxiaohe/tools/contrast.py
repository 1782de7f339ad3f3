"""Spread the grey values of an image of the conversation."""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe.errors import ToolError
from medxiaohe.tools import tool
from medxiaohe.tools.vision.pictures import chosen, pixels, returned
from medxiaohe.types import ImageRef, ToolResult


@tool(effects="reads", example={"image": 1, "low": 10.0, "high": 90.0})
def contrast(
    image: int, low: float = 1.0, high: float = 99.0, invert: bool = False, *, images: Sequence[ImageRef]
) -> ToolResult:
    """An image with its values spread so that the percentile `low` becomes black and the percentile `high`
    white; with `invert` the other way round. `image` counts from 1."""
    import numpy as np

    if not 0 <= low < high <= 100:
        raise ToolError("low and high are percentiles from 0 to 100, low below high")
    seen = pixels(chosen(images, image)).astype(np.float32)
    darkest, brightest = np.percentile(seen.max(axis=2), (low, high))
    if brightest <= darkest:
        raise ToolError(f"image {image} has one value between these percentiles: take them further apart")
    # linear stretch between the percentiles, clipped to 0 .. 255
    spread = np.clip((seen - darkest) / (brightest - darkest), 0, 1) * 255
    spread = 255 - spread if invert else spread
    stretch = f"from {darkest:.0f} to {brightest:.0f} of 255{', inverted' if invert else ''}"
    return ToolResult("", (f"Image {image}, values {stretch}:", returned(np.rint(spread).astype(np.uint8))))
