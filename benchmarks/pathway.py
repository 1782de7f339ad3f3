"""What comes next in a consultation: neighbours in a medical graph against controls (MedKP, 2403.06611).

    MEDXIAOHE_DATA=pack python benchmarks/pathway.py --limit 150

The question of a Chinese consultation (Toyhom) names entities of CMeKG; the physician's answer names new
ones, which are the gold. Each source ranks entities that the question does not name:

    graph        neighbours, specificity times evidence (retrieval/neighbours.py)
    rewired      the same on a graph whose nodes keep their degrees and whose facts are dealt out anew
    popularity   how often the answers of other consultations name an entity, whatever the question is

A gain of the graph counts only over both. Entities are found by their names alone, so every figure has the
errors of that in it; names of one character are not looked for.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
from collections import Counter
from pathlib import Path

from medxiaohe import assets, io
from medxiaohe.evals.statistics import stats
from medxiaohe.retrieval.assets import resources
from medxiaohe.retrieval.controls import controlled
from medxiaohe.retrieval.graph import GraphStore
from medxiaohe.retrieval.neighbours import around
from medxiaohe.tasks._common import place

DEPTHS = (20, 50)
COMMON = 90  # answers out of all that name an entity: beyond them it is a word of every answer


def consultations(limit: int) -> list[tuple[str, str]]:
    """(question, answer) in an order of their own, at most `limit`."""
    with open(place("", "zh/toyhom_internal_medicine.csv"), encoding="utf-8") as file:
        rows = [(f"{row['title']}\n{row['ask']}", row["answer"]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(rows)
    return rows[:limit]


def named(graph: GraphStore, text: str) -> set[str]:
    """Names of the entities in a text."""
    return {graph.name(node) for *_, node in graph.mentions(text[:600].casefold())}


def recall(gold: set[str], ranked: list[str], depth: int) -> float:
    return len(gold & set(ranked[:depth])) / len(gold)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit", type=int, default=300, help="consultations, half of which are asked")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    args = parser.parse_args()
    graph = resources()["graph"]()
    sources = {"graph": graph, "rewired": controlled("graph", graph, "rewired")}
    rows = consultations(args.limit)
    answers = [named(graph, answer) for _, answer in rows]
    common = Counter(name for names in answers for name in names)
    usual = {name for name, count in common.items() if count > COMMON * len(rows) / 905}
    half = len(rows) // 2
    popular = [
        name for name, _ in Counter(n for names in answers[half:] for n in names - usual).most_common()
    ]
    recalls: dict[str, dict[int, list[float]]] = {
        name: {depth: [] for depth in DEPTHS} for name in (*sources, "popularity")
    }
    for (question, _), names in zip(rows[:half], answers[:half], strict=True):
        asked = named(graph, question)
        gold = names - asked - usual
        if not gold or not asked:
            continue
        ranked = {
            name: list(around(store, question[:600], max(DEPTHS)).potential)
            for name, store in sources.items()
        }
        ranked["popularity"] = [name for name in popular if name not in asked]
        for name, found in ranked.items():
            for depth in DEPTHS:
                recalls[name][depth].append(recall(gold, found, depth))
    figures = {"n": len(recalls["graph"][DEPTHS[0]])}
    print(f"{figures['n']} consultations with new entities, of {half}; {assets.folder('cmekg').name}")
    for name, by_depth in recalls.items():
        line = []
        for depth, values in by_depth.items():
            figures[f"{name}@{depth}"] = round(statistics.fmean(values), 4)
            line.append(f"R@{depth} {statistics.fmean(values):.3f}")
        print(f"{name:<11} {'  '.join(line)}")
    for other in ("rewired", "popularity"):
        d = stats.paired(recalls[other][20], recalls["graph"][20])
        print(f"graph - {other}, R@20: {d.difference:+.3f} [{d.low:+.3f}, {d.high:+.3f}]")
    if args.out:
        io.write_json(args.out, figures)


if __name__ == "__main__":
    main()
