"""Detect keypoints of a picture that its copies have too, with descriptors of 20 numbers and hash codes.

Points are extrema over place and scale of differences of Gaussians (Lowe 2004, section 3), of the local
contrast, so that another window, brightness or inverted grey values leave them where they are. What surrounds
a point is cut out upright, in the size of its scale, 8 x 8; its low frequencies (a cosine transform) are the
descriptor. Its sign is that of the point, dark or bright, so an inverted picture has the same descriptors,
and a mirrored one the same numbers with other signs. Codes are the signs of random projections (Charikar
2002): equal codes propose that two points are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LEVELS = 8  # blurred pictures, three to a doubling of the scale
FINEST = 1.6 / 128  # deviation of the first Gaussian, in sides of the picture
AROUND = 9 / 128  # deviation of the Gaussian that says what is around a pixel
NEGLIGIBLE = 1e-12  # weight of a pixel in a Gaussian, of 1 in its middle: below the precision of float32
FEW = 30  # points; a picture that has no more is smooth, and is searched in twice the scales too
MIN_RESPONSE = 0.02  # of a difference of Gaussians, in deviations of the local contrast
CELLS, SPREAD = 8, 1.1  # cells of a side of the surroundings, and their distance in scales of the point
TABLES, BITS = 4, 24  # codes of a point, and bits of each
UNSURE = 2  # bits of a code, those nearest to 0, that are tried both ways
FLIPS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # upside down, mirrored: the step along each axis
# mean and standard deviation of a descriptor's numbers by their frequencies (down, across), whose sum is 1
# to 5, over keypoints of the radiographs, skin photographs, blood smears and fundus images that
# benchmarks/near_images.py tunes with
_STATISTICS = {
    (0, 1): (0.0, 0.461), (0, 2): (-0.141, 0.292), (0, 3): (0.0, 0.167), (0, 4): (0.114, 0.131),
    (0, 5): (0.0, 0.058), (1, 0): (0.0, 0.408), (1, 1): (0.0, 0.319), (1, 2): (0.0, 0.241),
    (1, 3): (0.0, 0.164), (1, 4): (0.0, 0.095), (2, 0): (-0.093, 0.249), (2, 1): (0.0, 0.216),
    (2, 2): (0.177, 0.145), (2, 3): (0.0, 0.086), (3, 0): (0.0, 0.16), (3, 1): (0.0, 0.143),
    (3, 2): (0.0, 0.086), (4, 0): (0.085, 0.11), (4, 1): (0.0, 0.08), (5, 0): (0.0, 0.048),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """Points of a picture, the clearest first.

    Attributes:
        places: (n, 3) float32: across, down and scale, in sides of the picture.
        numbers: (n, 20) float32: what surrounds each, of length 1.
    """

    places: np.ndarray
    numbers: np.ndarray

    def flipped(self, flip: tuple[int, int]) -> Keypoints:
        """Flip the keypoints: those of the picture upside down (-1, 1), mirrored (1, -1) or both.

        Args:
            flip: one of FLIPS.

        Returns:
            The points of the flipped picture, in the same order.
        """
        import numpy as np

        down, across = flip
        places = self.places.copy()
        if across < 0:
            places[:, 0] = 1 - places[:, 0]
        if down < 0:
            places[:, 1] = 1 - places[:, 1]
        signs = [float(down**a * across**b) for a, b in _STATISTICS]  # odd frequencies change theirs
        return Keypoints(places, self.numbers * np.array(signs, np.float32))


def keypoints(picture: np.ndarray, most: int) -> Keypoints:
    """Detect the clearest keypoints of a square picture.

    Args:
        picture: (side, side) float32, grey.
        most: number of points that are returned at most.

    Returns:
        The points and descriptors, the clearest first; a picture with no more than FEW points is searched
        in twice the scales too.
    """
    import numpy as np

    points = _at_scales(picture, most, 1.0)
    if len(points.places) > FEW:
        return points
    wider = _at_scales(picture, most - len(points.places), 2.0)
    places = np.concatenate([points.places, wider.places])
    return Keypoints(places, np.concatenate([points.numbers, wider.numbers]))


def _at_scales(picture: np.ndarray, most: int, factor: float) -> Keypoints:
    """Detect the clearest points among LEVELS scales, the finest `factor` times FINEST."""
    import numpy as np

    side = len(picture)
    # scale space of the local contrast, (LEVELS, side, side), and D = differences of neighbouring levels
    blurred = _blurred(_contrast(picture, factor), factor)
    difference = blurred[1:] - blurred[:-1]
    # extrema of |D|: at least as large as their 26 neighbours in place and scale
    size = np.abs(difference)
    around = np.maximum(np.maximum(size[:-2], size[1:-1]), size[2:])
    around = np.maximum(np.maximum(around[:, :-2], around[:, 1:-1]), around[:, 2:])
    around = np.maximum(np.maximum(around[:, :, :-2], around[:, :, 1:-1]), around[:, :, 2:])
    inner = size[1:-1, 1:-1, 1:-1]
    level, y, x = np.nonzero((inner >= around) & (inner > MIN_RESPONSE))
    # the `most` largest responses; +1: the border of `inner` was cut off
    clearest = np.argsort(-inner[level, y, x], kind="stable")[:most]
    level, y, x = level[clearest] + 1, y[clearest] + 1, x[clearest] + 1
    # the place between pixels and levels: the top of the parabola through three values
    middle = difference[level, y, x]
    across = x + _top(difference[level, y, x - 1], middle, difference[level, y, x + 1])
    down = y + _top(difference[level, y - 1, x], middle, difference[level, y + 1, x])
    finer = level + 0.5 + _top(difference[level - 1, y, x], middle, difference[level + 1, y, x])
    # deviation in pixels, sigma = sigma_0 * 2 ** (level / 3); D lies half a level above its lower Gaussian
    scale = factor * FINEST * side * 2 ** (finer / 3)
    # the sign of the extremum is taken out, so that an inverted picture has the same descriptors
    cut = _surroundings(blurred, level, down, across, scale)
    places = np.stack([(across + 0.5) / side, (down + 0.5) / side, scale / side], axis=1)
    return Keypoints(places.astype(np.float32), _descriptors(cut * -np.sign(middle)[:, None, None]))


def codes(numbers: np.ndarray, *, near: bool = False) -> np.ndarray:
    """Hash descriptors by the signs of random projections (Charikar 2002).

    Args:
        numbers: (n, 20), as Keypoints has them.
        near: also the codes that differ in any of the UNSURE bits nearest to 0.

    Returns:
        (n, TABLES) uint32, or (n, TABLES * 2 ** UNSURE) with `near`; the bits above BITS number the
        table.
    """
    import numpy as np

    # standardised descriptors, projected on TABLES * BITS random directions
    mean, deviation, projection = _projection()
    values = (((numbers - mean) / deviation) @ projection).reshape(len(numbers), TABLES, BITS)
    # bit k of a code is the sign of projection k; the number of the table is above them
    powers = np.uint32(1) << np.arange(BITS, dtype=np.uint32)
    base = ((values > 0) * powers).sum(axis=2, dtype=np.uint32)
    base |= np.arange(TABLES, dtype=np.uint32) << np.uint32(BITS)
    if not near:
        return base  # type: ignore[no-any-return]
    # multi-probe lookup: every combination of flips of the UNSURE bits with the smallest |projection|
    unsure = powers[np.argpartition(np.abs(values), UNSURE, axis=2)[:, :, :UNSURE]]
    ways = [base]
    for bit in range(UNSURE):
        ways += [way ^ unsure[:, :, bit] for way in ways]
    return np.concatenate(ways, axis=1)


def gaussian(side: int, deviation: float) -> np.ndarray:
    """Build a Gaussian blur as a matrix, to be multiplied from the left.

    Args:
        side: pixels of a side of the picture.
        deviation: of the Gaussian, in pixels.

    Returns:
        (side, side) float32; rows sum to 1, at the edges too.
    """
    return _gaussian(side, round(deviation, 4))


@lru_cache(maxsize=256)
def _gaussian(side: int, deviation: float) -> np.ndarray:
    import numpy as np

    pixels = np.arange(side)
    weights = np.exp(-0.5 * ((pixels[:, None] - pixels) / deviation) ** 2)
    # far weights would be subnormal in float32, with which a product takes ten times as long
    weights[weights < NEGLIGIBLE] = 0.0
    shares: np.ndarray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _contrast(picture: np.ndarray, factor: float) -> np.ndarray:
    """Compute the local contrast: each pixel less the mean around it, over the deviation around it."""
    import numpy as np

    # (I - G * I) / (sqrt(G * (I - G * I) ** 2) + 4), G the Gaussian of AROUND, 4 in grey values
    around = gaussian(len(picture), factor * AROUND * len(picture))
    rest = picture - around @ picture @ around.T
    contrast: np.ndarray = rest / (np.sqrt(np.maximum(0, around @ (rest * rest) @ around.T)) + 4.0)
    return contrast


def _blurred(picture: np.ndarray, factor: float) -> np.ndarray:
    """Build the scale space (LEVELS, side, side): the picture under ever wider Gaussians."""
    import numpy as np

    # the Gaussian is separable: one matrix from the left blurs down, its transpose from the right across
    side = len(picture)
    down = (_all_gaussians(side, factor) @ picture).reshape(LEVELS, side, side)
    matrices = _all_gaussians(side, factor).reshape(LEVELS, side, side)
    blurred: np.ndarray = np.matmul(down, matrices.transpose(0, 2, 1))
    return blurred


@lru_cache(maxsize=8)
def _all_gaussians(side: int, factor: float) -> np.ndarray:
    import numpy as np

    return np.concatenate(
        [gaussian(side, factor * FINEST * side * 2 ** (level / 3)) for level in range(LEVELS)]
    )


def _top(before: np.ndarray, middle: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Locate the vertex of the parabola through values at -1, 0 and 1, clipped to -0.5 to 0.5."""
    import numpy as np

    # vertex at (f(-1) - f(1)) / (2 * (f(-1) - 2 f(0) + f(1))); 0 where the three values are on a line
    bend = before - 2 * middle + after
    safe = np.where(np.abs(bend) > 1e-6, bend, 1.0)
    return np.clip(np.where(np.abs(bend) > 1e-6, 0.5 * (before - after) / safe, 0.0), -0.5, 0.5)


def _surroundings(
    blurred: np.ndarray, level: np.ndarray, down: np.ndarray, across: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Cut patches (n, CELLS, CELLS) around points out of the level of the scale space that fits their
    scale."""
    import numpy as np

    # a grid of CELLS x CELLS around each point, SPREAD scales apart
    side = blurred.shape[1]
    offsets = (np.arange(CELLS) - (CELLS - 1) / 2) * SPREAD
    xs = np.clip(across[:, None] + offsets * scale[:, None], 0, side - 1.001)
    ys = np.clip(down[:, None] + offsets * scale[:, None], 0, side - 1.001)
    left, top = xs.astype(np.int64), ys.astype(np.int64)
    right_share, low_share = (xs - left)[:, None, :], (ys - top)[:, :, None]
    # bilinear between the four pixels around each cell
    flat, at = blurred.reshape(-1), (level * side * side)[:, None, None] + (top * side)[:, :, None]
    at = at + left[:, None, :]
    upper = flat[at] * (1 - right_share) + flat[at + 1] * right_share
    lower = flat[at + side] * (1 - right_share) + flat[at + side + 1] * right_share
    cut: np.ndarray = upper * (1 - low_share) + lower * low_share
    return cut


def _descriptors(cut: np.ndarray) -> np.ndarray:
    """Compute descriptors (n, 20) of length 1 from the low frequencies of patches (n, CELLS, CELLS)."""
    import numpy as np

    # two-dimensional cosine transform C X C^T; the mean, frequency (0, 0), is not among _STATISTICS
    cosine = _cosine()
    frequencies = cosine @ cut @ cosine.T
    down, across = zip(*_STATISTICS, strict=True)
    numbers = frequencies[:, list(down), list(across)]
    length = np.maximum(1e-6, np.linalg.norm(numbers, axis=1, keepdims=True))
    descriptors: np.ndarray = (numbers / length).astype(np.float32)
    return descriptors


@lru_cache(maxsize=1)
def _cosine() -> np.ndarray:
    """Build the discrete cosine transform of CELLS values as a matrix; frequency by row."""
    import numpy as np

    # DCT-II, orthonormal: sqrt(2 / n) cos(pi (j + 1/2) k / n), row 0 over sqrt(2)
    rows, columns = np.arange(CELLS)[:, None], np.arange(CELLS)
    matrix = np.cos(np.pi * (columns + 0.5) * rows / CELLS) * np.sqrt(2 / CELLS)
    matrix[0] /= np.sqrt(2)
    transform: np.ndarray = matrix.astype(np.float32)
    return transform


@lru_cache(maxsize=1)
def _projection() -> tuple[Any, Any, Any]:
    """Build mean and deviation of a descriptor's numbers, and the random directions of the codes."""
    import numpy as np

    statistics = np.array(list(_STATISTICS.values()), np.float32)
    directions = np.random.default_rng(0).normal(size=(len(statistics), TABLES * BITS))
    return statistics[:, 0], statistics[:, 1], directions.astype(np.float32)
