"""How much is written for thin nodes, how fast, and what is refused; whether options give the answer away;
how questions are routed.

    python benchmarks/synthesis.py --tree out/tree/tree/1 --nodes 1000
    MEDXIAOHE_DATA=/path/to/data python benchmarks/synthesis.py --routing

The nodes are thin ones of a corpus without anything: what the tree alone has. Speeds are rows that were kept
a second of CPU time, one core, checks included. The longest option is the answer in a quarter of the
questions when length tells nothing.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shares import line

from medxiaohe import io
from medxiaohe.data.synth import cards, cases, checks, choices, paths, rows
from medxiaohe.data.synth.chains import split
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.paths import Refused
from medxiaohe.data.synth.route import route
from medxiaohe.data.synth.thin import thin
from medxiaohe.data.synth.walk import verify, walk_from_json
from medxiaohe.entity.linking.finder import finder
from medxiaohe.scoring._findings import lexicon
from medxiaohe.types import ImageRef, Message, Sample


def made(name: str, nodes: list[str], make: Callable[[str], list[Any]]) -> list[Any]:
    """What one kind of rows comes to."""
    start = time.process_time()
    found = [one for node in nodes for one in make(node)]
    spent = time.process_time() - start
    kept = [one for one in found if not isinstance(one, Refused)]
    why = Counter(one.reason for one in found if isinstance(one, Refused))
    print(f" {name}: {len(kept)} of {len(found)}, {len(kept) / max(1e-9, spent):,.0f} a second")
    for reason, number in why.most_common():
        print(f"    {number:>6}  {number / len(found):>6.1%}  {reason}")
    return kept


def written(args: argparse.Namespace) -> None:
    start = time.process_time()
    graph = Graph.load(args.tree)
    print(
        f"tree: {len(graph.tree):,} entities, {len(graph):,} facts, {time.process_time() - start:.0f} s to"
        " load"
    )
    found = thin(graph, {}, kinds=tuple(args.kinds), at_most=0, num=args.nodes, per_parent=5)
    nodes = [one.id for one in found]
    print(f"{len(nodes)} nodes: {dict(Counter(one.kind for one in found))}")
    made("cards", nodes, lambda id: [cards.card(id, graph)])
    asked = made("choices", nodes, lambda id: list(choices.choices(id, graph)))
    walks = made("paths", nodes, lambda id: [paths.path(id, graph)])
    length = {id: len(graph.tree.entities[id].name) for one in asked for id in (one.answer, *one.others)}
    longest = sum(length[one.answer] > max(length[id] for id in one.others) for one in asked)
    print(line("the answer is the longest option", longest, len(asked)))
    made_rows = [rows.path_row(walk, graph) for walk in walks] + [
        rows.choice_row(one, n % 4, graph) for n, one in enumerate(asked)
    ]
    again = sum(
        verify(walk_from_json(row.provenance.path), graph) == ""
        for row in made_rows
        if row.source == rows.PATH
    )
    print(line("stored paths that verify", again, len(walks)))
    print(f"  rows by length of their thought: {dict(Counter(row.provenance.chain for row in made_rows))}")
    names, words, bad = finder(args.tree), lexicon(), Counter[str]()
    start, num = time.process_time(), 0
    for row in made_rows:
        if (chain := split(row.messages[-1].text)[0]) is None:
            continue
        num += 1
        about = cases.case(row, graph)
        wrong = (
            "peeks" if checks.peeks(chain, about) else "illogical" if checks.illogical(chain, about) else ""
        )
        bad[wrong or ("unfaithful" if checks.unfaithful(chain, about, words, names) else "")] += 1
    speed = num / max(1e-9, time.process_time() - start)
    print(f" thoughts: {bad.pop('', 0)} of {num} pass the checks, {speed:,.0f} a second; {dict(bad)}")


def routed() -> None:
    """By the kinds of question that VQA-RAD's authors wrote down: their own words for perception (PRES, POS,
    ...) and OTHER."""
    found: dict[str, Counter[str]] = {}
    for row in io.read_json(Path(os.environ["MEDXIAOHE_DATA"]) / "vqa" / "vqa_rad" / "vqa_rad.json"):
        asked = Sample(
            "q",
            (Message("user", (ImageRef("x"), row["question"])), Message("assistant", (str(row["answer"]),))),
        )
        found.setdefault(row["question_type"].split(",")[0].strip(), Counter())[route(asked)] += 1
    for kind, counts in sorted(found.items(), key=lambda pair: -sum(pair[1].values())):
        print(line(f"short, {kind}", counts["short"], sum(counts.values())))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--kinds", nargs="*", default=["disease", "phenotype", "anatomy"])
    parser.add_argument("--routing", action="store_true")
    args = parser.parse_args()
    if args.tree:
        written(args)
    if args.routing:
        routed()


if __name__ == "__main__":
    main()
