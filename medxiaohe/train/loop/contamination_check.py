"""Was the data checked for test items? Training asks before it starts (MedTrinity-25M, issue 26).

data.mixture writes `contamination` into mixture.json: which test splits the rows were compared with, and how
many rows went for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError

MIXTURE = "mixture.json"


def report(data: Path) -> dict[str, Any]:
    """What mixture.json says about contamination; empty when the data has no such file, or was compared with
    nothing."""
    found = io.read_json(data / MIXTURE) if (data / MIXTURE).is_file() else {}
    said = found.get("contamination") if isinstance(found, dict) else None
    return said if isinstance(said, dict) and said.get("checked") else {}


def refuse_unchecked(data: Path, allowed: bool, label: str) -> None:
    """ConfigError unless the rows were compared with the test split of a task, or `allow_contaminated` says
    that they need not be."""
    if not allowed and not report(data):
        raise ConfigError(
            f"{label}: {data} was compared with no test split, so it may hold the answers of an evaluation:"
            " name tasks in data.curate's `against` and mix what it leaves, or set allow_contaminated: true"
        )


def carry(data: Path, out: Path) -> None:
    """Rows made of a mixture's are as clean as the mixture."""
    if said := report(data):
        io.write_json(out / MIXTURE, {"contamination": said})
