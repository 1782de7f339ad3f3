"""Synthetic pictures that look like a blood smear and a fundus photograph, for the contract test and
tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUND, RED_CELL, NUCLEUS = (205, 196, 200), (196, 168, 176), (120, 80, 190)
CELLS = ((160, 140, 45), (420, 300, 50))  # column, row and radius of the nuclei


def smear(cells: tuple[tuple[int, int, int], ...] = CELLS) -> NDArray[np.uint8]:
    """Draw a blood smear of 640 x 480 pixels: pale red cells in rows, and stained nuclei.

    Args:
        cells: (x, y, radius) of the nuclei, in pixels.

    Returns:
        RGB, (480, 640, 3).
    """
    import numpy as np

    rows, columns = np.mgrid[:480, :640]
    picture = np.empty((480, 640, 3))
    picture[:] = GROUND
    for y in range(60, 480, 110):
        for x in range(60, 640, 110):
            picture[(columns - x) ** 2 + (rows - y) ** 2 < 38**2] = RED_CELL
    for x, y, radius in cells:
        picture[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = NUCLEUS
    return picture.astype(np.uint8)


def fundus(width: int = 565) -> NDArray[np.uint8]:
    """Draw a fundus photograph: a disc of orange light with four dark vessels on black.

    Args:
        width: side of the square picture, in pixels.

    Returns:
        RGB, (width, width, 3).
    """
    import numpy as np

    rows, columns = np.mgrid[:width, :width]
    middle, radius = width / 2, 0.47 * width
    inside = (columns - middle) ** 2 + (rows - middle) ** 2 < radius**2
    picture = np.full((width, width, 3), 5.0)
    picture[inside] = (200, 100, 50)
    thick = 3 * width / 565
    for slope, offset in ((0.3, -0.2), (-0.3, 0.2), (0.8, 0.0), (-0.6, -0.1)):
        far = np.abs(rows - middle - slope * (columns - middle) - offset * width) / np.sqrt(1 + slope**2)
        picture[inside & (far < thick)] = (150, 55, 35)
    return picture.astype(np.uint8)


def vessels_of(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels that `fundus` drew as vessels.

    Returns:
        mask, (height, width).
    """
    import numpy as np

    return np.asarray((picture[..., 1] == 55) & (picture[..., 0] == 150))
