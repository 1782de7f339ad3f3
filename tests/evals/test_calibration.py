"""Known confidences give the known error, sets hold what they promise, and nothing is fitted on what is
reported."""

import math
import random
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.evals.running.judging import interval
from medxiaohe.evals.statistics import calibration as c
from medxiaohe.evals.statistics.confidence import calibrated


def drawn(n: int, shift: float, seed: int = 0) -> tuple[list[float], list[bool]]:
    """Confidences from 0.5 to 0.95, right with a chance of `shift` less."""
    rng = random.Random(seed)
    confidences = [rng.uniform(0.5, 0.95) for _ in range(n)]
    return confidences, [rng.random() < p - shift for p in confidences]


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.2])
def test_ece_is_within_five_thousandths_of_the_truth(shift: float) -> None:
    assert c.ece(*drawn(200_000, shift)) == pytest.approx(shift, abs=0.005)


def test_few_items_never_look_calibrated_and_the_floor_says_so() -> None:
    confidences, right = drawn(400, 0.0)
    assert c.ece(confidences, right) > 0.02 and c.ece(confidences, right) == pytest.approx(
        c.floor(confidences), abs=0.02
    )


def test_the_interval_of_ece_holds_it() -> None:
    held = 0
    for seed in range(12):
        confidences, right = drawn(600, 0.15, seed)
        low, high = c.ece_interval(confidences, right, [""] * 600, seed)
        held += low <= 0.15 <= high
    assert held >= 10


def test_bins_hold_equal_numbers() -> None:
    found = c.bins(*drawn(3_000, 0.0))
    assert len(found) == 15 and {b["n"] for b in found} == {200} and found[0]["high"] <= found[1]["low"]
    assert len(c.bins(*drawn(45, 0.0))) == 2, "a bin of three items says nothing"


def test_brier_aurc_and_selective_risk_by_hand() -> None:
    items = [
        c.Answered((0.9, 0.1), 0),
        c.Answered((0.8, 0.2), 1),
        c.Answered((0.6, 0.4), 0),
        c.Answered((0.4, 0.6), 0),
    ]
    assert c.brier(items) == pytest.approx((0.02 + 1.28 + 0.32 + 0.72) / 4)
    curve = c.risk_curve([i.confidence for i in items], [i.right for i in items])
    assert curve == [(0.25, 0.0), (0.5, 0.5), (1.0, 0.5)], "items of equal confidence are let in together"
    assert c.aurc(curve) == pytest.approx(0.25 * 0 + 0.25 * 0.5 + 0.5 * 0.5)
    assert c.at_coverage(curve, 0.5) == (0.5, 0.5) and c.at_coverage(curve, 0.6) == (1.0, 0.5)


def test_answering_only_when_sure_helps_exactly_when_confidence_means_something() -> None:
    rng = random.Random(1)
    sure = [rng.random() for _ in range(4000)]
    knows = c.aurc(c.risk_curve(sure, [rng.random() < s for s in sure]))
    blind = c.aurc(c.risk_curve(sure, [rng.random() < 0.5 for _ in sure]))
    assert knows < 0.3 and blind == pytest.approx(0.5, abs=0.04)


def overconfident(n: int, seed: int, temperature: float = 3.0) -> tuple[list[list[float]], list[int]]:
    """Nats that are `temperature` times too sharp for the golds drawn from them."""
    rng = random.Random(seed)
    nats, golds = [], []
    for _ in range(n):
        row = [rng.gauss(0, 1.2) for _ in range(4)]
        golds.append(rng.choices(range(4), c.softmax(row))[0])
        nats.append([value * temperature for value in row])
    return nats, golds


def test_the_temperature_that_was_there_is_found() -> None:
    assert c.fit_temperature(*overconfident(4000, 0)) == pytest.approx(3.0, rel=0.08)


def test_conformal_sets_hold_the_gold_as_often_as_promised() -> None:
    """Over 60 splits: the mean coverage is within three standard errors of what the theory says, 1 - miss to
    1 - miss + 1/(n + 1)."""
    n, held = 200, []
    for seed in range(60):
        nats, golds = overconfident(n, seed)
        threshold = c.conformal_threshold(
            [c.softmax(row)[gold] for row, gold in zip(nats, golds, strict=True)], 0.1
        )
        other, truth = overconfident(500, 1000 + seed)
        items = [c.Answered(c.softmax(row), gold) for row, gold in zip(other, truth, strict=True)]
        held.append(c.conformal(items, threshold)["held"]["mean"])
    mean = math.fsum(held) / len(held)
    error = math.sqrt(0.1 * 0.9 * (1 / 500 + 1 / n) / 60)
    assert 0.9 - 3 * error <= mean <= 0.9 + 1 / (n + 1) + 3 * error
    assert c.conformal_threshold([0.9] * 5, 0.1) == 0.0, (
        "five items promise nothing: every answer is in the set"
    )


def write(path: Path, nats: list[list[float]], golds: list[int]) -> Path:
    rows = [
        {"id": str(i), "cluster": "", "nats": row, "values": [float(j == gold) for j in range(4)]}
        for i, (row, gold) in enumerate(zip(nats, golds, strict=True))
    ]
    io.write_jsonl(path, rows)
    return path


def test_fitting_reads_the_validation_items_only(tmp_path: Path) -> None:
    test, validation = (
        write(tmp_path / "t", *overconfident(600, 1)),
        write(tmp_path / "v", *overconfident(300, 2)),
    )
    first = calibrated(test, validation)
    nats, golds = overconfident(600, 1)
    spoiled = calibrated(write(tmp_path / "s", nats, golds[::-1]), validation)
    assert first and spoiled and first["fitted"]["temperature"] == spoiled["fitted"]["temperature"]
    assert first["fitted"]["conformal"]["threshold"] == spoiled["fitted"]["conformal"]["threshold"]
    assert first["fitted"]["ece"]["value"] < first["ece"]["value"] / 2 and first["fitted"]["n"] == 300
    assert 0.85 < first["fitted"]["conformal"]["held"]["mean"] < 0.95
    assert calibrated(write(tmp_path / "none", [], []), None) is None


@pytest.mark.slow
def test_intervals_of_simulated_evaluations_cover_95_percent() -> None:
    """4,000 evaluations as they are: some with clusters, some without, easy and hard tasks, 60 to 400
    items."""
    rng = random.Random(7)
    covered = {"independent": [0, 0], "clustered": [0, 0]}
    for i in range(4_000):
        truth, kind = rng.uniform(0.15, 0.85), "clustered" if i % 2 else "independent"
        if kind == "independent":
            n = rng.randint(60, 400)
            values, groups = [float(rng.random() < truth) for _ in range(n)], [""] * n
        else:
            patients, size = rng.randint(30, 80), rng.randint(2, 6)
            easy = [rng.betavariate(3 * truth, 3 * (1 - truth)) for _ in range(patients)]
            values, groups = (
                [float(rng.random() < p) for p in easy for _ in range(size)],
                [str(g) for g in range(patients) for _ in range(size)],
            )
        row = interval(values, groups)
        covered[kind][0] += row["low"] <= truth <= row["high"]
        covered[kind][1] += 1
    for kind, (held, n) in covered.items():
        assert 0.94 <= held / n <= 0.96, (kind, held / n)
