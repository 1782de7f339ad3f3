"""`knowledge search`, `get`, `stats` and `check`: a store that `knowledge build` wrote."""

from __future__ import annotations

import argparse
import json

from medxiaohe import io
from medxiaohe.retrieval.dense import DenseStore
from medxiaohe.retrieval.graph import GraphStore
from medxiaohe.retrieval.library import open_store
from medxiaohe.retrieval.text import TextStore
from medxiaohe.types import Evidence


def search(args: argparse.Namespace) -> int:
    (results,) = _store(args).search([args.query], args.top)
    if args.json:
        print(json.dumps([io.to_json(one) for one in results], ensure_ascii=False))
        return 0
    for one in results:
        print(f"{one.score:7.2f}  [{one.id}] {_about(one)}\n         {' '.join(one.text.split())[:300]}")
    if not results:
        print("nothing found")
    return 0


def get(args: argparse.Namespace) -> int:
    document = _store(args).get(args.id)
    if args.json:
        print(json.dumps(io.to_json(document), ensure_ascii=False))
    else:
        print(f"[{document.id}] {_about(document)}\n{document.text}")
    return 0


def stats(args: argparse.Namespace) -> int:
    record = {key: value for key, value in _store(args).record.items() if key != "files"}
    if args.json:
        print(json.dumps(record))
    else:
        print("\n".join(f"{key:<12} {value}" for key, value in record.items()))
    return 0


def check(args: argparse.Namespace) -> int:
    """DataError for a file that changed, and for a document that cannot be found by its id."""
    store = _store(args)
    io.verify(store.folder)
    count = store.verify()
    what = "nodes" if isinstance(store, GraphStore) else "documents"
    print(json.dumps({what: count}) if args.json else f"{count:,} {what}, all as written")
    return 0


def _store(args: argparse.Namespace) -> TextStore | DenseStore | GraphStore:
    return open_store(args.store)


def _about(one: Evidence) -> str:
    level = f"level {one.level}" if one.level else ""
    return "; ".join(filter(None, [one.source, level, one.license]))
