"""Refuse to train on rows that were not compared with test splits (MedTrinity-25M, issue 26).

data.mixture writes `contamination` into mixture.json: which test splits the rows were compared with, and how
many rows were dropped for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError

MIXTURE = "mixture.json"


def report(data: Path) -> dict[str, Any]:
    """Read what mixture.json says about contamination.

    Args:
        data: folder of a stage.

    Returns:
        The value of the key `contamination`; {} without that file or key, or where no test split was
        compared.
    """
    mixture = io.read_json(data / MIXTURE) if (data / MIXTURE).is_file() else {}
    result = mixture.get("contamination") if isinstance(mixture, dict) else None
    return result if isinstance(result, dict) and result.get("checked") else {}


def refuse_unchecked(data: Path, allowed: bool, label: str) -> None:
    """Refuse rows that were not compared with the test split of a task.

    Args:
        data: folder of the stage that the rows come from.
        allowed: the setting `allow_contaminated`; true skips the check.
        label: name of the stage in the message.

    Raises:
        ConfigError: mixture.json names no test split that was checked.
    """
    if not allowed and not report(data):
        raise ConfigError(
            f"{label}: {data} was compared with no test split, so it may hold the answers of an evaluation:"
            " name tasks in data.curate's `against` and mix what it leaves, or set allow_contaminated: true"
        )


def carry(data: Path, out: Path) -> None:
    """Copy the contamination report to a stage that is derived from the mixture's rows.

    Args:
        data: folder of the stage that the rows come from; without a report nothing is written.
        out: folder of the derived stage, whose mixture.json is written.
    """
    if contamination := report(data):
        io.write_json(out / MIXTURE, {"contamination": contamination})
