"""Align two pictures: from keypoints that both have to the correlation of their local contrast.

The map is affine: it takes a crop, another shape of the pixels and a small rotation. It starts from points
that agree on a scale and a shift, and is refined by the Gauss-Newton method on the local contrast (Lucas and
Kanade 1981, in the compositional form of Baker and Matthews 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from medxiaohe.data.duplicates.keypoints import gaussian

if TYPE_CHECKING:
    import numpy as np

FINE = 24  # cells of a side that are compared
MIN_AREA = 0.44  # share of the reference that the query shows; a crop of 15 % at each edge leaves 0.49
EDGE = 0.05  # of what both show, left out at each side: a crop cuts through pixels
NEAR, SAME_SCALE = 0.05, 0.35  # sides, and natural logarithm: how far points may be from where a map says
STIFFNESS = 0.08  # weight of the regularisation of the map towards a scale, in squared sides
COARSE_STEPS, STEPS = 4, 10  # Gauss-Newton steps on the smoothed grid, and in all
HOPELESS = 0.25  # correlation after the coarse steps below which no fine step is made
SETTLED = 0.003  # change of the map, in half sides, that ends the steps


def agreeing(reference: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Select the pairs of points that agree on one scale and shift: those of the pair with which the most
    others agree.

    Args:
        reference: (n, 3) across, down and scale of points in one picture, in sides of the picture.
        query: (n, 3), the same points in the other picture.

    Returns:
        (n,) bool.
    """
    import numpy as np

    # each pair proposes a map x -> scale * x + shift
    scale = reference[:, 2] / query[:, 2]
    shift = reference[:, :2] - scale[:, None] * query[:, :2]
    # (n, n): how far pair j lies from where the map of pair i takes it, and how much their scales differ
    off = reference[None, :, :2] - (scale[:, None, None] * query[None, :, :2] + shift[:, None])
    ratio = np.abs(np.log(scale)[:, None] - np.log(scale)[None])
    near = (np.hypot(off[:, :, 0], off[:, :, 1]) < NEAR) & (ratio < SAME_SCALE)
    agree: np.ndarray = near[near.sum(axis=1).argmax()]
    return agree


def affine(reference: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Fit the affine map from the points of one picture to those of the other by regularised least squares.

    Args:
        reference: (n, 3), as of `agreeing`.
        query: (n, 3), as of `agreeing`.

    Returns:
        (2, 3): takes (across, down, 1) of the query to (across, down) of the reference, in sides.
    """
    import numpy as np

    # ridge regression towards the median scale: A = (Y^T X + s * lambda I) (X^T X + lambda I)^-1
    stiff = STIFFNESS * np.eye(2)
    scale = np.exp(np.median(np.log(reference[:, 2] / query[:, 2])))
    middle_reference, middle_query = reference[:, :2].mean(axis=0), query[:, :2].mean(axis=0)
    from_query, to_reference = query[:, :2] - middle_query, reference[:, :2] - middle_reference
    matrix = (to_reference.T @ from_query + scale * stiff) @ np.linalg.inv(from_query.T @ from_query + stiff)
    return np.column_stack([matrix, middle_reference - matrix @ middle_query])


def correlations(pairs: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> list[float]:
    """Align pairs of pictures, each near a given map, and compute the correlation of their local contrast.

    Grey values may be inverted.

    Args:
        pairs: of each the reference, (side, side) float32; the query, (side, side) float32 of any other side;
            and the map from places of the query to places of the reference, (2, 3), in sides.

    Returns:
        The best correlation of each pair, at most 1; -1 where less than MIN_AREA of the reference is shown,
        or it is flat.
    """
    starts = [_start(*pair) for pair in pairs]
    refined = iter(_refined([start for start in starts if start is not None]))
    return [-1.0 if start is None else next(refined) for start in starts]


@dataclass(frozen=True, slots=True, eq=False)
class _Start:
    """A pair of pictures before its map is refined.

    Attributes:
        template: (FINE, FINE) local contrast of the reference on the grid.
        picture: (side, side) the query, without what is finer than a cell of the grid.
        to_picture: (3, 3), takes places of the grid to places of the picture, in sides.
    """

    template: np.ndarray
    picture: np.ndarray
    to_picture: np.ndarray


def _start(reference: np.ndarray, query: np.ndarray, start: np.ndarray) -> _Start | None:
    import numpy as np

    # the part of the reference that the query shows, as a rectangle
    corners = start @ np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]], float)
    left, right = max(0, corners[0, [0, 3]].mean()), min(1, corners[0, [1, 2]].mean())
    top, bottom = max(0, corners[1, [0, 1]].mean()), min(1, corners[1, [2, 3]].mean())
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0 or width * height < MIN_AREA:
        return None
    # a grid over it, -1 to 1 each way, and the maps from the grid to both pictures
    to_reference = np.array(
        [
            [width * (0.5 - EDGE), 0, left + width / 2],
            [0, height * (0.5 - EDGE), top + height / 2],
            [0, 0, 1],
        ]
    )
    homogeneous = np.vstack([start, [0, 0, 1]])
    if abs(np.linalg.det(homogeneous)) < 1e-3:
        return None
    to_query = np.linalg.inv(homogeneous) @ to_reference
    # both are blurred to the size of a cell of the grid before they are sampled
    template = _sampled([_smooth(reference, width * len(reference) / FINE)], to_reference[None])[0]
    if template.std() < 1:
        return None
    cell = 2 * float(np.sqrt(abs(np.linalg.det(to_query[:2, :2])))) * len(query) / FINE
    return _Start(_contrast(template), _smooth(query, cell), to_query)


def _refined(starts: Sequence[_Start]) -> list[float]:
    """Refine maps by Gauss-Newton steps; the best correlation of each template with the local contrast of its
    picture."""
    import numpy as np

    if not starts:
        return []
    across, down = (values.ravel() for values in _grid())
    # coarse to fine: the first steps compare means over 3 x 3 cells, which widens the basin of convergence
    rough = _window(3)
    templates = np.stack([start.template for start in starts])
    fine, coarse = _unit(templates), _unit(rough @ templates @ rough.T)
    maps = np.stack([start.to_picture for start in starts])
    best, sign = np.full(len(starts), -1.0), np.ones(len(starts))
    active = np.arange(len(starts))  # pairs whose map still moves
    for step in range(STEPS):
        contrast = _contrast(_sampled([starts[pair].picture for pair in active.tolist()], maps[active]))
        plain = _unit(contrast)
        product = (plain * fine[active]).sum(axis=(1, 2))
        if step == 0:
            sign = np.where(product >= 0, 1.0, -1.0)  # -1: inverted grey values
        best[active] = np.maximum(best[active], sign[active] * product)
        current, target = plain, fine[active]
        if step < COARSE_STEPS:
            current, target = _unit(rough @ contrast @ rough.T), coarse[active]
        # Jacobian (pairs, 6, FINE ** 2): gradient of the picture times d(position) / d(parameter), in half
        # sides
        slopes_down, slopes_across = (
            slope.reshape(len(active), -1) * (FINE / 2) for slope in np.gradient(current, axis=(1, 2))
        )
        columns = [slopes_across * across, slopes_across * down, slopes_across]
        columns += [slopes_down * across, slopes_down * down, slopes_down]
        slopes = np.stack(columns, axis=1)
        # normal equations with a damping of 0.1 %: J^T J d = J^T (target - current)
        normal = slopes @ slopes.transpose(0, 2, 1)
        diagonal = np.arange(6)
        normal[:, diagonal, diagonal] = normal[:, diagonal, diagonal] * 1.001 + 1e-9
        off = (sign[active, None, None] * target - current).reshape(len(active), -1, 1)
        change = np.linalg.solve(normal, slopes @ off)[:, :, 0]
        # no entry of a step is above a half; the step is composed with the map (Baker and Matthews 2004)
        change *= np.minimum(1.0, 0.5 / np.maximum(1e-9, np.abs(change).max(axis=1)))[:, None]
        moved = np.tile(np.eye(3), (len(active), 1, 1))
        moved[:, :2] += change.reshape(-1, 2, 3)
        maps[active] = maps[active] @ moved
        if step >= COARSE_STEPS:
            active = active[np.abs(change).max(axis=1) >= SETTLED]
        elif step == COARSE_STEPS - 1:
            active = active[best[active] >= HOPELESS]
        if not len(active):
            break
    return best.tolist()  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _grid() -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    ticks = (np.arange(FINE) + 0.5) / FINE * 2 - 1
    across, down = np.meshgrid(ticks, ticks)
    return across, down


def _sampled(pictures: Sequence[np.ndarray], to_picture: np.ndarray) -> np.ndarray:
    """Sample pictures on the grid by bilinear interpolation; edge pixels are repeated outside.

    Args:
        pictures: n of (side, side), each of its own side.
        to_picture: (n, 3, 3), the map from places of the grid to places of each picture, in sides.

    Returns:
        (n, FINE, FINE).
    """
    import numpy as np

    across, down = _grid()
    side = np.array([len(picture) for picture in pictures])
    first = np.cumsum(side * side) - side * side  # of each picture in the pixels of all
    pixels = np.concatenate([picture.reshape(-1) for picture in pictures])
    side, first = side[:, None, None], first[:, None, None]
    # positions in pixels: sides times `side`, less half a pixel for the centres
    (xs, ys) = (
        to_picture[:, row, 0, None, None] * across
        + to_picture[:, row, 1, None, None] * down
        + to_picture[:, row, 2, None, None]
        for row in (0, 1)
    )
    xs, ys = np.clip(xs * side - 0.5, 0, side - 1.001), np.clip(ys * side - 0.5, 0, side - 1.001)
    left, top = xs.astype(np.int64), ys.astype(np.int64)
    right_share, low_share = xs - left, ys - top
    at = first + top * side + left
    upper = pixels[at] * (1 - right_share) + pixels[at + 1] * right_share
    lower = pixels[at + side] * (1 - right_share) + pixels[at + side + 1] * right_share
    values: np.ndarray = upper * (1 - low_share) + lower * low_share
    return values


def _smooth(picture: np.ndarray, cell: float) -> np.ndarray:
    """Blur a picture so that details finer than a cell of `cell` pixels do not alias."""
    blur = gaussian(len(picture), max(0.5, round(cell / 2, 1)))
    smooth: np.ndarray = blur @ picture @ blur.T
    return smooth


def _contrast(picture: np.ndarray) -> np.ndarray:
    """Compute the local contrast: each cell less the mean of the 7 x 7 around it, over their deviation."""
    import numpy as np

    # 2 grey values are added to the deviation: noise in flat cells counts little
    around = _window(7)
    rest = picture - around @ picture @ around.T
    contrast: np.ndarray = rest / (np.sqrt(np.maximum(0, around @ (rest * rest) @ around.T)) + 2.0)
    return contrast


@lru_cache(maxsize=4)
def _window(width: int) -> np.ndarray:
    """Mean over `width` neighbours, edges repeated, as a matrix (FINE, FINE)."""
    import numpy as np

    matrix = np.zeros((FINE, FINE), np.float32)
    for offset in range(-(width // 2), width // 2 + 1):
        np.add.at(matrix, (np.arange(FINE), np.clip(np.arange(FINE) + offset, 0, FINE - 1)), 1 / width)
    return matrix


def _unit(values: np.ndarray) -> np.ndarray:
    """(n, FINE, FINE): each grid less its mean, of length 1."""
    import numpy as np

    # zero mean and length 1: the dot product of two such grids is their correlation
    centred = values - values.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((centred * centred).sum(axis=(1, 2), keepdims=True))
    unit: np.ndarray = centred / np.maximum(1e-3, length)
    return unit
