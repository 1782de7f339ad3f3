"""How well new entities find their parents: a tenth of an ontology's nodes is taken out and put back
(MedXIAOHE).

    pip install 'medxiaohe[train]' && medxiaohe assets minilm
    MEDXIAOHE_DATA=/path/to/data python benchmarks/entity_attachment.py              # DOID and HPO: some
    minutes, one core MEDXIAOHE_DATA=/path/to/data python benchmarks/entity_attachment.py --validation # the
    split that choices were made on

The held-out nodes (those whose id hashes into a tenth, inner nodes too) leave with names, synonyms and
definitions; their children hang on the nearest ancestors that stay, and so does the gold: the parents that
the skeleton still has. A node is put back from its name, synonyms and definition alone. The ranker is fitted
on nodes of the skeleton only.

    most frequent parent   the nodes with the most children
    embedding only         the nodes whose name is nearest to the node's name, by the cosine of MiniLM
    nearest sibling        the parents of the nodes whose name is nearest, by the same cosine
    ranker, ngrams         medxiaohe.entity.literature.attach without an embedder
    ranker                 with MiniLM
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medxiaohe.entity.literature.attach import fit
from medxiaohe.entity.literature.holdout import HoldOut, drawn, hold_out
from medxiaohe.entity.literature.parents import Skeleton
from medxiaohe.entity.literature.vectors import Remembering, top
from medxiaohe.entity.readers.obo import obo
from medxiaohe.evals.statistics.stats import estimate, paired
from medxiaohe.models.embed import embedder
from medxiaohe.types import Entity

FILES = {"DOID 2016-09-01": "doid_2016-09-01.obo", "HPO 2014-11-14": "hp_2014-11-14.obo"}
SHARE = 0.1
Ranking = list[list[str]]  # of each query, ids of nodes, best first


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--validation", action="store_true", help="hold out a tenth of the other nine tenths instead"
    )
    options.add_argument("--errors", type=int, default=0, help="print so many wrong first candidates")
    args = options.parse_args()
    folder = Path(os.environ.get("MEDXIAOHE_DATA", "")) / "ontology"
    if not folder.is_dir():
        sys.exit("set MEDXIAOHE_DATA to the folder of the data pack")
    packages = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "torch", "transformers")
    )
    print(f"Python {platform.python_version()}, {packages}")
    minilm = Remembering(embedder("minilm"))
    print(f"embedder: {minilm.name}\n")
    print("| ontology | nodes held out | method | hit@1 | hit@5 | seconds |\n|---|---|---|---|---|---|")
    for name, file in FILES.items():
        entities = [one for one in obo(folder / file) if isinstance(one, Entity)]
        held = hold_out(entities, drawn(entities, "test", 0, SHARE))
        if args.validation:
            held = hold_out(held.skeleton, drawn(held.skeleton, "validation", 0, SHARE))
        measure(name, held, minilm, args.errors)


def measure(name: str, held: HoldOut, minilm: Remembering, num_errors: int) -> None:
    # once, so that no method pays for another
    minilm.encode([entity.name for entity in (*held.skeleton, *held.queries)])
    methods = {
        "most frequent parent": most_frequent,
        "embedding only": lambda held: nearest(held, minilm),
        "nearest sibling": lambda held: nearest_sibling(held, minilm),
        "ranker, ngrams": lambda held: ranked(held, None),
        "ranker": lambda held: ranked(held, minilm),
    }
    firsts = {}
    for method, rank in methods.items():
        start = time.time()
        rankings = rank(held)
        seconds = time.time() - start
        hits = {
            k: [
                float(bool(held.gold[q.id] & set(r[:k]))) for q, r in zip(held.queries, rankings, strict=True)
            ]
            for k in (1, 5)
        }
        firsts[method] = hits[1]
        shown = " | ".join(
            f"{e.mean:.3f} ({e.low:.3f} to {e.high:.3f})" for e in (estimate(hits[1]), estimate(hits[5]))
        )
        print(
            f"| {name} | {len(held.queries)} ({len(held.leaves)} leaves) | {method} | {shown} |"
            f" {seconds:.0f} |",
            flush=True,
        )
    for other in ("embedding only", "ranker, ngrams"):
        d = paired(firsts[other], firsts["ranker"])
        print(
            f"|  |  | ranker minus {other}, hit@1 | {d.difference:+.3f} ({d.low:+.3f} to {d.high:+.3f}), p"
            f" {d.p:.2g} |  |  |"
        )
    names = {entity.id: entity.name for entity in held.skeleton}
    wrong = [(q, r) for q, r, hit in zip(held.queries, rankings, firsts["ranker"], strict=True) if not hit]
    for query, ranking in wrong[:num_errors]:
        right = ", ".join(names[id] for id in sorted(held.gold[query.id]))
        print(f"    {query.name}: {names[ranking[0]] if ranking else '-'}; right is {right}")


def most_frequent(held: HoldOut) -> Ranking:
    counts = Counter(parent for entity in held.skeleton for parent in entity.parents)
    best = sorted(counts, key=lambda id: (-counts[id], id))[:5]
    return [best for _ in held.queries]


def nearest(held: HoldOut, minilm: Remembering) -> Ranking:
    return [[held.skeleton[i].id for i in row[:5]] for row in _neighbours(held, minilm)]


def nearest_sibling(held: HoldOut, minilm: Remembering) -> Ranking:
    return [
        list(dict.fromkeys(p for i in row for p in held.skeleton[i].parents))[:5]
        for row in _neighbours(held, minilm)
    ]


def _neighbours(held: HoldOut, minilm: Remembering) -> list[Sequence[int]]:
    names, queries = (
        minilm.encode([e.name for e in held.skeleton]),
        minilm.encode([e.name for e in held.queries]),
    )
    return [top(names @ query, 20).tolist() for query in queries]


def ranked(held: HoldOut, embedder: Remembering | None) -> Ranking:
    attacher = fit(held.skeleton, embedder)
    best = attacher.rank(Skeleton(held.skeleton, embedder), held.queries)
    return [[parent.id for parent in parents] for parents in best]


if __name__ == "__main__":
    main()
