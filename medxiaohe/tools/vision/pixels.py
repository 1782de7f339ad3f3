"""Arrays of pixels: smoothing, connected components, holes, distances. numpy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]


def shrunk(plane: Plane, factor: int) -> Plane:
    """Means of blocks of factor x factor pixels; what does not fill a block at the right and bottom is left
    out."""
    height, width = plane.shape[0] // factor, plane.shape[1] // factor
    blocks = plane[: height * factor, : width * factor].reshape(
        height, factor, width, factor, *plane.shape[2:]
    )
    return np.asarray(blocks.mean(axis=(1, 3)))


def smoothed(plane: Plane, sigma: float) -> Plane:
    """Gaussian of a standard deviation in pixels; the border is mirrored."""
    radius = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    return along(along(plane, weights, 0), weights, 1)


def along(plane: Plane, weights: NDArray[np.float64], axis: int) -> Plane:
    """Correlation with weights along an axis; the border is mirrored."""
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
    """Labels of 4-connected parts, from 1, and how many there are: runs of each row, joined where they
    touch."""
    height, width = mask.shape
    labels = np.zeros((height, width), dtype=np.int64)
    parent = [0]

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    previous: list[tuple[int, int, int]] = []  # runs of the row above: start, end, label
    for y in range(height):
        edges = np.diff(np.concatenate(([0], mask[y].astype(np.int8), [0])))
        current = []
        first = 0
        for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            while first < len(previous) and previous[first][1] <= start:
                first += 1
            touching = []
            at = first
            while at < len(previous) and previous[at][0] < end:
                touching.append(root(previous[at][2]))
                at += 1
            if touching:
                label = min(touching)
                for other in touching:
                    parent[other] = label
            else:
                label = len(parent)
                parent.append(label)
            labels[y, start:end] = label
            current.append((int(start), int(end), label))
        previous = current
    roots = np.array([root(label) for label in range(len(parent))])
    _, numbered = np.unique(np.concatenate(([0], roots)), return_inverse=True)
    return numbered[1:][labels], int(numbered.max())


def filled(mask: Mask) -> Mask:
    """The mask with its holes: what the border cannot reach is inside."""
    outside, count = components(np.pad(~mask, 1, constant_values=True))
    return (outside != outside[0, 0])[1:-1, 1:-1] if count else mask


def eroded(mask: Mask, times: int) -> Mask:
    """Pixels whose 4 neighbours are all in the mask, so many times over; outside the picture counts as in."""
    for _ in range(times):
        wide = np.pad(mask, 1, constant_values=True)
        mask = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask


def grown(mask: Mask, times: int) -> Mask:
    """Pixels of the mask and their 4 neighbours, so many times over."""
    return ~eroded(~mask, times)


def otsu(values: NDArray[np.float64]) -> float:
    """The threshold that parts values into the two groups of least variance (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (total[-1] * weight / weight[-1] - total) ** 2 / (weight * (weight[-1] - weight))
    return float(middles[int(np.nanargmax(np.where(np.isfinite(between), between, -1)))])


def boxes_of(labels: NDArray[np.int64], count: int) -> list[tuple[int, int, int, int, int]]:
    """left, top, right, bottom (exclusive) and area in pixels of each label from 1 on."""
    ys, xs = np.nonzero(labels)
    which = labels[ys, xs]
    results = []
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
