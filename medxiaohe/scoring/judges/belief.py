"""Whether a judge is believed: it passed its self-test, and it agrees with physicians beyond chance.

`medxiaohe eval judge NAME` measures the agreement on the labels of three physicians (K-QA) and keeps it
beside the judge's replies, under the name of the judge, which changes with its model, options and weights. A
run looks it up. Scores of a judge that is not believed are marked, and stay out of what is made to be
published.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medxiaohe import assets, io
from medxiaohe.scoring.judges.agreement import Agreement
from medxiaohe.scoring.judges.questions import digest

LABELS = "K-QA, labels of three physicians, the half that no threshold was chosen on"


def file(judge: str) -> Path:
    """Locate the stored agreement of a judge.

    Args:
        judge: its name.

    Returns:
        Path below the cache folder; the file may not exist.
    """
    return assets.cache_root() / "judges" / f"{digest(judge)[:24]}.agreement.json"


def keep(judge: str, measured: Agreement) -> None:
    """Store how far a judge agrees with physicians; earlier figures of the same judge are replaced.

    Args:
        judge: its name.
        measured: agreement with the labels of physicians.
    """
    path = file(judge)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    io.write_json(path, {"judge": judge, "labels": LABELS, **_numbers(measured)})


def of(judge: str) -> dict[str, Any]:
    """Look up how far a judge agrees with physicians.

    Args:
        judge: its name.

    Returns:
        `believed`, whether the lower bound of Cohen's kappa is above 0; `why`, a sentence, where it is not;
        and the figures where they were measured.
    """
    path = file(judge)
    stored = dict(io.read_json(path)) if path.is_file() else {}
    why = doubt(stored)
    return {"believed": not why, "why": why, **{key: stored[key] for key in sorted(stored) if key != "judge"}}


def doubt(stored: dict[str, Any]) -> str:
    """Explain why a judge is not believed.

    Args:
        stored: figures that `keep` wrote, {} for none; `kappa` is [value, low, high].

    Returns:
        A sentence, or "" where the lower bound of kappa is above 0.
    """
    if not stored:
        return (
            "the judge's agreement with physicians is not measured: medxiaohe eval judge does it, with labels"
            " of the data pack"
        )
    kappa = stored["kappa"]
    if None in kappa:
        return f"the judge decided {stored['decided']} of {stored['n']} claims that physicians labelled"
    if kappa[1] <= 0:
        return (
            f"the judge agrees with physicians no better than chance: kappa {kappa[0]:.2f}"
            f" [{kappa[1]:.2f}, {kappa[2]:.2f}] on {stored['n']} claims"
        )
    return ""


def _numbers(measured: Agreement) -> dict[str, Any]:
    """The figures as JSON, which has no NaN."""
    plain = asdict(measured)
    return {
        key: [None if math.isnan(number) else round(number, 4) for number in value]
        if isinstance(value, tuple)
        else value
        for key, value in plain.items()
    }
