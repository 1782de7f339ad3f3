"""Libraries, which the tool `search` searches: `BM25`, `Service`, or any object with the method `search`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from medxiaohe.retrieval import passages
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.service import Service
from medxiaohe.types import Evidence


class Library(Protocol):
    def search(self, query: str, top: int) -> Sequence[Evidence]:
        """The `top` passages for the query, best first."""
        ...


def open_library(path: str = "", url: str = "", privacy: str = "local_only") -> Library:
    """The library of a file of passages (retrieval/passages.py), or the one that a service at `url` searches.

    Raises:
        DataError: the file has no passage, or a row that is none.
        PrivacyError: `privacy` does not let queries go to `url`.
    """
    return Service(url, privacy) if url else BM25(passages.read(Path(path)))
