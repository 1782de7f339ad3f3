"""Are the items found for a node about the node? MedQuAD, whose documents say what they are about by UMLS
code (arXiv 2604.25296).

    MEDXIAOHE_DATA=/path/to/data python benchmarks/node_retrieval.py --tree out/tree/tree/1

The nodes are entities of the tree with a code that a document's focus has; the pool is one row of each
document, without its linking, so that words alone have to find it. Right is a document with the code of the
node, or of something below it. Compared with BM25 for the node's name alone, which always returns k items.
Intervals are exact ones at 95 %.
"""

import argparse
import os
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from shares import line

from medxiaohe import io, plugins
from medxiaohe.data.synth.search import Pool
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.types import Evidence, Sample

K = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=300)
    args = parser.parse_args()
    tree = Tree.load(args.tree)
    by_code: dict[str, list[str]] = defaultdict(list)
    for id, entity in tree.entities.items():
        for code in entity.xrefs:
            if code.startswith("UMLS:"):
                by_code[code].append(id)
    rows, codes = [], dict[str, frozenset[str]]()
    for sample in plugins.load("readers", "medquad_xml")(
        Path(os.environ["MEDXIAOHE_DATA"]) / "corpus" / "medquad"
    ):
        if isinstance(sample, Sample) and sample.study_id not in codes:
            codes[sample.study_id] = frozenset(f"UMLS:{code}" for code in sample.meta["umls"] if code)
            rows.append(replace(sample, id=sample.study_id, entities=()))
    about = {study: frozenset(id for code in some for id in by_code[code]) for study, some in codes.items()}
    asked = sorted(
        {id for some in about.values() for id in some}, key=lambda id: io.unit_interval("retrieval", id)
    )[: args.nodes]
    pool, plain = Pool(enumerate(rows)), BM25(Evidence(row.id, row.text, row.source) for row in rows)
    print(
        f"{len(asked)} nodes, {len(rows)} documents, {sum(map(bool, about.values()))} with a code of the tree"
    )
    below = {id: {id, *_below(tree, id)} for id in asked}
    start = time.process_time()
    ours = {id: [one.sample for one in pool.retrieve(tree, id, K)] for id in asked}
    spent = time.process_time() - start
    theirs = {id: [one.id for one in plain.search([tree.entities[id].name], K)[0]] for id in asked}
    for name, found in (("node-guided", ours), ("BM25 for the name", theirs)):
        right = {id: [bool(about[study] & below[id]) for study in some] for id, some in found.items()}
        first = [some[0] for some in right.values() if some]
        print(f" {name}")
        print(line("nodes with a right one among the five", sum(map(any, right.values())), len(asked)))
        print(line("first item is right, of nodes with items", sum(first), len(first)))
        print(line("items that are right", sum(map(sum, right.values())), sum(map(len, right.values()))))
    print(f"  node-guided: {spent / len(asked) * 1e3:.0f} ms a node")


def _below(tree: Tree, id: str) -> set[str]:
    found, queue = set[str](), list(tree.children(id))
    for one in queue:
        if one not in found:
            found.add(one)
            queue.extend(tree.children(one))
    return found


if __name__ == "__main__":
    main()
