"""`medxiaohe tree`: build, search and count the Medical Entity Tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import Stages, group, verb

ORDER = 30  # in the list of verbs

# second word -> (the stage it runs, one line about it, the inputs of the example)
STAGES: Stages = {
    "build": ("entity.build", "build the Medical Entity Tree from vocabularies", ""),
    "place": (
        "data.place",
        "attach entities without parents to their most likely parent",
        "--input tree=work/entity_build/1",
    ),
    "attach": (
        "data.attach",
        "extract new entities from passages and attach them to the tree",
        "--input tree=work/entity_build/1 --input corpus=work/data_read/1",
    ),
    "tagger": (
        "entity.tagger",
        "train a mention tagger on annotated text",
        "--input tree=work/entity_build/1",
    ),
}


def add(verbs: Any) -> None:
    """Add `tree` and its second words to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    words = group(verbs, "tree", "build, search and count the Medical Entity Tree", STAGES)
    find = verb(words, "find", "entities by a name, a synonym or an id; or what a text mentions",
                 'medxiaohe tree find "heart attack" --tree out/quickstart/tree/1',
                 "look:tree_find")  # fmt: skip
    find.add_argument("text", metavar="TEXT", help="a name, a part of one, an id, or a sentence")
    stats = verb(words, "stats", "how many entities, names, kinds and layers",
                  "medxiaohe tree stats --tree out/quickstart/tree/1", "look:tree_stats")  # fmt: skip
    show = verb(words, "show", "one entity: names, codes, facts, and who says so",
                 "medxiaohe tree show DOID:1909 --why --tree out/tree/tree/1", "trees:show")  # fmt: skip
    show.add_argument("id", metavar="ID", help="id of the entity, or of any term merged into it")
    show.add_argument(
        "--why",
        action="store_true",
        help="what each vocabulary says, with its license, and why the terms were merged",
    )
    coverage = verb(words, "coverage", "what a corpus has about every entity: a table and a page",
                     "medxiaohe tree coverage corpus/medquad --tree out/tree/tree/1 --out out/coverage",
                     "coverage:coverage")  # fmt: skip
    coverage.add_argument(
        "corpora", nargs="+", metavar="CORPUS", help="a stage's folder, a file or folder, or READER:PATH"
    )
    coverage.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder for the table and the page, written whole",
    )
    coverage.add_argument(
        "--compare", nargs="+", default=[], metavar="CORPUS", help="a second corpus, beside the first"
    )
    coverage.add_argument(
        "--reviewed",
        nargs="+",
        default=[],
        metavar="CORPUS",
        help="corpora that people reviewed: gold sets, cases",
    )
    coverage.add_argument("--reader", default="", help="of the corpora that name none; guessed when left out")
    coverage.add_argument("--name", default="", help="what to call the corpus")
    coverage.add_argument("--compare-name", default="", help="what to call the second one")
    coverage.add_argument(
        "--amcs", type=Path, metavar="FILE", help="a file of `tree amcs --out`, to show on the page"
    )
    for command in (find, stats, show, coverage):
        command.add_argument("--tree", type=Path, required=True, help="a folder that `tree build` finished")
    amcs = verb(words, "amcs", "how near sets of terms are to the last one, in both directions",
                 "medxiaohe tree amcs medquad_xml:corpus/medquad#focus out/tree/tree/1 --kind disease",
                 "amcs:amcs")  # fmt: skip
    amcs.add_argument(
        "sets",
        nargs="+",
        metavar="SET",
        help="a tree, a text file, VOCABULARY[:PATH], READER:PATH#KEY or FILE.jsonl#KEY; the tree last",
    )
    amcs.add_argument(
        "--encoder",
        default="minilm",
        help="minilm, e5 (a hundred languages), ngrams (no weights), or a folder with a sentence encoder",
    )
    amcs.add_argument("--kind", default="", help="only entities of this kind, of trees and vocabularies")
    amcs.add_argument("--synonyms", action="store_true", help="all names of an entity, not only its main one")
    amcs.add_argument(
        "--sample",
        type=int,
        default=20_000,
        metavar="N",
        help="average over at most N terms; 0 for all (default 20000)",
    )
    amcs.add_argument("--seed", type=int, default=0, help="of the sample and of the interval")
    amcs.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep the vectors in this folder, for a resumed run and for later ones",
    )
    amcs.add_argument(
        "--out", type=Path, metavar="FILE", help="write the result as JSON, for `tree coverage --amcs`"
    )
