"""Duplicates within a corpus: the first of its kind is kept, so the order of the sources is their rank.

Text is a near-duplicate when the Jaccard index of its word 5-grams with those of a kept row reaches `threshold`
(MinHash with 20 bands of 6 proposes: it finds 99.8 % at 0.8; the index itself is then counted on the two texts).
A row with images is a duplicate only when both its text and its images are: a hundred radiographs with one question
are a hundred rows, and so are twenty questions about one radiograph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from medxiaohe.data import overlap
from medxiaohe.data.looks import Gallery, Lens
from medxiaohe.types import ImageRef, Sample

if TYPE_CHECKING:
    import numpy as np

GRAM, BANDS, ROWS = 5, 20, 6
MIN_GRAMS = 10  # shorter texts are compared exactly only
MAX_BUCKET = 8  # later rows of a crowded bucket are found through their other bands


class Duplicates:
    """Rows kept so far; `text_of` reads a kept row's text again by its place."""

    def __init__(self, lens: Lens, *, threshold: float, text_of: Callable[[int], str]):
        import numpy as np

        self._lens, self._threshold, self._text_of = lens, threshold, text_of
        self._exact: dict[bytes, str] = {}
        self._buckets: dict[int, list[tuple[int, str]]] = {}
        self._galleries: dict[bytes, Gallery] = {}
        self._images: dict[str, tuple[ImageRef, ...]] = {}
        self._factors = np.random.default_rng(0).integers(0, 2**63, BANDS * ROWS, np.uint64) * np.uint64(2) + np.uint64(1)

    def find(self, sample: Sample) -> tuple[str, str]:
        """Reason and detail, or two empty strings."""
        if first := self._exact.get(_key(sample, with_images=True)):
            return "exact_duplicate", f"of {first}"
        if sample.images:
            return self._same_picture(sample)
        return self._same_text(sample) if self._threshold else ("", "")

    def add(self, sample: Sample, place: int) -> None:
        self._exact[_key(sample, with_images=True)] = sample.id
        if sample.images:
            self._galleries.setdefault(_key(sample), Gallery()).add(self._lens.look(sample.images[0]), sample.id)
            self._images[sample.id] = sample.images
        elif self._threshold:
            for key in self._bands(_grams(sample.text)):
                bucket = self._buckets.setdefault(key, [])
                if len(bucket) < MAX_BUCKET:
                    bucket.append((place, sample.id))

    def _same_picture(self, sample: Sample) -> tuple[str, str]:
        gallery = self._galleries.get(_key(sample))
        for name, alike in gallery.find(self._lens.look(sample.images[0])) if gallery else ():
            other = self._images[name]
            if all(map(self._alike, other[1:], sample.images[1:])):
                return "near_duplicate_image", f"of {name}: the same text, correlation of the images {alike:.3f}"
        return "", ""

    def _alike(self, a: ImageRef, b: ImageRef) -> bool:
        pair = Gallery()
        pair.add(self._lens.look(a), "")
        return bool(pair.find(self._lens.look(b)))

    def _same_text(self, sample: Sample) -> tuple[str, str]:
        mine = _grams(sample.text)
        candidates = {candidate for key in self._bands(mine) for candidate in self._buckets.get(key, ())}
        for place, name in sorted(candidates):
            alike = overlap.jaccard(mine, _grams(self._text_of(place)))
            if alike >= self._threshold:
                return "near_duplicate_text", f"of {name}: {alike:.0%} of the word 5-grams are shared"
        return "", ""

    def _bands(self, distinct: np.ndarray) -> list[int]:
        """A key for each band of the MinHash signature; none for a short text."""
        import numpy as np

        if len(distinct) < MIN_GRAMS:
            return []
        lowest = np.full(BANDS * ROWS, np.iinfo(np.uint64).max, np.uint64)
        for start in range(0, len(distinct), 2048):  # bounded memory for a book
            lowest = np.minimum(lowest, (distinct[start : start + 2048, None] * self._factors).min(axis=0))
        rows = (lowest >> np.uint64(32)).reshape(BANDS, ROWS)
        return [int.from_bytes(hashlib.blake2b(bytes([i]) + row.tobytes(), digest_size=8).digest(), "big") for i, row in enumerate(rows)]


def _grams(text: str) -> np.ndarray:
    import numpy as np

    return np.unique(overlap.grams(text, GRAM))


def _key(sample: Sample, *, with_images: bool = False) -> bytes:
    images = [(i.sha256 or i.uri, i.frame, i.box) for i in sample.images] if with_images else len(sample.images)
    return hashlib.blake2b(
        f"{overlap.normal(sample.text)}\0{sample.target}\0{images}".encode("utf-8", "backslashreplace"), digest_size=16
    ).digest()
