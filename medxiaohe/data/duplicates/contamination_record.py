"""contamination.json of data.curate, which stages between it and the mixture hand on: training asks for it
(train/loop/contamination_check.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io

FILE = "contamination.json"


def of(folder: Path) -> dict[str, Any] | None:
    """What the rows of a folder were compared with, for mixture.json; None when nobody compared them."""
    if not (path := folder / FILE).is_file():
        return None
    found = io.read_json(path)
    return {"checked": found["checked"], "removed": len(found["matches"]), "report": io.sha256(path)}


def carry(folder: Path, out: Path) -> None:
    """The rows a stage leaves are those it got, so what is known of these is known of them; rows it makes
    must be compared anew."""
    if (path := folder / FILE).is_file():
        io.write_json(out / FILE, io.read_json(path))
