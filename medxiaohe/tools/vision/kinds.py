"""Classify a picture by its colours: a blood smear, a fundus photograph, a grey picture (radiograph, CT,
MR) or another colour picture. Image tools refuse a kind that they were not measured on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medxiaohe.errors import ToolError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 64  # pixels that a picture is reduced to
GREY, SMEAR, FUNDUS, OTHER = "grey picture", "blood smear", "fundus photograph", "other colour picture"
GREATEST_GREY = (
    3.0  # mean distance of the colours from grey, of 255; 2.7 was seen in radiology, 4.9 in smears
)


@dataclass(frozen=True, slots=True)
class Colours:
    """Colour statistics of a picture of SIDE x SIDE pixels; 0 to 255, saturation 0 to 1."""

    from_grey: float  # mean distance of a channel from the grey of its pixel
    saturation: float
    corners: float  # the largest channel in the four corners
    red_over_green: float
    green_over_blue: float
    bright: float  # 90th percentile of the largest channel
    dark: float  # 5th percentile


def colours(pixels: NDArray[np.uint8]) -> Colours:
    """Measure the colours of a picture after shrinking it to SIDE x SIDE pixels.

    Args:
        pixels: RGB, (height, width, 3).

    Returns:
        means and percentiles, as `Colours` describes them.
    """
    import numpy as np
    from PIL import Image

    # box filter: noise and single structures average out
    small = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    largest = small.max(axis=2)
    corner = SIDE // 16
    # the four corners, each 1/16 of the sides
    ends = (slice(None, corner), slice(-corner, None))
    return Colours(
        # mean absolute difference of a channel from the grey value
        from_grey=float(np.abs(small - small.mean(axis=2, keepdims=True)).mean()),
        saturation=float(((largest - small.min(axis=2)) / np.maximum(largest, 1)).mean()),
        corners=float(np.mean([largest[y, x].mean() for y in ends for x in ends])),
        red_over_green=float((small[..., 0] - small[..., 1]).mean()),
        green_over_blue=float((small[..., 1] - small[..., 2]).mean()),
        bright=float(np.percentile(largest, 90)),
        dark=float(np.percentile(largest, 5)),
    )


def kind_of(pixels: NDArray[np.uint8]) -> str:
    """Classify a picture by its colours.

    Args:
        pixels: RGB, (height, width, 3).

    Returns:
        one of GREY, SMEAR, FUNDUS, OTHER. The limits lie between the values measured in the pictures of
        the pack; docs/results/tools.md has the accuracy.
    """
    seen = colours(pixels)
    if seen.from_grey < GREATEST_GREY:
        return GREY
    # a disc of orange light in a black surround
    if seen.corners < 40 and seen.saturation > 0.3 and seen.red_over_green > 15 and seen.green_over_blue > 3:
        return FUNDUS
    # pale pink cells on a bright ground, no black surround
    if (
        0.04 < seen.saturation < 0.16
        and 3 < seen.red_over_green < 18
        and -15 < seen.green_over_blue < 4
        and seen.corners > 150
        and seen.dark > 140
        and 180 < seen.bright < 235
    ):
        return SMEAR
    return OTHER


def require(pixels: NDArray[np.uint8], kind: str, tool: str) -> None:
    """Refuse a picture of another kind.

    Args:
        pixels: RGB, (height, width, 3).
        kind: the kind that the tool was measured on.
        tool: name, for the message.

    Raises:
        ToolError: it looks like another kind; the sentence names both.
    """
    seen = kind_of(pixels)
    if seen != kind:
        raise ToolError(f"{tool} is measured on a {kind} and this looks like a {seen}: it is not used on it")
