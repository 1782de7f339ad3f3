"""Coverage of the intervals of scores, and how often the minimum detectable difference is found, by
simulation.

    python benchmarks/intervals.py --runs 2000
    python benchmarks/intervals.py --runs 2000 --only 0/1      rows whose name has these words

Every row names the distribution of scores, the number of items, the share of 95 % intervals that hold the
true mean (goal 0.94 to 0.96, or at least 0.94 where conservative) and their mean width.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable

from medxiaohe.evals.statistics import stats

Draw = Callable[[random.Random], float]
SCORES: dict[str, tuple[Draw, float]] = {
    "0/1, mean 0.7": (lambda r: float(r.random() < 0.7), 0.7),
    "0/1, mean 0.95": (lambda r: float(r.random() < 0.95), 0.95),
    "1 in 90 %, else uniform": (lambda r: 1.0 if r.random() < 0.9 else r.random(), 0.95),
    "1 in 97 %, else to 0.9": (lambda r: 1.0 if r.random() < 0.97 else 0.9 * r.random(), 0.97 + 0.03 * 0.45),
    "0, 0.5, 1 (2, 8, 90 %)": (lambda r: r.choices((0.0, 0.5, 1.0), (0.02, 0.08, 0.9))[0], 0.94),
    "1 in 95 %, else 0.8": (lambda r: 1.0 if r.random() < 0.95 else 0.8, 0.99),
    "beta(8, 0.5)": (lambda r: r.betavariate(8, 0.5), 8 / 8.5),
    "beta(2, 2)": (lambda r: r.betavariate(2, 2), 0.5),
}
SIZES = {
    "20 clusters of 5": [5] * 20,
    "6 clusters of 20": [20] * 6,
    "two large, 30 of 2": [60, 30] + [2] * 30,
    "one of 40 %": [40] + [1] * 60,
    "Zipf": [max(1, 60 // i) for i in range(1, 41)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--only", default="", help="words in the name of the row; power is left out then")
    chosen = parser.parse_args()
    runs, words = chosen.runs, chosen.only
    print(f"{'scores':<26} {'n':>5} {'coverage':>9} {'width':>7}")
    for name, (draw, mean) in SCORES.items():
        if words not in name:
            continue
        for n in (30, 60, 120, 400):
            rng = random.Random(n)
            row([stats.estimate([draw(rng) for _ in range(n)]) for _ in range(runs)], name, n, mean)
    for name, sizes in SIZES.items():
        if words not in name:
            continue
        for shared in (0.0, 0.5, 0.9):
            rng = random.Random(1)
            row([clustered(rng, sizes, shared) for _ in range(runs)], f"{name}, {shared}", sum(sizes), 0.7)
    if words:
        return
    print(f"\n{'pairs':>6} {'discordant':>11} {'detectable':>11} {'found':>6}")
    for n, share in ((60, 0.3), (120, 0.2), (400, 0.05), (2000, 0.2)):
        power(n, share, runs)


def row(estimates: list[stats.Estimate], name: str, n: int, mean: float) -> None:
    hits = sum(e.low <= mean <= e.high for e in estimates) / len(estimates)
    width = sum(e.high - e.low for e in estimates) / len(estimates)
    print(f"{name:<26} {n:>5} {hits:>9.3f} {width:>7.3f}", flush=True)


def clustered(rng: random.Random, sizes: list[int], shared: float) -> stats.Estimate:
    """0/1 scores of mean 0.7; an item takes the value of its cluster with probability `shared`."""
    values, names = list[float](), list[str]()
    for name, size in enumerate(sizes):
        own = rng.random()
        values += [float((own if rng.random() < shared else rng.random()) < 0.7) for _ in range(size)]
        names += [str(name)] * size
    return stats.estimate(values, names)


def power(n: int, share: float, runs: int) -> None:
    """How often the exact McNemar test finds the difference that it is said to find in 80 of 100 samples."""
    changed = round(n * share)
    worse, better = changed - changed // 2, changed // 2
    a = [0.0] * better + [1.0] * worse + [0.0] * (n - changed)
    b = [1.0] * better + [0.0] * (n - better)
    detectable = stats.paired(a, b).minimum_detectable or 1.0
    rng, share, found = random.Random(n), max(share, detectable), 0
    for _ in range(runs):
        draws = [rng.random() for _ in range(n)]
        for_b = sum(u < (share + detectable) / 2 for u in draws)
        found += stats.mcnemar(sum(u < share for u in draws) - for_b, for_b) <= 0.05
    print(f"{n:>6} {share:>11.2f} {detectable:>11.4f} {found / runs:>6.3f}", flush=True)


if __name__ == "__main__":
    main()
