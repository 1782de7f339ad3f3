"""Read and write contamination.json of data.curate, which later stages carry to the mixture: training
requires it (train/loop/contamination_check.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.recipe import carried

FILE = carried.CONTAMINATION


def of(folder: Path) -> dict[str, Any] | None:
    """Summarise the contamination check of a folder, for mixture.json.

    Args:
        folder: folder of a data stage.

    Returns:
        {"checked", "removed", "report"}: test items by task, number of rows removed, sha256 of the
        record; None if the rows were not compared with anything.
    """
    if not (path := folder / FILE).is_file():
        return None
    record = io.read_json(path)
    return {"checked": record["checked"], "removed": len(record["matches"]), "report": io.sha256(path)}


def carry(folder: Path, out: Path) -> None:
    """Copy the record to a stage whose rows are among those of `folder`; rows that a stage makes must be
    compared anew.

    Args:
        folder: folder of the stage that was read.
        out: folder of the stage that is written.
    """
    if (path := folder / FILE).is_file():
        io.write_json(out / FILE, io.read_json(path))


def add(folder: Path, out: Path, checked: Mapping[str, int], matches: Sequence[Any]) -> None:
    """Write the record of a comparison, joined with the one that `folder` has.

    Args:
        folder: folder of the stage that was read.
        out: folder of the stage that is written.
        checked: task -> number of its test items.
        matches: rows that were removed, each with the test item it matches.
    """
    before = io.read_json(folder / FILE) if (folder / FILE).is_file() else {"checked": {}, "matches": []}
    result = {"checked": {**before["checked"], **checked}, "matches": [*before["matches"], *matches]}
    io.write_json(out / FILE, result)
