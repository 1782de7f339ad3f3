"""`medxiaohe data`: read, check, curate and mix corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import Stages, group, verb

ORDER = 40  # in the list of verbs

# second word -> (the stage it runs, one line about it, the inputs of the example)
STAGES: Stages = {
    "read": ("data.read", "read corpora and link mentions to the tree", "--input tree=work/entity_build/1"),
    "link": (
        "data.link",
        "link mentions in text to entities of the tree",
        "--input tree=work/entity_build/1 --set path=texts.jsonl",
    ),
    "classify": ("data.classify", "classify texts as medical or general", "--input corpus=work/data_read/1"),
    "curate": ("data.curate", "filter, deduplicate and decontaminate", "--input corpus=work/data_read/1"),
    "deidentify": ("data.deidentify", "de-identify text", "--input corpus=work/data_curate/1"),
    "gather": (
        "data.gather",
        "collect raw items for long-tail entities",
        "--input tree=work/entity_build/1 --input corpus=work/data_curate/1",
    ),
    "align": (
        "data.align",
        "drop rows whose text contradicts their labels",
        "--input tree=work/entity_build/1 --input corpus=work/data_gather/1",
    ),
    "synth": (
        "data.synthesise",
        "synthesise rows for long-tail entities",
        "--input tree=work/entity_build/1 --input corpus=work/data_curate/1",
    ),
    "teach": (
        "data.teach",
        "generate chains of thought with teacher models; keep those that pass two checks",
        "--input tree=work/entity_build/1 --input corpus=work/data_synthesise/1",
    ),
    "reconstruct": (
        "data.reconstruct",
        "make questions for training of the middle of each cluster; drop those that are always answered",
        "--input corpus=work/data_curate/1",
    ),
    "mix": ("data.mixture", "balance by entity, source and modality", "--input data=work/data_curate/1"),
}


def add(verbs: Any) -> None:
    """Add `data` and its second words to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    words = group(verbs, "data", "read, curate and mix corpora", STAGES)
    check = verb(words, "check", "what is wrong with data, row by row, before it is read",
                  "medxiaohe data check mine.jsonl --reader chat_jsonl", "check:data")  # fmt: skip
    check.add_argument("path", help="a file, a folder, or asset:NAME")
    check.add_argument(
        "--reader", default="", help="a name of `medxiaohe list readers`; guessed when left out"
    )
    check.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="an option of the reader; repeatable"
    )
    check.add_argument("--limit", type=int, help="look at the first N rows only")
    leaks = verb(words, "contamination",
    "show contaminated rows beside the test items they match, as a page",
                  "medxiaohe data contamination out/quickstart/curated/1 --out leaks.html",
                  "contamination:contamination")  # fmt: skip
    leaks.add_argument(
        "report",
        type=Path,
        metavar="REPORT",
        help="the folder of a data.curate stage, or its contamination.json",
    )
    leaks.add_argument("--out", type=Path, metavar="FILE", help="the page (default contamination.html)")
