"""Image processing on arrays: smoothing, connected components, holes, morphology. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]


def shrunk(plane: Plane, factor: int) -> Plane:
    """Average a plane over blocks of factor x factor pixels.

    Args:
        plane: (height, width) or (height, width, channels).
        factor: side of a block, in pixels.

    Returns:
        (height // factor, width // factor, ...); pixels at the right and bottom that fill no block are
        cut off.
    """
    height, width = plane.shape[0] // factor, plane.shape[1] // factor
    blocks = plane[: height * factor, : width * factor].reshape(
        height, factor, width, factor, *plane.shape[2:]
    )
    return np.asarray(blocks.mean(axis=(1, 3)))


def smoothed(plane: Plane, sigma: float) -> Plane:
    """Smooth a plane with a Gaussian, mirrored at the border and cut off at 3 sigma.

    Args:
        plane: (height, width).
        sigma: standard deviation, in pixels.

    Returns:
        (height, width).
    """
    # the Gaussian is cut off at 3 sigma and normalised to sum 1; a 2-D Gaussian is separable
    radius = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    return along(along(plane, weights, 0), weights, 1)


def along(plane: Plane, weights: NDArray[np.float64], axis: int) -> Plane:
    """Correlate a plane with weights along one axis, mirrored at the border.

    Args:
        plane: (height, width).
        weights: (2 radius + 1,).
        axis: 0 down the columns, 1 along the rows.

    Returns:
        (height, width).
    """
    radius = len(weights) // 2
    pad = [(0, 0), (0, 0)]
    pad[axis] = (radius, radius)
    wide = np.pad(plane, pad, mode="symmetric")
    size = plane.shape[axis]
    out = np.zeros_like(plane, dtype=np.float64)
    for at, weight in enumerate(weights):
        out += weight * (wide[at : at + size] if axis == 0 else wide[:, at : at + size])
    return out


def components(mask: Mask) -> tuple[NDArray[np.int64], int]:
    """Label 4-connected components: runs of each row are joined where they touch a run of the row above
    (union-find).

    Args:
        mask: (height, width).

    Returns:
        (labels (height, width) with 0 outside of the mask and components from 1, number of components).
    """
    height, width = mask.shape
    labels = np.zeros((height, width), dtype=np.int64)
    # union-find: parent[label] leads to the root of its component; 0 is the background
    parent = [0]

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    previous: list[tuple[int, int, int]] = []  # runs of the row above: start, end, label
    for y in range(height):
        # starts (+1) and ends (-1) of the runs of this row
        edges = np.diff(np.concatenate(([0], mask[y].astype(np.int8), [0])))
        current = []
        first = 0
        for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            # runs of the row above that end before this one starts can touch no later run either
            while first < len(previous) and previous[first][1] <= start:
                first += 1
            touching = []
            at = first
            while at < len(previous) and previous[at][0] < end:
                touching.append(root(previous[at][2]))
                at += 1
            if touching:
                # join every component that this run touches
                label = min(touching)
                for joined in touching:
                    parent[joined] = label
            else:
                label = len(parent)
                parent.append(label)
            labels[y, start:end] = label
            current.append((int(start), int(end), label))
        previous = current
    # number the components 1, 2, ... without gaps
    roots = np.array([root(label) for label in range(len(parent))])
    _, numbered = np.unique(np.concatenate(([0], roots)), return_inverse=True)
    return numbered[1:][labels], int(numbered.max())


def filled(mask: Mask) -> Mask:
    """Fill the holes of a mask: pixels that cannot be reached from the border.

    Returns:
        (height, width).
    """
    # the background that is connected to the border; every other pixel is in the mask or in a hole
    outside, count = components(np.pad(~mask, 1, constant_values=True))
    return (outside != outside[0, 0])[1:-1, 1:-1] if count else mask


def eroded(mask: Mask, times: int) -> Mask:
    """Erode a mask: keep pixels whose 4 neighbours are all in it. Outside of the picture counts as inside.

    Args:
        times: number of erosions, the radius in pixels.

    Returns:
        (height, width).
    """
    for _ in range(times):
        # the mask and its shifts by one pixel up, down, left and right, all at once
        wide = np.pad(mask, 1, constant_values=True)
        mask = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask


def grown(mask: Mask, times: int) -> Mask:
    """Dilate a mask by its 4 neighbours. Outside of the picture counts as outside.

    Args:
        times: number of dilations, the radius in pixels.

    Returns:
        (height, width).
    """
    # dilation is erosion of the complement
    return ~eroded(~mask, times)


def otsu(values: NDArray[np.float64]) -> float:
    """Compute Otsu's threshold (Otsu 1979): the split of a histogram of 256 bins with the greatest
    between-class variance.

    Args:
        values: any shape.

    Returns:
        the threshold, the centre of a bin.
    """
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    # pixels and sum of values up to each bin
    weight = np.cumsum(counts)
    total = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        # between-class variance (m_T w - m)^2 / (w (1 - w)), up to a constant factor
        between = (total[-1] * weight / weight[-1] - total) ** 2 / (weight * (weight[-1] - weight))
    return float(middles[int(np.nanargmax(np.where(np.isfinite(between), between, -1)))])


def boxes_of(labels: NDArray[np.int64], count: int) -> list[tuple[int, int, int, int, int]]:
    """Compute the bounding box and the area of each component.

    Args:
        labels: as `components` returns them.
        count: number of components.

    Returns:
        (left, top, right, bottom, area) in pixels for labels 1 to count; right and bottom are exclusive.
    """
    ys, xs = np.nonzero(labels)
    which = labels[ys, xs]
    results = []
    # pixels of each label
    area = np.bincount(which, minlength=count + 1)
    left, top = np.full(count + 1, labels.shape[1]), np.full(count + 1, labels.shape[0])
    right, bottom = np.zeros(count + 1, dtype=int), np.zeros(count + 1, dtype=int)
    np.minimum.at(left, which, xs)
    np.minimum.at(top, which, ys)
    np.maximum.at(right, which, xs + 1)
    np.maximum.at(bottom, which, ys + 1)
    for label in range(1, count + 1):
        results.append(
            (int(left[label]), int(top[label]), int(right[label]), int(bottom[label]), int(area[label]))
        )
    return results
