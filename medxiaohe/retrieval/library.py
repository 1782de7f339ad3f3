"""Libraries, which the tool `search` searches: a store, a file of passages, or a service."""

from __future__ import annotations

from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.retrieval import assets, dense, graph, passages, text
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.service import Service
from medxiaohe.retrieval.store import Store

GUIDELINES = "asset:open_medicine"


def open_library(path: str = "", url: str = "", privacy: str = "local_only") -> Store:
    """The store of a folder that `knowledge build` wrote, the library of a file of passages
    (retrieval/passages.py), the guideline summaries of asset:open_medicine, or what a service at `url`
    searches.

    Raises:
        DataError: the folder is no store or holds several; the file has no passage, or a row that is none.
        PrivacyError: `privacy` does not let queries go to `url`.
    """
    if url:
        return Service(url, privacy)
    if path == GUIDELINES:
        return assets.guidelines().index
    return open_store(Path(path)) if Path(path).is_dir() else BM25(passages.read(Path(path)))


def open_store(folder: Path) -> text.TextStore | dense.DenseStore | graph.GraphStore:
    """The store in a folder: its own, or the only version below it; DataError where there is none."""
    below = sorted(path.parent for path in folder.glob(f"*/{text.RECORD}"))
    if len(below) > 1:
        raise DataError(f"{folder} holds several stores ({', '.join(p.name for p in below)}): name one")
    place = below[0] if below else folder
    record = io.read_json(place / text.RECORD) if (place / text.RECORD).is_file() else None
    kind = record.get("kind") if isinstance(record, dict) else ""
    if kind == "graph":
        return graph.GraphStore(place)
    if kind == "dense":
        return dense.DenseStore(place)
    return text.TextStore(place)
