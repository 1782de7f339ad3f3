"""Calibration of one task from the likelihoods of its answer options (formulas are in calibration.py)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.evals.statistics import calibration, clusters
from medxiaohe.evals.statistics.calibration import Answered
from medxiaohe.evals.statistics.measures import RIGHT

MISS = 0.1  # promised rate alpha of conformal sets without the gold


def read(rows: Path) -> list[tuple[list[float], int, str]]:
    """Read likelihoods of items with exactly one right option.

    Args:
        rows: a file of rows {nats, values, cluster}.

    Returns:
        (nats of each option, index of the gold one, cluster) of each such item
    """
    usable = []
    for row in io.read_jsonl(rows):
        golds = [i for i, value in enumerate(row["values"]) if value is not None and value >= RIGHT]
        if len(golds) == 1:
            usable.append((row["nats"], golds[0], row["cluster"]))
    groups = clusters.joined([units if isinstance(units, str) else tuple(units) for *_, units in usable])
    return [(nats, gold, group) for (nats, gold, _), group in zip(usable, groups, strict=True)]


def calibrated(rows: Path, validation: Path | None, seed: int = 0) -> dict[str, Any] | None:
    """Calibration report of a task, with temperature and conformal sets fitted on validation items.

    Args:
        rows: likelihoods of the test items.
        validation: likelihoods of validation items, to fit a temperature and conformal sets on; None: fit
            nothing.
        seed: of the bootstrap.

    Returns:
        the report of `calibration.report`, with `fitted` if there are validation items; None without usable
        items
    """
    test = read(rows)
    if not test:
        return None
    report = calibration.report(_answered(test), seed)
    fitted = read(validation) if validation is not None else []
    if fitted:
        # temperature on validation; the conformal threshold on the same items at that temperature
        temperature = calibration.fit_temperature(
            [nats for nats, _, _ in fitted], [gold for _, gold, _ in fitted]
        )
        scaled = calibration.report(_answered(test, temperature), seed)
        own = [item.probabilities[item.gold] for item in _answered(fitted, temperature)]
        threshold = calibration.conformal_threshold(own, MISS)
        report["fitted"] = {
            "on": "validation",
            "n": len(fitted),
            "temperature": temperature,
            "ece": scaled["ece"],
            "brier": scaled["brier"],
            "reliability": scaled["reliability"],
            "conformal": calibration.conformal(_answered(test, temperature), threshold, MISS),
        }
    return report


def _answered(rows: Iterable[tuple[list[float], int, str]], temperature: float = 1.0) -> list[Answered]:
    return [Answered(calibration.softmax(nats, temperature), gold, cluster) for nats, gold, cluster in rows]
