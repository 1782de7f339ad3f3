"""A Chinese question to its physician's answer among all answers: encoders beside each other and BM25.

    MEDXIAOHE_DATA=/path/to/data PYTHONPATH=. python benchmarks/chinese_questions.py --vectors out/vectors

The 905 consultations of the pack (Toyhom, internal medicine): title and question of the patient, and the
answer. Found is an answer among the first five. An answer that stands twice counts wherever it stands.
Differences to the first encoder are paired, with an interval by bootstrap over questions. `shuffled` deals
the answers out anew: chance is 5 in as many as there are answers.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.retrieval import Kept, bootstrap
from medxiaohe.errors import DataError
from medxiaohe.models.embed import embedder
from medxiaohe.retrieval.store import MOST_CHARACTERS
from medxiaohe.retrieval.text import TextStore, build_text
from medxiaohe.tasks._common import place
from medxiaohe.types import Evidence

TOP = 5
SECONDS = 10**6  # vectors are computed to the end


def consultations(limit: int) -> list[tuple[str, str]]:
    """(question, answer); the first `limit`, or all for 0."""
    with open(place("", "zh/toyhom_internal_medicine.csv"), encoding="utf-8") as file:
        rows = [(f"{row['title']}\n{row['ask']}", row["answer"].strip()) for row in csv.DictReader(file)]
    return rows[: limit or None]


def hits(found: list[list[str]], right: list[str]) -> list[float]:
    """1.0 for a question whose own answer is among those that were found."""
    return [float(answer in own) for own, answer in zip(found, right, strict=True)]


def by_vectors(name: str, questions: list[str], answers: list[str], keep: Path | None) -> list[list[str]]:
    """The answers nearest to each question by cosine."""
    with tempfile.TemporaryDirectory() as made:
        encoder = Kept(embedder(name), keep or Path(made))
        encoder.fill(questions, SECONDS, "query")
        encoder.fill(answers, SECONDS, "document")
        asked, given = encoder.encode(questions, kind="query"), encoder.encode(answers, kind="document")
    order = np.argsort(-(asked @ given.T), axis=1, kind="stable")[:, :TOP]
    return [[answers[i] for i in row] for row in order]


def by_words(questions: list[str], answers: list[str]) -> list[list[str]]:
    """The answers that the text store finds for each question, best first."""
    with tempfile.TemporaryDirectory() as folder:
        build_text(Path(folder), (Evidence(str(n), text, "Toyhom") for n, text in enumerate(answers)))
        store, found = TextStore(Path(folder)), []
        for question in questions:
            try:
                (rows,) = store.search([question[:MOST_CHARACTERS]], 4 * TOP)
            except DataError:  # stop words only
                rows = ()
            ids = list(dict.fromkeys(one.id.partition("#")[0] for one in rows))[:TOP]
            found.append([answers[int(id)] for id in ids])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoders", nargs="+", default=["minilm", "e5"], help="the first is compared with")
    parser.add_argument("--limit", type=int, default=0, help="consultations; 0 for all")
    parser.add_argument("--vectors", type=Path, help="folder in which vectors are kept between runs")
    args = parser.parse_args()
    rows = consultations(args.limit)
    questions, right = [q for q, _ in rows], [a for _, a in rows]
    answers = list(dict.fromkeys(right))
    print(f"{len(questions)} questions, {len(answers)} answers, chance R@{TOP} {TOP / len(answers):.3f}")
    dealt = random.Random(0).sample(right, len(right))
    first: list[float] = []
    for name in args.encoders:
        found = by_vectors(name, questions, answers, args.vectors)
        show(name, scores := hits(found, right), first)
        show(f"{name}, shuffled", hits(found, dealt), [])
        first = first or scores
    show("words (text store, BM25)", hits(by_words(questions, answers), right), first)


def show(name: str, scores: list[float], first: list[float]) -> None:
    low, mean, high = bootstrap(scores)
    line = f"{name:<28} R@{TOP} {mean:.3f} [{low:.3f}, {high:.3f}]"
    if first:
        low, mean, high = bootstrap([b - a for a, b in zip(first, scores, strict=True)])
        line += f"   less the first {mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    print(line, flush=True)


if __name__ == "__main__":
    main()
