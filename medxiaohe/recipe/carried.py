"""Carry records about rows from stage to stage: those that hold for every subset of the rows.

contamination.json (data.curate) says with which test items rows were compared, mixture.json (data.mixture)
repeats it for training, coverage.json counts the rows that mention each entity. A stage that writes rows and
no such records gets them here, once it has returned: training would otherwise refuse the rows. Rows are
identified by their ids, so a stage that adds rows of its own gets no record of contamination: new rows must
be compared anew.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from medxiaohe import io

CONTAMINATION, COVERAGE, MIXTURE = "contamination.json", "coverage.json", "mixture.json"
ROWS = "samples.jsonl"
MIXED = ("documents.jsonl", "instructions.jsonl", "prompts.jsonl")


def carry(inputs: Mapping[str, Path], out: Path) -> None:
    """Write the records that the rows of `out` have of the folders they came from.

    Args:
        inputs: role -> folder of a finished stage.
        out: what a stage has written; a record that is there is left as it is.
    """
    folders = list(inputs.values())
    if (out / ROWS).is_file():
        before = [folder for folder in folders if (folder / ROWS).is_file()]
        if before and not (out / COVERAGE).is_file() and any((f / COVERAGE).is_file() for f in before):
            io.write_json(out / COVERAGE, coverage(out))
        compared = [folder for folder in before if (folder / CONTAMINATION).is_file()]
        if compared and not (out / CONTAMINATION).is_file() and _only_rows_of(out, compared, (ROWS,)):
            io.write_json(out / CONTAMINATION, both([io.read_json(f / CONTAMINATION) for f in compared]))
    if any((out / name).is_file() for name in MIXED) and not (out / MIXTURE).is_file():
        compared = [folder for folder in folders if (folder / MIXTURE).is_file()]
        results = [io.read_json(folder / MIXTURE).get("contamination") for folder in compared]
        if results and all(results) and _only_rows_of(out, compared, MIXED):
            io.write_json(out / MIXTURE, {"contamination": _summed(results)})


def coverage(folder: Path) -> dict[str, int]:
    """Count the rows of samples.jsonl that mention each entity.

    Args:
        folder: of a stage.

    Returns:
        Entity id -> number of rows, by id.
    """
    counts = Counter[str]()
    for row in io.read_jsonl(folder / ROWS):
        counts.update(row.get("entities", ()))
    return dict(sorted(counts.items()))


def both(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Combine contamination records so that the result holds for the rows of all of them.

    Args:
        records: contents of contamination.json, at least one.

    Returns:
        `checked`: task -> number of items, of the tasks that every record has; `matches`: those of all
        records.
    """
    results = list(records)
    checked = {
        task: number
        for task, number in results[0]["checked"].items()
        if all(task in record["checked"] for record in results)
    }
    return {"checked": checked, "matches": [match for record in results for match in record["matches"]]}


def _summed(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Combine the contamination records of mixture.json."""
    if len(records) == 1:
        return records[0]
    checked = both([{"checked": item["checked"], "matches": []} for item in records])["checked"]
    return {"checked": checked, "removed": sum(item["removed"] for item in records)}


def _only_rows_of(out: Path, folders: Iterable[Path], names: Iterable[str]) -> bool:
    """Check whether every row of `out` has the id of a row of one of the folders."""
    marks = array("Q", sorted(mark for folder in folders for mark in _marks(folder, names)))

    def is_known(mark: int) -> bool:
        at = bisect_left(marks, mark)
        return at < len(marks) and marks[at] == mark

    return all(map(is_known, _marks(out, names)))


def _marks(folder: Path, names: Iterable[str]) -> Iterator[int]:
    """Hash the id of each row to 8 bytes, as a number: ids may be long, and there may be millions."""
    for name in names:
        for row in io.read_jsonl(folder / name) if (folder / name).is_file() else ():
            id = str(row.get("id", "")).encode("utf-8", "replace")
            yield int.from_bytes(hashlib.blake2b(id, digest_size=8).digest(), "big")
