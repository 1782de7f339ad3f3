"""Account for every row of a run: read = written + dropped (by reason) + dead (rejected rows, by code)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def settle(
    stage: str, *, read: int, written: int, dropped: Mapping[str, int], dead: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Print the account of a stage on stderr and return it for the summary.

    Args:
        stage: name of the stage.
        read: number of rows read.
        written: number of rows written.
        dropped: reason -> number of rows dropped.
        dead: code -> number of rejected rows; None: none.

    Returns:
        {"read", "written", "dropped", "dead"}.

    Raises:
        AssertionError: read is not written + dropped + dead: a row is counted twice or not at all.
    """
    num_dropped, num_dead = sum(dropped.values()), sum((dead or {}).values())
    line = (
        f"{stage}: read {read:,} = written {written:,} + dropped {num_dropped:,}{_by(dropped)} + dead"
        f" {num_dead:,}{_by(dead or {})}"
    )
    assert read == written + num_dropped + num_dead, f"rows are missing or counted twice: {line}"
    print(f"  {line}", file=sys.stderr)
    return {"read": read, "written": written, "dropped": dict(dropped), "dead": dict(dead or {})}


def _by(counts: Mapping[str, int]) -> str:
    ordered = sorted(
        ((number, reason) for reason, number in counts.items() if number),
        key=lambda pair: (-pair[0], pair[1]),
    )
    return f" ({', '.join(f'{reason} {number:,}' for number, reason in ordered)})" if ordered else ""
