"""External merge sort: sort more rows than memory holds, by sorted runs on disk that are merged as they
are read.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import io

PART = 200_000  # rows that are sorted at once
OPEN = 256  # files that are read at once

Row = list[Any]  # plain JSON; rows are compared as lists, so their first values must tell them apart


def in_order(rows: Iterable[Row], work: Path) -> Iterator[Row]:
    """Sort rows in bounded memory (external merge sort): runs of PART rows on disk, then merged.

    Args:
        rows: in any order.
        work: folder for the sorted runs; nothing is written where all rows fit one run.

    Returns:
        An iterator over the rows in ascending order.
    """
    remaining, parts = iter(rows), list[Path]()
    while run := list(islice(remaining, PART)):
        run.sort()
        # a single short run is all there is: no file is needed
        if not parts and len(run) < PART:
            return iter(run)
        parts.append(work / f"{len(parts):06d}.jsonl")
        write(parts[-1], run)
    return merged(parts, work)


def merged(parts: Sequence[Path], work: Path) -> Iterator[Row]:
    """Merge sorted files, at most OPEN of them at once.

    Args:
        parts: paths of sorted JSON lines files.
        work: folder for intermediate files, needed for more than OPEN parts.

    Returns:
        An iterator over the rows of all files in ascending order.
    """
    level = 0
    while len(parts) > OPEN:
        level += 1
        # one pass merges groups of OPEN files, so the number of files falls by that factor
        groups = [parts[at : at + OPEN] for at in range(0, len(parts), OPEN)]
        parts = [work / f"merged-{level}-{number:06d}.jsonl" for number in range(len(groups))]
        for group, path in zip(groups, parts, strict=True):
            write(path, heapq.merge(*map(read, group)))
    return heapq.merge(*map(read, parts))


def write(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as JSON lines.

    Returns:
        The number of rows.
    """
    return io.write_jsonl(path, rows)


def read(path: Path) -> Iterator[Row]:
    """Read the rows of a file that `write` wrote.

    Yields:
        The rows, in the order of the file.
    """
    with open(path, "rb") as file:
        for line in file:
            yield json.loads(line)
