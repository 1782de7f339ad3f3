"""The same image again: resized, re-encoded, cropped by up to a tenth at each edge, mirrored, or with another
window or brightness.

Radiographs look alike: of 210,000 pairs of different patients' chest X-rays 1.3 % are within 4 bits of each
other by a 64-bit difference hash, the usual test, and a small crop moves a copy further away than that. So an
image is compared in two steps. Candidates: the middle of each known image (a tenth left out at each edge), at
8 x 8, is held against the 81 places where a crop can have put it in the asked one, by correlation, as it is
and mirrored. Confirmed: the place is refined, and the local contrast (24 x 24, each pixel less the mean
around it, over the deviation around it) must correlate by 0.92: that leaves out what all chests share, and
what a window or a brightness changes. benchmarks/decontamination.py has what it finds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from medxiaohe import images
from medxiaohe.types import ImageRef

if TYPE_CHECKING:
    import numpy as np

SIDE, COARSE, FINE = 64, 8, 24
MARGIN = 0.1  # left out at each edge; a crop may have removed it
# where the middle of one image can begin in a crop of it (0) or in what it is a crop of (0.18)
STARTS = (0.0, 0.09, 0.18)
# of the refined place, in parts of the side; each moves it down and up, then across
STEPS = (0.045, 0.045, 0.02, 0.01)
MIN_COARSE, MIN_CORRELATION, HOPELESS = 0.78, 0.92, 0.55
MAX_CANDIDATES = 12
REMEMBERED = 4096  # looks of a Lens

Place = tuple[float, float]  # the interval of a side


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    grey: np.ndarray  # SIDE x SIDE of uint8

    @property
    def flat(self) -> bool:
        return float(self.grey.std()) < 1


def look(image: ImageRef) -> Look:
    import numpy as np
    from PIL import Image

    opened = images.open_image(image, small=2 * SIDE).convert("L")
    how = Image.Resampling.BOX if min(opened.size) >= 2 * SIDE else Image.Resampling.LANCZOS
    return Look(np.asarray(opened.resize((SIDE, SIDE), how)))


class Gallery:
    """Looks with a name each; finding compares one look with all of them."""

    def __init__(self) -> None:
        import numpy as np

        self._middles = np.zeros((16, COARSE * COARSE), np.float32)
        self._looks: list[tuple[Look, str]] = []

    def __len__(self) -> int:
        return len(self._looks)

    def add(self, one: Look, name: str) -> None:
        import numpy as np

        if len(self._looks) == len(self._middles):
            self._middles = np.concatenate([self._middles, np.zeros_like(self._middles)])
        self._middles[len(self._looks)] = 0 if one.flat else _middle(one)
        self._looks.append((one, name))

    def find(self, one: Look) -> Iterator[tuple[str, float]]:
        """Names of the images that are the same with their correlation, the likeliest looked at first."""
        import numpy as np

        if one.flat or not self._looks:
            return  # a flat image is like every other flat image, and tells nothing
        known = self._middles[: len(self._looks)].T
        ways = [(grey, found @ known) for grey, found in _both_ways(one)]
        best = np.maximum(ways[0][1].max(axis=0), ways[1][1].max(axis=0))
        likely = np.argsort(-best, kind="stable")[:MAX_CANDIDATES]
        for index in likely[best[likely] >= MIN_COARSE]:
            other, name = self._looks[index]
            for grey, alike in ways:
                if alike[:, index].max() >= MIN_COARSE:
                    value = _refined(grey, other, int(alike[:, index].argmax()))
                    if value >= MIN_CORRELATION:
                        yield name, value
                        break


def correlation(a: Look, b: Look) -> float:
    """Of the local contrast of two images, one laid over the other as well as a crop allows; -1 to 1,
    mirrored copies included."""
    if a.flat or b.flat:
        return 0.0
    ways = [(grey, found @ _middle(b)) for grey, found in _both_ways(a)]
    return max(_refined(grey, b, int(alike.argmax())) for grey, alike in ways)


class Lens:
    """The look of an image, taken once for the several checks of a row."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[object, ...], Look] = OrderedDict()

    def look(self, image: ImageRef) -> Look:
        key = (image.sha256 or image.uri, image.frame, image.box)
        if key not in self._seen:
            self._seen[key] = look(image)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return self._seen[key]


def _places() -> list[Place]:
    return [(start, 1 - end) for start in STARTS for end in STARTS]


@lru_cache(maxsize=4096)
def _cells(start: float, end: float, count: int) -> np.ndarray:
    """The mean over `count` equal parts of an interval of a side, as a matrix (count, SIDE)."""
    import numpy as np

    edges = np.linspace(start, end, count + 1)[:, None] * SIDE
    pixels = np.arange(SIDE)
    inside = np.clip(np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels), 0, None)
    shares: np.ndarray = (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


@lru_cache(maxsize=1)
def _coarse_cells() -> np.ndarray:
    import numpy as np

    return np.stack([_cells(*place, COARSE) for place in _places()])


def _middle(one: Look) -> np.ndarray:
    cells = _cells(MARGIN, 1 - MARGIN, COARSE)
    return _unit((cells @ one.grey.astype("float32") @ cells.T).ravel())


def _both_ways(one: Look) -> list[tuple[np.ndarray, np.ndarray]]:
    """An image and its mirror image, each with (81, COARSE * COARSE): nine places down by nine across."""
    import numpy as np

    cells = _coarse_cells()
    cut = _cut(one.grey.astype(np.float32), cells, cells).transpose(0, 2, 1, 3)
    found = _unit(cut.reshape(len(cells) ** 2, -1)).reshape(cut.shape)
    # from the other edge, a place begins where it ended
    swapped = np.arange(len(cells)).reshape(len(STARTS), -1).T.ravel()
    mirrored = found[:, swapped, :, ::-1]
    return [
        (grey, each.reshape(len(cells) ** 2, -1))
        for grey, each in ((one.grey, found), (one.grey[:, ::-1], mirrored))
    ]


def _cut(pixels: np.ndarray, downs: np.ndarray, acrosses: np.ndarray) -> np.ndarray:
    """(D, n, A, n): the mean grey of the cells of D places down, each by A places across, both (places, n,
    SIDE)."""
    num, size = downs.shape[:2]
    grid: np.ndarray = (downs.reshape(-1, SIDE) @ pixels) @ acrosses.reshape(-1, SIDE).T
    return grid.reshape(num, size, -1, size)


def _refined(grey: np.ndarray, other: Look, variant: int) -> float:
    """The best correlation near a place; stops early when it is clear either way."""
    import numpy as np

    pixels = grey.astype(np.float32)
    cells = _cells(MARGIN, 1 - MARGIN, FINE)
    wanted = _unit(_contrast(_cut(other.grey.astype(np.float32), cells[None], cells[None])).ravel()).reshape(
        FINE, FINE
    )
    places = _places()
    down, across = places[variant // len(places)], places[variant % len(places)]
    best = -1.0
    for step in STEPS:
        for moves_down in (True, False):
            downs = _near(down, step) if moves_down else (down,)
            acrosses = (across,) if moves_down else _near(across, step)
            alike = _alike(_contrast(_cut(pixels, _stacked(downs), _stacked(acrosses))), wanted)
            i, j = divmod(int(alike.argmax()), len(acrosses))
            best = max(best, float(alike[i, j]))
            down, across = downs[i], acrosses[j]
        if best < HOPELESS or best >= 0.5 * (1 + MIN_CORRELATION):
            break
    return best


@lru_cache(maxsize=1024)
def _stacked(places: tuple[Place, ...]) -> np.ndarray:
    import numpy as np

    return np.stack([_cells(*place, FINE) for place in places])


def _near(place: Place, step: float) -> tuple[Place, ...]:
    moves = (0.0, -step, step)
    return tuple(
        (round(max(0.0, place[0] + a), 3), round(min(1.0, place[1] + b), 3)) for a in moves for b in moves
    )


def _contrast(pictures: np.ndarray) -> np.ndarray:
    """(D, n, A, n), as _cut has it: each pixel less the mean of the 7 x 7 around it, over their deviation."""
    import numpy as np

    rest = pictures - _blurred(pictures)
    deviation = np.sqrt(np.maximum(0, _blurred(rest * rest)))
    contrast: np.ndarray = rest / (deviation + 2.0)
    return contrast


def _blurred(pictures: np.ndarray, width: int = 7) -> np.ndarray:
    num, size = pictures.shape[:2]
    around = _window(width)
    down = around @ pictures.reshape(num, size, -1)
    both: np.ndarray = down.reshape(-1, size) @ around.T
    return both.reshape(pictures.shape)


def _alike(pictures: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(D, A): the correlation of each of (D, n, A, n) pictures with one (n, n) of length 1 and mean 0."""
    import numpy as np

    spread = (
        np.einsum("diaj,diaj->da", pictures, pictures) - np.einsum("diaj->da", pictures) ** 2 / wanted.size
    )
    found: np.ndarray = np.einsum("diaj,ij->da", pictures, wanted) / np.maximum(
        1e-3, np.sqrt(np.maximum(0, spread))
    )
    return found


@lru_cache(maxsize=1)
def _window(width: int) -> np.ndarray:
    """Mean over `width` neighbours, edges repeated, as a matrix (FINE, FINE)."""
    import numpy as np

    matrix = np.zeros((FINE, FINE), np.float32)
    for offset in range(-(width // 2), width // 2 + 1):
        np.add.at(matrix, (np.arange(FINE), np.clip(np.arange(FINE) + offset, 0, FINE - 1)), 1 / width)
    return matrix


def _unit(vectors: np.ndarray) -> np.ndarray:
    import numpy as np

    centred = vectors - vectors.mean(axis=-1, keepdims=True)
    result: np.ndarray = centred / np.maximum(1e-3, np.linalg.norm(centred, axis=-1, keepdims=True))
    return result
