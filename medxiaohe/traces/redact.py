"""Redaction: a copy of a folder of traces in which fewer records are open, and the log is the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medxiaohe.errors import DataError
from medxiaohe.traces.canonical import loads
from medxiaohe.traces.records import Opening
from medxiaohe.traces.store import parse_openings, stored, write_copy


def redacted(folder: Path, out: Path, keep: Sequence[str]) -> tuple[int, int]:
    """Copy a folder of traces, with openings of the kinds named only.

    Args:
        keep: kinds of records that stay open. Images and documents are copied with `source` alone.

    Returns:
        The numbers of open and of closed records.

    Raises:
        DataError: `out` has files in it, or the traces cannot be read.
    """
    if out.resolve() == folder.resolve():
        raise DataError(f"{out} is the folder itself: a copy goes into a new folder")
    rows: list[dict[str, Opening]] = []
    blobs: dict[str, None] = {}
    sealed = 0
    for trace in stored(folder):
        records = [loads(line) for line in trace.lines[:-1]]
        sealed += len(records)
        kept = {record["id"] for record in records if record["kind"] in keep}
        rows.append({id: one for id, one in parse_openings(trace.openings)[1].items() if id in kept})
        blobs.update({r["sha256"]: None for r in records if "sha256" in r and r["id"] in kept})
    write_copy(folder, out, rows, list(blobs))
    shown = sum(map(len, rows))
    return shown, sealed - shown
