"""Segment vessels of a fundus photograph: a bank of ridge filters and a small convolutional network on
their responses.

The filters are second derivatives of elongated Gaussians in twelve directions and five widths, a
matched filter for lines as in Chaudhuri et al. 1989 (doi:10.1109/42.34715) and Soares et al. 2006
(doi:10.1109/TMI.2006.879967). The network has four layers of 3 x 3 and one of 1 x 1 and was fitted on
pictures of DRIVE (Staal et al. 2004, doi:10.1109/TMI.2004.825627) by benchmarks/fit_vessels.py; it runs with
numpy alone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medxiaohe.errors import ToolError
from medxiaohe.tools.vision.pixels import Mask, Plane, boxes_of, components, eroded, filled, smoothed

WEIGHTS = Path(__file__).with_name("vessels.npz")
DIAMETER = 540  # pixels of the field of view that the filters and the network are for
DARKEST = 35  # of 255: the surround of the field of view is darker
DIRECTIONS = 12  # orientations of the filters, 15 degrees apart
# standard deviation across a vessel in pixels, and how many times longer the filter is along it
SCALES = ((1.0, 4.0), (1.5, 4.0), (2.2, 3.5), (3.2, 3.0), (4.5, 2.5))
DILATIONS = (1, 2, 4, 1)  # of the layers of 3 x 3
PAD = 32  # pixels of mirrored border, so that the periodic FFT does not join opposite sides


def field_of_view(pixels: NDArray[np.uint8]) -> Mask:
    """Segment the field of view of a fundus photograph: the largest bright component, without holes.

    Args:
        pixels: RGB, (height, width, 3).

    Returns:
        mask, (height, width).

    Raises:
        ToolError: no part is a quarter of the picture.
    """
    labels, count = components(pixels.max(axis=2) > DARKEST)
    areas = [area for *_, area in boxes_of(labels, count)]
    if not areas or max(areas) < pixels.shape[0] * pixels.shape[1] / 4:
        raise ToolError("the field of view of this photograph was not found: it is too dark or cut")
    return filled(labels == 1 + int(np.argmax(areas)))


def features(pixels: NDArray[np.uint8], seen: Mask) -> NDArray[np.float32]:
    """Compute the input planes of the network: darkness of the green channel at three scales, and responses
    of the ridge filters.

    Args:
        pixels: RGB, (height, width, 3), resized to the width of the training pictures.
        seen: field of view, (height, width).

    Returns:
        (11, height, width), float32.
    """
    # vessels have the best contrast in the green channel; the field of view is continued outwards
    green = _continued(pixels[..., 1].astype(np.float64), eroded(seen, 2))
    # darkness against the local mean
    darkness = smoothed(green, 10) - green
    darkness /= np.sqrt(smoothed(darkness**2, 25)) + 1  # normalise the local contrast
    wide = np.pad(darkness, PAD, mode="reflect")
    # filter by products in the frequency domain
    spectrum = np.fft.rfft2(wide)
    planes = [darkness, smoothed(darkness, 1.0), smoothed(darkness, 6.0)]
    total: Plane = np.zeros((DIRECTIONS, *darkness.shape))
    for scale, longer in SCALES:
        answers = np.stack([
            np.fft.irfft2(spectrum * ridge, s=wide.shape)[PAD:-PAD, PAD:-PAD]
            for ridge in _ridges(wide.shape, scale, longer)
        ])  # fmt: skip
        # strongest response over the orientations
        planes.append(answers.max(axis=0))
        if scale == 2.2:
            planes.append(answers.mean(axis=0))
        total += answers
    # largest response over the orientations, summed over all widths
    best = total.max(axis=0)
    planes += [best, smoothed(np.maximum(best, 0), 5.0)]
    return np.stack(planes).astype(np.float32)


def _ridges(shape: tuple[int, ...], scale: float, longer: float) -> list[Plane]:
    """Build transfer functions of ridge filters: minus the second derivative across, of a Gaussian that is
    `longer` times longer along.
    """
    # angular frequency of each pixel of the spectrum, rad per pixel
    fy = np.fft.fftfreq(shape[0])[:, None] * 2 * np.pi
    fx = np.fft.rfftfreq(shape[1])[None, :] * 2 * np.pi
    results = []
    for turn in range(DIRECTIONS):
        angle = np.pi * turn / DIRECTIONS
        # rotate the frequencies to the axes of the line
        along, across = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle) - fx * np.sin(angle)
        # F[-g''] = (w scale)^2 exp(-(w scale)^2 / 2) across, and a Gaussian of scale * longer along
        results.append(
            (across * scale) ** 2 * np.exp(-0.5 * ((across * scale) ** 2 + (along * scale * longer) ** 2))
        )
    return results


def _continued(plane: Plane, inside: Mask) -> Plane:
    """Extrapolate a plane from the border of `inside` outwards, so that the border is no edge."""
    out, have = np.where(inside, plane, 0.0), inside.copy()
    # grow outwards by rings of one pixel; 40 reach beyond PAD
    for _ in range(40):
        wide, counted = np.pad(out, 1), np.pad(have, 1).astype(np.float64)
        rows, columns = plane.shape
        parts = [(slice(y, y + rows), slice(x, x + columns)) for y in range(3) for x in range(3)]
        # mean of the 3 x 3 neighbours that have a value
        total, number = sum(wide[part] for part in parts), sum(counted[part] for part in parts)
        new = ~have & (number > 0)
        if not new.any():
            break
        out[new] = (total / np.maximum(number, 1))[new]
        have |= new
    # what lies further out gets the mean
    out[~have] = out[have].mean()
    return out


def probabilities(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], Mask]:
    """Compute the probability of each pixel to be of a vessel.

    Args:
        pixels: fundus photograph, (height, width, 3). It is resized so that its field of view has the
            width of the training pictures.

    Returns:
        (probability (height, width), 0 outside of the field of view; field of view (height, width)), at
        the size of the picture.

    Raises:
        ToolError: there is no field of view.
    """
    from PIL import Image

    seen = field_of_view(pixels)
    columns = np.flatnonzero(seen.any(axis=0))
    # width of the field of view in the training pictures / width in this one
    factor = DIAMETER / (columns[-1] - columns[0] + 1)
    height, width = pixels.shape[:2]
    # within 5 % no resizing is needed
    if abs(factor - 1) > 0.05:
        size = (max(8, round(width * factor)), max(8, round(height * factor)))
        small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
        small_view = np.asarray(Image.fromarray(seen).resize(size, Image.Resampling.NEAREST))
        probability = network(features(small, small_view), weights())
        image = Image.fromarray(probability.astype(np.float32)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        probability = np.asarray(image, np.float64)
    else:
        probability = network(features(pixels, seen), weights())
    return np.where(seen, probability, 0.0), seen


@cache
def weights() -> tuple[NDArray[np.float32], ...]:
    """Read the fitted weights.

    Returns:
        mean and standard deviation of the planes, then kernel and bias of each layer.
    """
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        return tuple(stored[f"arr_{n}"] for n in range(len(stored.files)))


def network(planes: NDArray[np.float32], fitted: tuple[NDArray[np.float32], ...]) -> NDArray[np.float64]:
    """Apply the convolutional network: standardise the planes, dilated convolutions with ReLU, a 1 x 1
    convolution, and a sigmoid.

    Args:
        planes: (11, height, width).
        fitted: as `weights` returns them.

    Returns:
        probability of each pixel to be of a vessel, (height, width).
    """
    mean, spread, *layers = fitted
    # standardise each plane as in training
    x = (planes - mean[:, None, None]) / spread[:, None, None]
    for dilation, kernel, bias in zip(DILATIONS, layers[:-2:2], layers[1:-2:2], strict=True):
        # dilated 3 x 3 convolution, bias and ReLU
        x = np.maximum(_convolved(x, kernel, dilation) + bias[:, None, None], 0)
    kernel, bias = layers[-2:]
    # 1 x 1 convolution to one plane, then the logistic function
    logits = np.tensordot(kernel[:, :, 0, 0], x, axes=1)[0] + bias[0]
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def _convolved(x: NDArray[np.float32], kernel: NDArray[np.float32], dilation: int) -> NDArray[np.float32]:
    """Correlate planes with a kernel (out, in, 3, 3), with zeros outside of the picture."""
    channels, height, width = x.shape
    wide = np.pad(x, ((0, 0), (dilation, dilation), (dilation, dilation)))
    out = np.zeros((len(kernel), height * width), np.float32)
    for y in range(3):
        for at in range(3):
            top, left = y * dilation, at * dilation
            part = wide[:, top : top + height, left : left + width].reshape(channels, -1)
            out += kernel[:, :, y, at] @ part
    return out.reshape(len(kernel), height, width)
