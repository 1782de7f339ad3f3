"""contamination.json of data.curate, which stages between it and the mixture hand on: training asks for it
(train/loop/contamination_check.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.recipe import carried

FILE = carried.CONTAMINATION


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


def add(folder: Path, out: Path, checked: Mapping[str, int], matches: Sequence[Any]) -> None:
    """Write what the rows of `out` were compared with now, and before where `folder` has a record of it."""
    before = io.read_json(folder / FILE) if (folder / FILE).is_file() else {"checked": {}, "matches": []}
    result = {"checked": {**before["checked"], **checked}, "matches": [*before["matches"], *matches]}
    io.write_json(out / FILE, result)
