"""`knowledge search`, `get`, `append`, `stats` and `check`: a store that `knowledge build` wrote."""

from __future__ import annotations

import argparse
import json

from medxiaohe import images, io
from medxiaohe.data.index import documents_of
from medxiaohe.errors import ConfigError
from medxiaohe.progress import track
from medxiaohe.retrieval import library
from medxiaohe.retrieval.graph import GraphStore
from medxiaohe.retrieval.image import ImageStore
from medxiaohe.retrieval.store import Filtered, Store, matching
from medxiaohe.types import Evidence


def search(args: argparse.Namespace) -> int:
    """Search a store of documents by text or by image (`knowledge search`).

    Args:
        args: `store` (a folder), `query` or `image` (one of the two), `top` (number of results), `level`,
            `source`, `since` and `until` (filters, for text), `json`.

    Returns:
        exit code 0, also for no result; results are on stdout, the highest score first.

    Raises:
        ConfigError: both or neither of `query` and `image`, or an image for a store of text.
        DataError: an empty query, `top` below 1, or a filter that is not a level or date.
    """
    store = library.open_library(str(args.store))
    if bool(args.query) == bool(args.image):
        raise ConfigError("give either a query or --image")
    if args.image:
        if not isinstance(store, ImageStore):
            raise ConfigError(f"{args.store} is no image store: ask it with words")
        (results,) = store.search([images.ref(args.image)], args.top)
    else:
        if args.level or args.source or args.since or args.until:
            accepts = matching(args.source, args.level, (), args.since, args.until)
            store = Filtered(store, accepts)
        (results,) = store.search([args.query], args.top)
    if args.json:
        print(json.dumps([io.to_json(result) for result in results], ensure_ascii=False))
        return 0
    for hit in results:
        print(f"{hit.score:7.2f}  [{hit.id}] {_about(hit)}\n         {' '.join(hit.text.split())[:300]}")
    if not results:
        print("nothing found")
    return 0


def get(args: argparse.Namespace) -> int:
    """Print one document of a store (`knowledge get`).

    Args:
        args: `store`, `id`, `json`.

    Returns:
        exit code 0.

    Raises:
        DataError: no document has this id.
    """
    store: Store = library.open_library(str(args.store))
    document = store.get(args.id)
    if args.json:
        print(json.dumps(io.to_json(document), ensure_ascii=False))
    else:
        print(f"[{document.id}] {_about(document)}\n{document.text}")
    return 0


def append(args: argparse.Namespace) -> int:
    """Publish a new version of a store with more documents (`knowledge append`).

    Args:
        args: `store` (the version to extend), `path` (documents to add), `out` (the new version), `json`.

    Returns:
        exit code 0.
    """
    counts = library.append(args.store, track(documents_of(args.path), "documents"), args.out)
    print(json.dumps(counts) if args.json else f"{counts['documents']:,} documents added: {args.out}")
    return 0


def stats(args: argparse.Namespace) -> int:
    """Print the record of a store: number of documents, kind, settings (`knowledge stats`).

    Args:
        args: `store`, `json`.

    Returns:
        exit code 0.
    """
    record = {key: value for key, value in library.open_store(args.store).record.items() if key != "files"}
    if args.json:
        print(json.dumps(record))
    else:
        print("\n".join(f"{key:<12} {value}" for key, value in record.items()))
    return 0


def check(args: argparse.Namespace) -> int:
    """Verify the hashes of a store's files, and look up every document by its id (`knowledge check`).

    Args:
        args: `store`, `json`.

    Returns:
        exit code 0.

    Raises:
        DataError: a file has changed, or a document cannot be found by its id.
    """
    store = library.open_store(args.store)
    io.verify(store.folder)
    count = store.verify()
    noun = "nodes" if isinstance(store, GraphStore) else "documents"
    print(json.dumps({noun: count}) if args.json else f"{count:,} {noun}, all as written")
    return 0


def _about(evidence: Evidence) -> str:
    level = f"level {evidence.level}" if evidence.level else ""
    return "; ".join(filter(None, [evidence.source, level, evidence.license]))
