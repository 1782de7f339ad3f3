"""How much of planted identifiers the text de-identifier removes, and how much else it removes.

    MEDXIAOHE_DATA=... PYTHONPATH=. python benchmarks/deid_text.py [--half
    tune|report|fresh|last|newest|final|latest|closing] [--show 40]

A span counts as removed only when every character of it is. Over-redaction is the share of the carriers' own
words that go. Carriers: notes of MTS-Dialog, ACI-Bench and MedCalc-Bench and consultations of Toyhom; those
of "tune" alone were in the word list. The intervals are of 2,000 resamples of whole notes.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks import deid_corpus
from medxiaohe.privacy import text

WORD = re.compile(r"[A-Za-z\d][\w'’]*|[\u4e00-\u9fff]")
SEEDS = {
    "tune": 3,
    "report": 11,
    "fresh": 29,
    "last": 41,
    "newest": 53,
    "final": 67,
    "latest": 83,
    "closing": 97,
}
Find = Callable[[str], list[tuple[int, int]]]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--half", default="last", choices=SEEDS)
    options.add_argument("--notes", type=int, default=300)
    options.add_argument(
        "--show", type=int, default=0, help="print so many of the misses and of the words wrongly removed"
    )
    args = options.parse_args()
    sets = {"generated": {}, "Faker": {"faker": True}, "Chinese": {"chinese": True}}
    for name, how in sets.items():
        if (args.half != "report" and name == "Faker") or (
            args.half in ("newest", "final", "latest", "closing") and name != "Chinese"
        ):
            continue
        carriers = chinese(args.half) if name == "Chinese" else english(args.half)
        random.Random(1).shuffle(carriers)
        made = list(deid_corpus.notes(carriers[: args.notes], args.half, seed=SEEDS[args.half], **how))
        report(name, made, args.show)


def english(half: str) -> list[str]:
    data = Path(os.environ["MEDXIAOHE_DATA"])
    mts, aci = ("TrainingSet", "train") if half == "tune" else ("ValidationSet", "valid")
    found = [r["section_text"] for r in rows(data / f"dialogue/mts_dialog/MTS-Dialog-{mts}.csv")][:200]
    found += [r["note"] for r in rows(data / f"dialogue/aci_bench/{aci}.csv")]
    found += [r["dialogue"][:1500] for r in rows(data / f"dialogue/aci_bench/{aci}.csv")]
    cases = list(dict.fromkeys(r["Patient Note"] for r in rows(data / "tools/medcalc_bench.csv")))
    return found + [case[:3000] for i, case in enumerate(cases) if i % 2 == (half != "tune")][:150]


def chinese(half: str) -> list[str]:
    data = Path(os.environ["MEDXIAOHE_DATA"])
    found = [" ".join(v for v in row.values() if v) for row in rows(data / "zh/toyhom_internal_medicine.csv")]
    return [t for i, t in enumerate(found) if i % 2 == (half != "tune")]


def rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(10**7)
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def report(name: str, made: list[deid_corpus.Note], show: int) -> None:
    start = time.perf_counter()
    found = [[(s.start, s.end) for s in text.find(note.text)] for note in made]
    seconds = time.perf_counter() - start
    counts, kinds, origins, missed, extra = [], defaultdict(Counter), defaultdict(Counter), [], Counter()
    for note, spans in zip(made, found, strict=True):
        covered = bytearray(len(note.text))
        for a, b in spans:
            covered[a:b] = b"\1" * (b - a)
        planted = bytearray(len(note.text))
        right = 0
        for p in note.planted:
            planted[p.start : p.end] = b"\1" * (p.end - p.start)
            letters = [i for i in range(p.start, p.end) if note.text[i].isalnum()]
            gone = all(covered[i] for i in letters)
            right += gone
            kinds[p.kind][gone] += 1
            origins[p.origin][gone] += 1
            if not gone:
                missed.append(
                    (
                        p.kind,
                        note.text[max(0, p.start - 30) : p.start]
                        + ">>"
                        + note.text[p.start : p.end]
                        + "<<"
                        + note.text[p.end : p.end + 20],
                    )
                )
        own = wrong = 0
        for word in WORD.finditer(note.text):
            if not any(planted[word.start() : word.end()]):
                own += 1
                if any(covered[word.start() : word.end()]):
                    wrong += 1
                    extra[note.text[max(0, word.start() - 18) : word.end() + 12].replace("\n", " ")] += 1
        counts.append((right, len(note.planted), wrong, own))
    print(f"\n{name}: {len(made)} notes, {sum(c[1] for c in counts)} planted spans, {sum(c[3] for c in counts):,} other words,"  # noqa: E501
          f" {1000 * seconds / len(made):.1f} ms a note")  # fmt: skip
    for label, a, b in (("span recall", 0, 1), ("over-redaction", 2, 3)):
        low, high = interval(counts, a, b)
        print(
            f"  {label:<16} {100 * sum(c[a] for c in counts) / sum(c[b] for c in counts):6.2f} % "
            f" [{100 * low:.2f}, {100 * high:.2f}]"
        )
    print(f"  {'clean notes':<16} {100 * sum(c[0] == c[1] for c in counts) / len(counts):6.2f} %")
    for label, table in (("kind", kinds), ("origin", {k: v for k, v in origins.items() if k})):
        print(
            f"  by {label}: "
            + ", ".join(f"{k} {v[True]}/{v[True] + v[False]}" for k, v in sorted(table.items()))
        )
    rng = random.Random(0)
    for kind, where in rng.sample(missed, min(show, len(missed))):
        print(f"    missed {kind}: {where!r}", file=sys.stderr)
    for where in rng.sample(list(extra), min(show, len(extra))):
        print(f"    removed: {where!r}", file=sys.stderr)


def interval(counts: list[tuple[int, int, int, int]], a: int, b: int) -> tuple[float, float]:
    """95 % of the resampled ratios."""
    rng = random.Random(0)
    ratios = []
    for _ in range(2000):
        drawn = rng.choices(counts, k=len(counts))
        ratios.append(sum(c[a] for c in drawn) / max(1, sum(c[b] for c in drawn)))
    ratios.sort()
    return ratios[50], ratios[1949]


if __name__ == "__main__":
    main()
