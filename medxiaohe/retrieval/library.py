"""Open libraries, which the tool `search` searches: a store, a file of passages, or a service."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.retrieval import assets, combined, dense, graph, image, passages, text
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.corpus import RECORD, carry
from medxiaohe.retrieval.service import Service
from medxiaohe.retrieval.store import Store
from medxiaohe.types import Evidence

GUIDELINES = "asset:open_medicine"
Built = text.TextStore | dense.DenseStore | image.ImageStore | graph.GraphStore
KINDS: Mapping[str, Callable[[Path], Built]] = {
    "text": text.TextStore,
    "dense": dense.DenseStore,
    "image": image.ImageStore,
    "graph": graph.GraphStore,
}


def open_library(path: str = "", url: str = "", privacy: str = "local_only") -> Store:
    """Open a source of passages.

    Args:
        path: folder that `knowledge build` wrote, YAML file that combines stores (retrieval/combined.py),
            file of passages (retrieval/passages.py), or "asset:open_medicine" for the guideline
            summaries.
        url: address of a service that is searched instead; "" for none.
        privacy: mode of the privacy guard for a service.

    Returns:
        a store that can be searched.

    Raises:
        DataError: the folder is no store or holds several; the file has no passage, or an invalid row.
        PrivacyError: `privacy` does not let queries go to `url`.
    """
    if url:
        return Service(url, privacy)
    if path == GUIDELINES:
        return assets.guidelines().index
    if path.endswith((".yaml", ".yml")):
        return combined.read(Path(path), open_library, privacy)
    return open_store(Path(path)) if Path(path).is_dir() else BM25(passages.read(Path(path)))


def source_documents(items: Iterable[Evidence], libraries: Iterable[str]) -> dict[str, bytes]:
    """Read the full documents that evidence was cut from: a trace that includes them needs no store.

    Args:
        items: evidence with the SHA-256 of its document; other items have no document here.
        libraries: paths as of `open_library`, such as those that were searched.

    Returns:
        SHA-256 -> UTF-8 bytes of the document. A document that a library no longer has, or has with other
        words, is left out.
    """
    by_digest = {item.sha256: item for item in items if item.sha256 and not item.images}
    documents: dict[str, bytes] = {}
    for store in map(open_library, libraries):
        for digest, item in by_digest.items():
            with suppress(DataError):
                text = store.get(item.id).text.encode()
                if hashlib.sha256(text).hexdigest() == digest:
                    documents[digest] = text
    return documents


def open_store(folder: Path) -> Built:
    """Open the store of a folder: its own, or the only version below it.

    Args:
        folder: of a store, or above exactly one.

    Returns:
        a text, dense, image, report or graph store

    Raises:
        DataError: there is no store, several, or a damaged one.
    """
    below = sorted(path.parent for path in folder.glob(f"*/{RECORD}"))
    if len(below) > 1:
        raise DataError(f"{folder} holds several stores ({', '.join(p.name for p in below)}): name one")
    store_folder = below[0] if below else folder
    record = io.read_json(store_folder / RECORD) if (store_folder / RECORD).is_file() else None
    kind = record.get("kind") if isinstance(record, dict) else ""
    return KINDS.get(kind if isinstance(kind, str) else "", text.TextStore)(store_folder)


def append(folder: Path, documents: Iterable[Evidence], out: Path) -> dict[str, Any]:
    """Publish a new version of a store with more documents: a segment is added, none is rebuilt.

    Args:
        folder: the store, which is not changed.
        documents: whole texts or images whose ids are not in it.
        out: of the new version, which is published whole; it must not be there.

    Returns:
        {"documents": n, "chunks": n} of what was added.

    Raises:
        DataError: the store is a graph, or a document cannot be added.
        ConfigError: there is something at `out`.
    """
    store = open_store(folder)
    if isinstance(store, graph.GraphStore):
        raise DataError(f"{folder} is a graph, to which nothing can be appended: build it again")
    record = store.record
    with io.in_turn(out):
        if out.exists():  # what another process was about to write is there by now
            raise ConfigError(f"{out} is in the way: give another folder for the new version")
        return _append(store, record, documents, out)


def _append(
    store: Built, record: Mapping[str, Any], documents: Iterable[Evidence], out: Path
) -> dict[str, Any]:
    with io.publish(out) as draft:
        carry(store.folder, draft)
        if isinstance(store, text.TextStore):
            sizes = (record["characters"], record["overlap"], record["unit"])
            return text.build_text(draft, documents, *sizes)
        if isinstance(store, image.ImageStore):
            return image.build_images(draft, documents, record["model"])
        sizes = (record["characters"], record["overlap"], record["unit"])
        return dense.build_dense(draft, documents, record["model"], *sizes)
