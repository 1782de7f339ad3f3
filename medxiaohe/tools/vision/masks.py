"""Segment vessels and cells, and measure masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medxiaohe.errors import ToolError
from medxiaohe.tools.vision import cells as blood
from medxiaohe.tools.vision import vessels as fundus
from medxiaohe.tools.vision.pixels import Mask, boxes_of, components

THRESHOLD = 0.4  # probability of a vessel; chosen for F1 on DRIVE
MOST_PARTS = 50_000


@dataclass(frozen=True, slots=True)
class Segmented:
    """A mask, its share of the searched area, and the confidence of its pixels, 0 to 1."""

    mask: Mask
    share: float
    of: str
    confidence: float

    def picture(self) -> NDArray[np.uint8]:
        """Draw the mask white on black.

        Returns:
            RGB, (height, width, 3).
        """
        import numpy as np

        return np.repeat((self.mask * np.uint8(255))[..., None], 3, axis=-1)


def vessels(pixels: NDArray[np.uint8]) -> Segmented:
    """Segment the vessels of a fundus photograph: pixels with a probability over THRESHOLD inside the field
    of view.

    Args:
        pixels: RGB, (height, width, 3).

    Returns:
        the mask, its share of the field of view, and the mean probability in the mask as confidence.
    """
    probability, seen = fundus.probabilities(pixels)
    mask = (probability > THRESHOLD) & seen
    # mean probability of the pixels that were accepted
    confidence = float(probability[mask].mean()) if mask.any() else 0.0
    return Segmented(mask, float(mask.sum() / seen.sum()), "the field of view", confidence)


def cells(pixels: NDArray[np.uint8]) -> Segmented:
    """Segment the white cells of a stained blood smear: nuclei of at least LEAST_AREA blocks.

    Args:
        pixels: RGB, (height, width, 3).

    Returns:
        the mask, its share of the picture, and the mean confidence of the cells, 0 where there is none.
    """
    small = blood.nuclei(pixels)
    labels, count = components(small)
    # area of each label in blocks; label 0 is the background
    areas = np.array([0] + [area for *_, area in boxes_of(labels, count)])
    accepted = (areas >= blood.LEAST_AREA)[labels]
    # blocks as pixels; a picture whose sides are no multiple of a block has an edge that no block covers
    large = accepted.repeat(blood.BLOCK, axis=0).repeat(blood.BLOCK, axis=1)
    height, width = pixels.shape[:2]
    mask = np.pad(large, ((0, height - large.shape[0]), (0, width - large.shape[1])))
    sure = [cell.confidence for cell in blood.white_cells(pixels)]
    return Segmented(mask, float(mask.mean()), "the picture", sum(sure) / len(sure) if sure else 0.0)


def mask_of(pixels: NDArray[np.uint8]) -> Mask:
    """Convert a white-on-black picture to a mask.

    Args:
        pixels: RGB, (height, width, 3).

    Returns:
        mask, (height, width).

    Raises:
        ToolError: it has other values than black and white.
    """
    grey = pixels.max(axis=2)
    if (np.ptp(pixels.astype(np.int16), axis=2) > 8).any() or ((grey > 8) & (grey < 247)).any():
        raise ToolError("that is no mask: measure takes a white-on-black image, such as segment returns")
    return np.asarray(grey > 127)


@dataclass(frozen=True, slots=True)
class Part:
    """A connected component of a mask, in pixels."""

    area: int
    width: int
    height: int
    box: tuple[int, int, int, int]


def parts(mask: Mask, least: int) -> list[Part]:
    """Measure the connected components (4 neighbours) of a mask.

    Args:
        mask: (height, width).
        least: smallest area in pixels of a component that is returned.

    Returns:
        components, the largest first.

    Raises:
        ToolError: the mask has more than MOST_PARTS components: it is noise.
    """
    labels, count = components(mask)
    if count > MOST_PARTS:
        raise ToolError(f"the mask has {count:,} parts, more than {MOST_PARTS:,}: it is noise")
    results = [
        Part(area, right - left, bottom - top, (left, top, right, bottom))
        for left, top, right, bottom, area in boxes_of(labels, count)
        if area >= least
    ]
    return sorted(results, key=lambda part: (-part.area, part.box))
