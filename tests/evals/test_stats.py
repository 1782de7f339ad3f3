"""Intervals cover what they promise, tests hold their level, and the formulas give the published numbers."""

import math
import random

import pytest

from medxiaohe.evals.statistics import stats

RUNS = 2000  # a true coverage of 95 % is measured as 94 to 96 in 19 of 20 simulations of this size


def covered(draw, truth: float, seed: int = 0) -> float:
    rng = random.Random(seed)
    found = [stats.estimate(*draw(rng)) for _ in range(RUNS)]
    return sum(e.low <= truth <= e.high for e in found) / RUNS


def chances(n: int, p: float) -> list[float]:
    """Of 0 to n successes."""
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


@pytest.mark.parametrize("n", [1, 2, 5, 12, 30, 60, 120])
def test_proportions_are_covered_for_every_truth_and_no_wider_than_clopper_and_pearson(n: int) -> None:
    """Not a simulation: the probabilities of all outcomes, for truths a five-hundredth apart."""
    found = [stats.proportion(k, n) for k in range(n + 1)]
    shares = list[float]()
    for i in range(1, 500):
        truth = i / 500
        inside = (c for c, (low, high) in zip(chances(n, truth), found, strict=True) if low <= truth <= high)
        shares.append(math.fsum(inside))
    assert min(shares) >= 0.95 - 1e-9
    assert n < 30 or math.fsum(shares) / len(shares) <= 0.97
    for k, (low, high) in enumerate(found):
        if low > 0:  # Clopper and Pearson's is where the outcomes from k on have 2.5 %
            assert math.fsum(chances(n, low - 1e-9)[k:]) >= 0.025 - 1e-6
            assert math.fsum(chances(n, low)[k:]) <= 0.05 + 1e-9
        assert low <= k / n <= high


@pytest.mark.parametrize("n", [7, 20, 41])
def test_an_interval_of_a_proportion_begins_where_its_outcome_is_likely(n: int) -> None:
    """Blaker's definition itself, on a fine grid: an outcome is likely where it and all whose tail is no
    heavier than its own have more than 5 %."""

    def likely(truth: float) -> set[int]:
        chance = chances(n, truth)
        tails = [min(math.fsum(chance[: k + 1]), math.fsum(chance[k:])) for k in range(n + 1)]
        pairs = list(zip(chance, tails, strict=True))
        return {k for k in range(n + 1) if math.fsum(c for c, t in pairs if t <= tails[k] + 1e-12) > 0.05}

    grid = {i: likely(i / 1000) for i in range(1, 1000)}
    for k in range(n + 1):
        inside = [i / 1000 for i, found in grid.items() if k in found]
        low, high = stats.proportion(k, n)
        assert inside[0] - 0.001 <= low <= inside[0] and inside[-1] <= high <= inside[-1] + 0.001


@pytest.mark.parametrize(("groups", "size"), [(30, 10), (50, 8), (200, 3)])
def test_clustered_intervals_cover_95_percent_where_naive_ones_fail(groups: int, size: int) -> None:
    def draw(rng: random.Random) -> tuple[list[float], list[str]]:
        chances = [rng.betavariate(1.4, 0.6) for _ in range(groups)]  # patients are easy or hard: mean 0.7
        return [float(rng.random() < p) for p in chances for _ in range(size)], [
            str(g) for g in range(groups) for _ in range(size)
        ]

    assert 0.94 <= covered(draw, 0.7) <= 0.965
    assert covered(lambda rng: (draw(rng)[0],), 0.7) < 0.92


def test_clustered_means_of_any_value_cover_95_percent() -> None:
    def draw(rng: random.Random) -> tuple[list[float], list[str]]:
        centres = [rng.gauss(0.5, 0.2) for _ in range(40)]
        return [rng.gauss(c, 0.1) for c in centres for _ in range(5)], [
            str(i) for i in range(40) for _ in range(5)
        ]

    assert 0.94 <= covered(draw, 0.5) <= 0.96


def test_the_published_numbers() -> None:
    assert stats.wilson(10, 10, 1.959964) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert stats.t_quantile(0.975, 1) == pytest.approx(12.7062, abs=1e-4)
    assert stats.t_quantile(0.975, 10) == pytest.approx(2.22814, abs=1e-5)
    assert stats.t_quantile(0.975, 1e6) == pytest.approx(1.95997, abs=1e-4)
    assert stats.mcnemar(2, 10) == pytest.approx(0.03857, abs=1e-5)
    assert stats.mcnemar(0, 0) == 1.0 and stats.mcnemar(5, 5) == 1.0
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_sign_flips_agree_with_the_exact_test() -> None:
    differences = [1.0] * 30 + [-1.0] * 14
    assert stats.sign_flip(differences) == pytest.approx(stats.mcnemar(14, 30), abs=0.01)
    assert stats.sign_flip([1.0] * 5) == 2 / 32


def test_a_paired_test_keeps_its_level() -> None:
    rng = random.Random(1)
    false_alarms = 0
    for _ in range(400):
        a, b = [[float(rng.random() < 0.6) for _ in range(60)] for _ in range(2)]
        false_alarms += stats.paired(a, b).p < 0.05
    assert false_alarms / 400 <= 0.07


def test_perfect_scores_still_have_an_interval() -> None:
    one = stats.estimate([1.0] * 20, [str(i // 2) for i in range(20)])
    assert one.clusters == 10 and one.low < 0.75 and one.high == 1.0
    assert stats.estimate([1.0, 1.0], ["a", "a"]).low == 0.0


def test_the_detectable_difference_is_found_in_80_of_100_runs() -> None:
    a = [float(i % 2) for i in range(400)]
    found = stats.paired(a, [float(i % 2 or i % 20 == 0) for i in range(400)])
    assert found.difference == 0.05 and found.test == "exact McNemar" and found.p < 0.001
    assert found.minimum_detectable == pytest.approx(0.0321, abs=0.001)


@pytest.mark.parametrize(("n", "share"), [(60, 0.3), (120, 0.2), (400, 0.05), (2000, 0.2)])
def test_mcnemar_finds_its_minimum_detectable_difference_in_80_of_100_runs(n: int, share: float) -> None:
    rng = random.Random(n)
    changed = round(n * share)
    a, b = [0.0] * n, [1.0] * (changed // 2) + [0.0] * (n - changed // 2)
    a[changed // 2 : changed] = [1.0] * (changed - changed // 2)
    detectable = stats.paired(a, b).minimum_detectable
    assert detectable is not None
    found, runs, share = 0, 1500, max(share, detectable)
    for _ in range(runs):
        draws = [rng.random() for _ in range(n)]
        better = sum(u < (share + detectable) / 2 for u in draws)
        found += stats.mcnemar(sum(u < share for u in draws) - better, better) <= 0.05
    assert 0.77 <= found / runs <= 0.83


NEAR_THE_CEILING = {
    "90 % at 1": (lambda r: 1.0 if r.random() < 0.9 else r.random(), 0.95),
    "97 % at 1": (lambda r: 1.0 if r.random() < 0.97 else 0.9 * r.random(), 0.97 + 0.03 * 0.45),
    "thirds": (lambda r: r.choices((0.0, 0.5, 1.0), (0.02, 0.08, 0.9))[0], 0.94),
    "0.8 or 1": (lambda r: 1.0 if r.random() < 0.95 else 0.8, 0.99),
}


@pytest.mark.parametrize("kind", NEAR_THE_CEILING)
@pytest.mark.parametrize("n", [30, 120])
def test_partial_credit_near_the_ceiling_is_covered(kind: str, n: int) -> None:
    draw, mean = NEAR_THE_CEILING[kind]
    rng, runs = random.Random(n), 600
    estimates = [stats.estimate([draw(rng) for _ in range(n)]) for _ in range(runs)]
    # 600 runs of a coverage of 0.95 have at least 0.925 in 99 of 100 cases
    assert sum(e.low <= mean <= e.high for e in estimates) / runs >= 0.925


UNEVEN = {
    "two large": [60, 30] + [2] * 30,
    "one of 40 %": [40] + [1] * 60,
    "zipf": [60 // i or 1 for i in range(1, 40)],
}


@pytest.mark.parametrize("kind", UNEVEN)
def test_clusters_of_very_uneven_size_are_covered(kind: str) -> None:
    rng, runs, hits = random.Random(5), 300, 0
    for _ in range(runs):
        values, names = [], []
        for name, size in enumerate(UNEVEN[kind]):
            shared = rng.random()
            values += [float((shared if rng.random() < 0.5 else rng.random()) < 0.7) for _ in range(size)]
            names += [str(name)] * size
        found = stats.estimate(values, names)
        hits += found.low <= 0.7 <= found.high
    assert hits / runs >= 0.92


def test_no_interval_has_width_zero_short_of_certainty() -> None:
    same = stats.estimate([0.7] * 30)
    assert same.low < 0.65 < 0.75 < same.high
    nearly, perfect = stats.estimate([1.0, 1.0, 0.999]), stats.estimate([1.0, 1.0, 1.0])
    assert (nearly.high - nearly.low) > 0.5 * (perfect.high - perfect.low)


def test_no_change_in_a_few_items_is_no_proof_of_none() -> None:
    still = stats.paired([1.0, 0.0, 1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    assert (still.difference, still.p) == (0.0, 1.0) and -still.low == still.high == pytest.approx(
        0.406, abs=1e-3
    )
    alike = stats.paired([0.0] * 4, [0.0, 1.0, 0.0, 1.0], ["a", "a", "b", "b"])
    assert alike.difference == 0.5 and alike.low < -0.4 and alike.high > 0.8, (
        "two clusters that moved alike say little of a third"
    )
    every = stats.paired([0.0] * 30, [1.0] * 30)
    assert (every.difference, every.high) == (1.0, 1.0) and every.low == pytest.approx(
        1 - 2 * 0.1062, abs=1e-3
    )
    assert stats.paired([5.0, 6.0, 7.0], [7.0, 8.0, 9.0]).high == math.inf
    assert stats.paired([0.1, 0.9, 0.2], [0.9, 0.2, 0.9]).high == 1.0, "shares differ by no more than one"
    assert stats.paired([1.0, 9.0, 2.0], [9.0, 2.0, 9.0]).high > 1.0


def test_items_without_a_cluster_are_independent() -> None:
    assert stats.estimate([0.0, 1.0, 1.0], ["", "", "p1"]).clusters == 3


def test_a_relative_change_is_that_of_the_means_and_its_interval_holds_the_true_one() -> None:
    before = [1.0, 0.5, 0.0, 0.75]
    assert stats.relative(before, [0.3 * value for value in before]) == pytest.approx((-0.7, -0.7, -0.7))
    draw, inside = random.Random(0), 0
    for seed in range(60):
        a = [float(draw.random() < 0.5) for _ in range(60)]
        b = [one * (draw.random() < 0.4) for one in a]  # of what was there, four in ten stay
        change, low, high = stats.relative(a, b, seed)
        assert low <= change <= high and change == pytest.approx(sum(b) / sum(a) - 1)
        inside += low <= -0.6 <= high
    assert inside >= 52, "95 % of 60, less three standard errors"
