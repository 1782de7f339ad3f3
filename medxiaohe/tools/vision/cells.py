"""Detect white cells of stained blood smears: blue and saturated pixels, closed, as components of a least
size.

Red cells are not detected. In BCCD the annotators marked only some of them: the covered area and the count
do not correlate (r = 0.00 over 139 pictures), so nothing can be measured (docs/results/tools.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medxiaohe.tools.vision.pixels import Mask, boxes_of, components, eroded, filled, grown, shrunk

# chosen on the training split of BCCD (tasks/_bccd.py) for F1
BLOCK = 4  # pixels of a side that are averaged
LEAST_STAIN = 8.0  # (blue - green) times saturation, of 255
CLOSED = 2  # blocks: gaps between lobes of a nucleus
LEAST_AREA = 280  # blocks; the least of a marked cell was 299, clumps of platelets have up to 230
MARGIN = 0.08  # of the width and height, to each side: cytoplasm is paler than the nucleus


@dataclass(frozen=True, slots=True)
class Cell:
    """A white cell: its box in pixels of the picture, and a confidence from 0 to 1."""

    box: tuple[int, int, int, int]
    confidence: float


def stain(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure how strongly the stain of nuclei shows: (blue - green) x saturation, averaged over blocks.

    Args:
        pixels: RGB, (height, width, 3).

    Returns:
        (height // BLOCK, width // BLOCK).
    """
    values = pixels.astype(np.float64)
    largest = values.max(axis=2)
    # saturation of HSV: (max - min) / max
    saturation = (largest - values.min(axis=2)) / np.maximum(largest, 1)
    # nuclei are stained blue-violet: blue exceeds green, and the colour is saturated
    return shrunk((values[..., 2] - values[..., 1]) * saturation, BLOCK)


def nuclei(pixels: NDArray[np.uint8]) -> Mask:
    """Segment stained nuclei: threshold, morphological closing, and filling of holes.

    Args:
        pixels: RGB, (height, width, 3).

    Returns:
        mask of blocks, (height // BLOCK, width // BLOCK).
    """
    stained = stain(pixels) > LEAST_STAIN
    # closing = dilation and erosion, which joins the lobes of a nucleus; then fill its holes
    return filled(eroded(grown(stained, CLOSED), CLOSED))


def white_cells(pixels: NDArray[np.uint8]) -> list[Cell]:
    """Detect white cells as connected components of the stained mask.

    Args:
        pixels: RGB of a stained blood smear, (height, width, 3).

    Returns:
        cells sorted by their left side, with boxes in pixels that are widened by MARGIN and cut at the
        border.
    """
    height, width = pixels.shape[:2]
    shown = stain(pixels)
    labels, count = components(nuclei(pixels))
    results = []
    for label, (left, top, right, bottom, area) in enumerate(boxes_of(labels, count), 1):
        if area < LEAST_AREA:
            continue
        # the box is widened by the cytoplasm, which the stain does not show
        wide, high = MARGIN * (right - left) * BLOCK, MARGIN * (bottom - top) * BLOCK
        box = (
            max(0, round(left * BLOCK - wide)),
            max(0, round(top * BLOCK - high)),
            min(width, round(right * BLOCK + wide)),
            min(height, round(bottom * BLOCK + high)),
        )
        # confidence: mean stain relative to 2.5 thresholds, times area relative to 1.5 least areas, each at
        # most 1
        depth = float(shown[labels == label].mean()) / (2.5 * LEAST_STAIN)
        results.append(Cell(box, round(min(1.0, depth) * min(1.0, area / (1.5 * LEAST_AREA)), 2)))
    return sorted(results, key=lambda cell: cell.box)
