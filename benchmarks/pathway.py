"""What comes next in a consultation: neighbours in a medical graph against controls (MedKP, 2403.06611).

    MEDXIAOHE_DATA=pack python benchmarks/pathway.py --limit 150

The question of a Chinese consultation (Toyhom) names entities of CMeKG; the physician's answer names new
ones, which are the gold. Each source ranks entities that the question does not name:

    graph        neighbours, specificity times evidence (retrieval/neighbours.py)
    rewired      the same on a graph whose nodes keep their degrees and whose facts are dealt out anew
    popularity   how often the answers of other consultations name an entity, whatever the question is

and, for the F1 of the next turn, what MedKP gives its generator, as sets of `NEXT` entities:

    none         the entities of the question itself: nothing new is predicted
    direct       neighbours that a fact links with two or more entities of the question
    potential    the best neighbours, as `graph`
    pathway      entities that followed those of the question in the other consultations, by how often they
                 did per mention (the token format of MedKP's predictor is not published)

A gain of the graph counts only over both controls. Entities are found by their names alone: of 100 mentions
drawn from the answers (`pathway_mentions.tsv`, read once by a language model, no clinician) the labels say
how many are no medical entity or another one, and every figure has these errors in it. `outside` is the share
of entities in the physicians' own answers that stand neither in the question nor among the neighbours: what a
hallucination rate by this rule would call made up, although a physician wrote it.
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
NEXT = 10  # entities that are predicted for the next turn
MENTIONS = Path(__file__).with_name("pathway_mentions.tsv")
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


def f1(gold: set[str], said: set[str]) -> float:
    return 2 * len(gold & said) / (len(gold) + len(said)) if gold or said else 1.0


def followers(pairs: list[tuple[set[str], set[str]]]) -> dict[str, Counter[str]]:
    """Entity of a question -> entities of its answers, by their share of the mentions of the former."""
    counts: dict[str, Counter[str]] = {}
    seen = Counter(name for asked, _ in pairs for name in asked)
    for asked, answered in pairs:
        for name in asked:
            counts.setdefault(name, Counter()).update(answered - asked)
    return {name: Counter({one: n / seen[name] for one, n in own.items()}) for name, own in counts.items()}


def linked_twice(graph: GraphStore, text: str) -> set[str]:
    """Neighbours of two or more entities of a text."""
    nodes = {node for *_, node in graph.mentions(text[:600].casefold()) if graph.degree(node) <= 2000}
    times = Counter(other for node in nodes for other in graph.neighbours(node) - nodes)
    return {graph.name(node) for node, _ in times.most_common(NEXT) if times[node] > 1}


def linker_errors() -> tuple[int, int]:
    """(wrong, all) of the mentions with hand labels."""
    with open(MENTIONS, encoding="utf-8") as file:
        labels = [row["wrong"] for row in csv.DictReader(file, delimiter="\t")]
    return labels.count("1"), len(labels)


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
    questions = [named(graph, question) for question, _ in rows]
    after = followers(list(zip(questions[half:], (own - usual for own in answers[half:]), strict=True)))
    turns: dict[str, list[float]] = {
        name: [] for name in ("none", "direct", "potential", "rewired", "pathway")
    }
    turns["popularity"] = []
    outside: list[float] = []
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
        follow = sum((after.get(name, Counter()) for name in asked), Counter())
        said = {
            "none": asked,
            "direct": linked_twice(graph, question[:600]),
            "potential": set(ranked["graph"][:NEXT]),
            "rewired": set(ranked["rewired"][:NEXT]),
            "pathway": {one for one, _ in follow.most_common(NEXT + len(asked)) if one not in asked},
            "popularity": set(ranked["popularity"][:NEXT]),
        }
        for name, own in said.items():
            turns[name].append(f1(gold, set(sorted(own)[:NEXT]) if name == "none" else own))
        known = asked | set(around(graph, question[:600], 10**6).potential)
        outside.append(len(names - known) / max(1, len(names)))
    figures = {"n": len(recalls["graph"][DEPTHS[0]])}
    print(f"{figures['n']} consultations with new entities, of {half}; {assets.folder('cmekg').name}")
    for name, by_depth in recalls.items():
        line = []
        for depth, values in by_depth.items():
            figures[f"{name}@{depth}"] = round(statistics.fmean(values), 4)
            line.append(f"R@{depth} {statistics.fmean(values):.3f}")
        print(f"{name:<11} {'  '.join(line)}")
    for name, values in turns.items():
        made = stats.estimate(values)
        figures[f"F1 {name}"] = round(made.mean, 4)
        print(f"next-turn F1 {name:<11} {made.mean:.3f} [{made.low:.3f}, {made.high:.3f}]")
    for name in ("potential", "pathway"):
        d = stats.paired(turns["popularity"], turns[name])
        print(f"next-turn F1, {name} - popularity: {d.difference:+.3f} [{d.low:+.3f}, {d.high:+.3f}]")
    wrong, labelled = linker_errors()
    low, high = stats.proportion(wrong, labelled)
    made = stats.estimate(outside)
    print(f"outside question and neighbours, physicians: {made.mean:.3f} [{made.low:.3f}, {made.high:.3f}]")
    print(f"linker: {wrong} of {labelled} mentions wrong [{low:.3f}, {high:.3f}]")
    for other in ("rewired", "popularity"):
        d = stats.paired(recalls[other][20], recalls["graph"][20])
        print(f"graph - {other}, R@20: {d.difference:+.3f} [{d.low:+.3f}, {d.high:+.3f}]")
    if args.out:
        io.write_json(args.out, figures)


if __name__ == "__main__":
    main()
