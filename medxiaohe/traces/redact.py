"""Redact a folder of traces: a copy with fewer open records and the same log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medxiaohe.errors import DataError
from medxiaohe.traces.canonical import loads
from medxiaohe.traces.records import Opening
from medxiaohe.traces.store import Stored, parse_openings, write_copy


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
    blobs: dict[str, None] = {}
    sealed = shown = 0

    def kept(trace: Stored) -> dict[str, Opening]:
        nonlocal sealed, shown
        records = [loads(line) for line in trace.lines[:-1]]
        ids = {record["id"] for record in records if record["kind"] in keep}
        blobs.update({r["sha256"]: None for r in records if "sha256" in r and r["id"] in ids})
        result = {id: opening for id, opening in parse_openings(trace.openings)[1].items() if id in ids}
        sealed, shown = sealed + len(records), shown + len(result)
        return result

    write_copy(folder, out, kept, blobs)
    return shown, sealed - shown
