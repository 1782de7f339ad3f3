"""`medxiaohe knowledge`: stores of documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import Stages, group, verb

ORDER = 50  # in the list of verbs

# second word -> (the stage it runs, one line about it, the inputs of the example)
STAGES: Stages = {
    "build": ("data.index", "build a searchable store of documents", "--set path=asset:open_medicine"),
}


def add(verbs: Any) -> None:
    """Add `knowledge` and its second words to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    words = group(verbs, "knowledge", "build, search and check stores of documents", STAGES)
    store = "out/data_index/1"
    search = verb(words, "search", "parts of documents that match a query, best first",
                   f'medxiaohe knowledge search "rate control" --store {store}',
                   "knowledge:search")  # fmt: skip
    search.add_argument(
        "query", nargs="?", default="", metavar="QUERY", help="words, or a question; left out with --image"
    )
    search.add_argument("--top", type=int, default=5, metavar="N", help="how many (default 5)")
    search.add_argument("--image", type=Path, metavar="FILE", help="search an image store by this image")
    search.add_argument(
        "--level",
        action="append",
        default=[],
        metavar="A-E",
        help="only documents of this level of authority",
    )
    search.add_argument(
        "--source", action="append", default=[], metavar="WORDS", help="only documents of this source"
    )
    search.add_argument(
        "--since", default="", metavar="DATE", help="only from this date on: YYYY, YYYY-MM ..."
    )
    search.add_argument("--until", default="", metavar="DATE", help="only up to this date")
    append = verb(words, "append", "a new version of a store with more documents, none of it rebuilt",
                   f"medxiaohe knowledge append --store {store} --path more.jsonl --out out/data_index/2",
                   "knowledge:append")  # fmt: skip
    append.add_argument("--path", required=True, help="passages, Samples, or asset:NAME")
    append.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the new version")
    get = verb(words, "get", "the whole document of an id",
                f"medxiaohe knowledge get 'guideline/esc_acs_2023/antiplatelet#2' --store {store}",
                "knowledge:get")  # fmt: skip
    get.add_argument("id", metavar="ID", help="of a document, as `knowledge search` prints it")
    stats = verb(words, "stats", "how many documents and chunks",
                  f"medxiaohe knowledge stats --store {store}", "knowledge:stats")  # fmt: skip
    check = verb(words, "check", "whether every file is as it was written and every document can be read",
                  f"medxiaohe knowledge check --store {store}", "knowledge:check")  # fmt: skip
    for command in (search, get, append, stats, check):
        combined = ", or a YAML file that combines stores" if command in (search, get) else ""
        command.add_argument(
            "--store", type=Path, required=True, help=f"a folder that `knowledge build` finished{combined}"
        )
