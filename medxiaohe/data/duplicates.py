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
        self._buckets: dict[int, int | list[int]] = {}  # of most keys the only number, to spare a list each
        self._kept: list[tuple[int, str]] = []
        self._galleries: dict[bytes, Gallery] = {}
        self._images: dict[str, tuple[ImageRef, ...]] = {}
        dice = np.random.default_rng(0)
        self._factors = dice.integers(0, 2**31, BANDS * ROWS, np.uint32) * np.uint32(2) + np.uint32(1)
        self._mix = dice.integers(0, 2**63, (BANDS, ROWS), np.uint64) * np.uint64(2) + np.uint64(1)
        self._last: tuple[Sample | None, bytes, str, list[int]] = (None, b"", "", [])

    def find(self, sample: Sample) -> tuple[str, str]:
        """Reason and detail, or two empty strings."""
        if first := self._exact.get(self._seen(sample)[0]):
            return "exact_duplicate", f"of {first}"
        if sample.images:
            return self._same_picture(sample)
        return self._same_text(sample) if self._threshold else ("", "")

    def add(self, sample: Sample, place: int) -> None:
        self._exact[self._seen(sample)[0]] = sample.id
        if sample.images:
            self._galleries.setdefault(_key(sample, sample.text), Gallery()).add(self._lens.look(sample.images[0]), sample.id)
            self._images[sample.id] = sample.images
        elif self._threshold:
            number = len(self._kept)
            self._kept.append((place, sample.id))
            for key in self._seen(sample)[2]:
                bucket = self._buckets.setdefault(key, number)
                if isinstance(bucket, list):
                    if len(bucket) < MAX_BUCKET:
                        bucket.append(number)
                elif bucket != number:
                    self._buckets[key] = [bucket, number]

    def _same_picture(self, sample: Sample) -> tuple[str, str]:
        gallery = self._galleries.get(_key(sample, sample.text))
        for name, alike in gallery.find(self._lens.look(sample.images[0])) if gallery else ():
            other = self._images[name]
            if all(map(self._alike, other[1:], sample.images[1:])):
                return "near_duplicate_image", f"of {name}: the same text, correlation of the images {alike:.3f}"
        return "", ""

    def _alike(self, a: ImageRef, b: ImageRef) -> bool:
        pair = Gallery()
        pair.add(self._lens.look(a), "")
        return any(True for _ in pair.find(self._lens.look(b)))

    def _same_text(self, sample: Sample) -> tuple[str, str]:
        _, text, bands = self._seen(sample)
        candidates = set[int]()
        for key in bands:
            bucket = self._buckets.get(key)
            if bucket is not None:
                candidates.update(bucket if isinstance(bucket, list) else (bucket,))
        if not candidates:
            return "", ""
        mine = _grams(text)
        for number in sorted(candidates):
            place, name = self._kept[number]
            alike = overlap.jaccard(mine, _grams(self._text_of(place)))
            if alike >= self._threshold:
                return "near_duplicate_text", f"of {name}: {alike:.0%} of the word 5-grams are shared"
        return "", ""

    def _seen(self, sample: Sample) -> tuple[bytes, str, list[int]]:
        """Key, text and bands of a row; `find` and `add` ask for the same one after the other."""
        if self._last[0] is not sample:
            text, compared = sample.text, self._threshold and not sample.images
            self._last = (sample, _key(sample, text, with_images=True), text, self._bands(text) if compared else [])
        return self._last[1:]

    def _bands(self, text: str) -> list[int]:
        """None for a short text."""
        long = len(overlap.word_codes(text)) >= MIN_GRAMS + GRAM - 1
        return overlap.bands(text, GRAM, self._factors, self._mix) if long else []


def _grams(text: str) -> np.ndarray:
    import numpy as np

    return np.unique(overlap.grams(text, GRAM))


def _key(sample: Sample, text: str, *, with_images: bool = False) -> bytes:
    images = [(i.sha256 or i.uri, i.frame, i.box) for i in sample.images] if with_images else len(sample.images)
    rest = f"\0{sample.target}\0{images}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(overlap.word_codes(text).tobytes() + rest, digest_size=16).digest()
