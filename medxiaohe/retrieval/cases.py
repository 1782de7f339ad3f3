"""Search cases by an image or by text, for the tool `similar_cases`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from medxiaohe import images
from medxiaohe.errors import DataError
from medxiaohe.retrieval import passages
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.types import Evidence, ImageRef

SIDE = 32  # pixels of the thumbnails that are compared


class Cases:
    """Cases that are searched by the cosine of their images (grey thumbnails of 32 x 32 pixels without
    their mean) or by BM25 over their texts.

    Thumbnails see layout and brightness, not findings: a tool of your own by the name `similar_cases` with an
    encoder of your field finds better ones.
    """

    pure = True

    def __init__(self, cases: Sequence[Evidence]) -> None:
        """Index cases, each with its text and its images."""
        if not cases:
            raise DataError("there is no case: a collection of nothing has no similar case")
        self.cases = tuple(cases)

    @classmethod
    def read(cls, path: Path) -> Cases:
        """Read cases from a file of passages with images (retrieval/passages.py).

        Args:
            path: a JSON lines file of passages with images.

        Returns:
            the cases, their images opened and hashed
        """
        return cls(
            [
                replace(
                    case, kind="record", images=tuple(images.ref(Path(image.uri)) for image in case.images)
                )
                for case in passages.read(path)
            ]
        )

    def like_image(self, image: ImageRef, top: int, others: Sequence[str] = ()) -> tuple[Evidence, ...]:
        """Retrieve the cases with the most similar images; the image itself and those with a digest of
        `others` are excluded.

        Args:
            image: what is compared.
            top: cases at most.
            others: SHA-256 digests of images whose cases are left out, such as those of the same patient.

        Returns:
            cases by cosine of their thumbnails
        """
        query = _thumbnail(image)
        barred = {*others, image.sha256} - {""}
        scored = [
            (-_cosine(query, own), case.id, case)
            for case, own in zip(self.cases, self._thumbnails, strict=True)
            if not barred & {own_image.sha256 for own_image in case.images}
        ]
        return tuple(case for _, _, case in sorted(scored, key=lambda row: row[:2])[:top])

    def like_text(self, text: str, top: int) -> tuple[Evidence, ...]:
        """Retrieve the cases whose text matches best.

        Args:
            text: the query.
            top: cases at most.

        Returns:
            cases by BM25, best first
        """
        by_id = {case.id: case for case in self.cases}
        return tuple(by_id[hit.id] for hit in self._index.search([text], top)[0])

    @cached_property
    def _thumbnails(self) -> list[list[float]]:
        return [_thumbnail(case.images[0]) if case.images else [] for case in self.cases]

    @cached_property
    def _index(self) -> BM25:
        return BM25(self.cases)


def _thumbnail(image: ImageRef) -> list[float]:
    """Grey values of a small copy less their mean, as a vector of length one."""
    small = images.open_image(image).convert("L").resize((SIDE, SIDE))
    values = [float(value) for value in small.tobytes()]
    mean = math.fsum(values) / len(values)
    # without the mean the cosine compares structure, not brightness
    centred = [value - mean for value in values]
    norm = math.sqrt(math.fsum(value * value for value in centred)) or 1.0
    return [value / norm for value in centred]


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) if b else -1.0
