"""Find near-identical images: resized, re-encoded, turned by a few degrees, cropped by up to 15 % at each
edge, mirrored, upside down, with inverted grey values, another window or brightness, or as a picture of a
panel of two.

Radiographs look alike: of 210,000 pairs of different patients' chest X-rays 1.3 % are within 4 bits of each
other by a 64-bit difference hash, the usual test, and a small crop moves a copy further away than that. So an
image is compared in three steps. Proposed: points of the image (keypoints.py) are looked up by code among the
points of all known images, and each match votes for a known image, a scale and a shift; the time hardly grows
with the number of known images. Agreed: of the images with the most votes, those whose points agree on one
scale and shift. Confirmed: the two are laid over each other (alignment.py) and their local contrast must
correlate by 0.96: that leaves out what all chests share, and what a window or a brightness changes. A panel
is compared as a whole and in its halves, down and across. benchmarks/near_images.py measures how many copies
are found.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from medxiaohe import images
from medxiaohe.arrays import distinct
from medxiaohe.data.duplicates import alignment
from medxiaohe.data.duplicates.code_index import CodeIndex
from medxiaohe.data.duplicates.keypoints import FLIPS, TABLES, Keypoints, codes, keypoints
from medxiaohe.types import ImageRef

if TYPE_CHECKING:
    import numpy as np

SIDE, HALF, SMALL = 96, 48, 64  # pixels of a look, of half of a panel, and of what a gallery stores
POINTS, POINTS_OF_HALF = 80, 56  # keypoints of a look, and of half of a panel
MIN_VOTES = 3  # matched points that propose an image: fewer agree by chance
MAX_AGREEING, MAX_COMPARED = 40, 10  # images whose points are checked, and that are aligned
MIN_CORRELATION = 0.96  # of the local contrast, for a near-identical image
WIDE = 0.2  # width of a cell of the Hough transform for shifts, in sides
REMEMBERED = 1024  # looks that a Lens caches
SEAM = (0.25, 0.75)  # where two pictures of a panel may meet, in sides
CLEAR_SEAM = 2.0  # times the median step between columns


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """An image as it is compared.

    Attributes:
        grey: (SIDE, SIDE) uint8, whatever shape the image has.
    """

    grey: np.ndarray

    @property
    def flat(self) -> bool:
        """Tell whether the image is one grey value: such an image is like every other, and tells nothing.

        Returns:
            Whether the grey values deviate by less than 1.
        """
        return float(self.grey.std()) < 1


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    """An indexed image that a part of the query, flipped or not, may show."""

    number: int
    part: int
    flip: int
    known: np.ndarray  # (n, 3) points of both that agree
    seen: np.ndarray


def look(image: ImageRef) -> Look:
    """Reduce an image to the grey picture of SIDE x SIDE pixels that is compared.

    Args:
        image: a reference; its frame and box count.

    Returns:
        The look, with the aspect ratio of the image lost.

    Raises:
        DataError: the image cannot be opened, as images.open_image.
    """
    import numpy as np
    from PIL import Image

    opened = images.open_image(image, small=2 * SIDE).convert("L")
    way = Image.Resampling.BOX if min(opened.size) >= 2 * SIDE else Image.Resampling.LANCZOS
    return Look(np.asarray(opened.resize((SIDE, SIDE), way)))


class Gallery:
    """Looks with a name each; finding compares one look with all of them."""

    def __init__(self) -> None:
        import numpy as np

        self._names: list[str] = []
        self._codes = CodeIndex()
        self._places = np.zeros((16, POINTS, 3), np.float16)
        self._small = np.zeros((16, SMALL, SMALL), np.uint8)

    def __len__(self) -> int:
        return len(self._names)

    def add(self, look: Look, name: str) -> None:
        """Index the keypoints of an image under a name.

        Args:
            look: of the image; a flat one is like every other, and is never a match.
            name: returned by `find`.
        """
        import numpy as np

        number = len(self._names)
        if number == len(self._small):
            self._places = np.concatenate([self._places, np.zeros_like(self._places)])
            self._small = np.concatenate([self._small, np.zeros_like(self._small)])
        self._names.append(name)
        if look.flat:
            return
        grey = look.grey.astype(np.float32)
        points = keypoints(grey, POINTS)
        # slot = number of the image * POINTS + number of the point; each point has TABLES codes
        slots = np.arange(len(points.places), dtype=np.uint32) + np.uint32(number * POINTS)
        self._codes.add(codes(points.numbers).ravel(), np.repeat(slots, TABLES))
        # places as float16 (10 bits: a thousandth of a side), grey values at SMALL x SMALL
        self._places[number, : len(slots)] = points.places
        self._small[number] = np.rint(_resized(grey, (0.0, 1.0), (0.0, 1.0), SMALL))

    def find(self, look: Look) -> Iterator[tuple[str, float]]:
        """Find near-identical images, the likeliest first.

        Args:
            look: of the image that is searched for; compared with MAX_COMPARED others at most.

        Yields:
            Name and correlation of the local contrast, MIN_CORRELATION to 1.
        """
        import numpy as np

        if look.flat or not self._names:
            return
        # propose by keypoints, then confirm by alignment, the proposal with the most points first
        pictures = _parts(look.grey.astype(np.float32))
        proposals = self._proposals(pictures)
        pairs = []
        for proposal in proposals:
            down, across = FLIPS[proposal.flip]
            query = np.ascontiguousarray(pictures[proposal.part][::down, ::across])
            reference = self._small[proposal.number].astype(np.float32)
            pairs.append((reference, query, alignment.affine(proposal.known, proposal.seen)))
        same = set[int]()
        for proposal, value in zip(proposals, alignment.correlations(pairs), strict=True):
            if value >= MIN_CORRELATION and proposal.number not in same:
                same.add(proposal.number)
                yield self._names[proposal.number], value

    def _proposals(self, pictures: list[np.ndarray]) -> list[_Proposal]:
        """Propose indexed images whose points agree with those of a part of the query, most points first."""
        import numpy as np

        # a view is a part of the image (whole or half) under one of FLIPS
        views = [
            points.flipped(flip)
            for points in (
                keypoints(each, POINTS if each is pictures[0] else POINTS_OF_HALF) for each in pictures
            )
            for flip in FLIPS
        ]
        # geometric check of the groups (known image and view) with the most votes
        matches = self._matches(views)
        if not len(matches.view):
            return []
        order = np.argsort(matches.group, kind="stable")
        group = matches.group[order]
        agreed: list[tuple[int, _Proposal]] = []
        voted = _most_voted(matches)
        starts, ends = np.searchsorted(group, voted), np.searchsorted(group, voted, "right")
        for candidate, first, end in zip(voted, starts.tolist(), ends.tolist(), strict=True):
            mine = order[first:end]
            agree = mine[alignment.agreeing(matches.known[mine], matches.seen[mine])]
            # several matches of one point are one
            size = min(len(set(matches.point[agree].tolist())), len(set(matches.slot[agree].tolist())))
            if size >= MIN_VOTES:
                number, view = divmod(candidate, len(views))
                part, flip = divmod(view, len(FLIPS))
                proposal = _Proposal(number, part, flip, matches.known[agree], matches.seen[agree])
                agreed.append((size, proposal))
        agreed.sort(key=lambda pair: -pair[0])
        return [proposal for _, proposal in agreed[:MAX_COMPARED]]

    def _matches(self, views: list[Keypoints]) -> _Matches:
        import numpy as np

        # one lookup of the codes of all points of all views
        sizes = [len(view.places) for view in views]
        requested = codes(np.concatenate([view.numbers for view in views]), near=True)
        at, slots = self._codes.find(requested.ravel())
        # several codes in common are one match: distinct pairs of (point of the query, slot), 32 bits each
        pairs = distinct(
            (at // requested.shape[1]).astype(np.uint64) << np.uint64(32) | slots.astype(np.uint64)
        )
        point, slot = (
            (pairs >> np.uint64(32)).astype(np.int64),
            (pairs & np.uint64(2**32 - 1)).astype(np.int64),
        )
        view = np.repeat(np.arange(len(views)), sizes)[point]
        number = slot // POINTS
        seen = np.concatenate([view.places for view in views])[point]
        reference = self._places[number, slot % POINTS].astype(np.float32)
        return _Matches(number * len(views) + view, view, point, slot, reference, seen)


@dataclass(frozen=True, slots=True, eq=False)
class _Matches:
    """Points of the asked image and of known ones that have a code in common, n of them.

    Attributes:
        group: known image and view, as one number.
        view: part and flip of the asked image.
        point, slot: the point there, and the one of the known image.
        known, seen: (n, 3) where both are.
    """

    group: np.ndarray
    view: np.ndarray
    point: np.ndarray
    slot: np.ndarray
    known: np.ndarray
    seen: np.ndarray


def _most_voted(matches: _Matches) -> list[int]:
    """Rank groups by the most points that vote for one scale and shift (a Hough transform), most votes
    first."""
    import numpy as np

    # each match proposes a scale and a shift; votes are counted in cells of log2(scale) and of the shift
    scale = matches.known[:, 2] / matches.seen[:, 2]
    # where the middle of the asked picture would lie
    middle = matches.known[:, :2] + scale[:, None] * (0.5 - matches.seen[:, :2])
    votes = dict[int, int]()
    for offset in (0.0, 0.5):  # cells that overlap, so that no map lies on an edge of both
        cells = [np.floor(1.5 * np.log2(scale) + offset), *np.floor(middle.T / WIDE + offset)]
        # key = group and three cell numbers of 5 bits each
        key = matches.group
        for cell in cells:
            key = key * 32 + np.clip(cell.astype(np.int64) + 12, 0, 31)
        # a point votes once in a cell; there are fewer than 2048 of all views
        pairs = distinct(key << 11 | matches.point)
        cell_of, count = np.unique(pairs >> 11, return_counts=True)
        enough = count >= MIN_VOTES
        for group, number in zip((cell_of[enough] >> 15).tolist(), count[enough].tolist(), strict=True):
            votes[group] = max(votes.get(group, 0), number)
    return sorted(votes, key=lambda group: (-votes[group], group))[:MAX_AGREEING]


class Lens:
    """The look of an image, taken once for the several checks of a row."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[object, ...], Look] = OrderedDict()

    def look(self, image: ImageRef) -> Look:
        """Load the look of an image; the last REMEMBERED ones are cached.

        Args:
            image: a reference.

        Returns:
            As of `look`.

        Raises:
            DataError: the image cannot be opened, as images.open_image.
        """
        key = (image.sha256 or image.uri, image.frame, image.box)
        if key not in self._seen:
            self._seen[key] = look(image)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return self._seen[key]


def _parts(grey: np.ndarray) -> list[np.ndarray]:
    """Cut an image into the two pictures that it may consist of, side by side or one above the other; the
    whole image first.
    """
    across, down, full = _seam(grey), _seam(grey.T), (0.0, 1.0)
    return [
        grey,
        _resized(grey, full, (0.0, across), HALF),
        _resized(grey, full, (across, 1.0), HALF),
        _resized(grey, (0.0, down), full, HALF),
        _resized(grey, (down, 1.0), full, HALF),
    ]


def _seam(grey: np.ndarray) -> float:
    """Locate the end of the left picture of a panel, 0 to 1: the column of the largest steps; the middle
    without one.
    """
    import numpy as np

    side = len(grey)
    # mean step across each column in grey values, cut at 40 so that a single bright edge does not decide
    step = np.minimum(np.abs(grey[:, 2:] - grey[:, :-2]), 40).mean(axis=0)
    first, end = round(SEAM[0] * side), round(SEAM[1] * side)
    largest = first + int(step[first:end].argmax())
    if step[largest] < CLEAR_SEAM * np.median(step[first:end]) + 1:
        return 0.5
    # position between columns: centre of mass of the three steps around the largest
    near = np.arange(largest - 1, largest + 2)
    return round(float((near * step[near]).sum() / step[near].sum() + 1.5) / side, 2)


def _resized(
    grey: np.ndarray, down: tuple[float, float], across: tuple[float, float], side: int
) -> np.ndarray:
    """Resize a part of an image to (side, side) by area weighting."""
    cells: np.ndarray = _cells(*down, side, len(grey)) @ grey @ _cells(*across, side, len(grey)).T
    return cells


@lru_cache(maxsize=1024)
def _cells(start: float, end: float, count: int, side: int) -> np.ndarray:
    """Build the mean over `count` equal parts of an interval of a side as a matrix (count, side)."""
    import numpy as np

    # area weighting: length of the overlap of part i with pixel j, rows scaled to sum to 1
    edges = np.linspace(start, end, count + 1)[:, None] * side
    pixels = np.arange(side)
    inside = np.clip(np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels), 0, None)
    shares: np.ndarray = (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
