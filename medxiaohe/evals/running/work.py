"""Resumable work of an evaluation: one row for each item, in order, in windows that are stored whole.

    items.jsonl    the items, written whole before the model is called
    rows.jsonl     their results, appended window by window; a kill leaves whole windows
    replies.sqlite replies of the model within the current window (models/reply_store.py)

Windows always start at the same items, so a run that resumes forms the same batches as one that was never
stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.progress import Meter
from medxiaohe.types import Sample

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """A sample as it is examined, and the tree nodes it is about."""

    sample: Sample
    nodes: tuple[str, ...] = ()


def items(path: Path, start: int = 0) -> Iterator[Item]:
    """Read the items of a file.

    Args:
        path: of JSON lines {sample, nodes}.
        start: number of items to skip.

    Yields:
        items in order
    """
    for row in islice(io.read_jsonl(path), start, None):
        yield Item(io.sample_from_json(row["sample"]), tuple(row.get("nodes", ())))


def count(path: Path) -> int:
    """Number of rows of a file.

    Args:
        path: of JSON lines, each ended by a newline.

    Returns:
        number of newlines
    """
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))


class Steps:
    """Progress bar of a pass, counted in items; at the end of a window all its items count."""

    def __init__(self, label: str, total: int) -> None:
        self.meter, self.ahead, self.size = Meter(label, total), 0, 0

    def begin(self, size: int) -> None:
        """Start a window.

        Args:
            size: number of its items.
        """
        self.ahead, self.size = 0, size

    def tick(self, answered: int) -> None:
        """Count replies; in conversations of several turns there are more replies than items.

        Args:
            answered: number of new replies.
        """
        items = min(answered, self.size - self.ahead)
        self.ahead += items
        self.meter.advance(items)

    def end(self) -> None:
        """Complete the current window."""
        self.tick(self.size)


def fill(
    rows: Path,
    items_file: Path,
    window: int,
    label: str,
    do: Callable[[Sequence[Item]], Sequence[Row]],
    begin: Callable[[int, Steps], Any] = lambda at, steps: None,
) -> int:
    """Process items window by window until there is one row for each of them.

    Args:
        rows: file of the rows; whole windows of an earlier run are kept.
        items_file: path of the items.
        window: items in a window.
        label: of the progress bar.
        do: items of a window -> their rows, in order.
        begin: called with the index of the first item of a window, and the progress, before `do`.

    Returns:
        number of rows

    Raises:
        AssertionError: `do` returned another number of rows.
    """
    total = count(items_file)
    done = _keep_whole_windows(rows, window, total)
    steps = Steps(label, total - done)
    waiting = items(items_file, done)
    while chunk := list(islice(waiting, window)):
        steps.begin(len(chunk))
        begin(done, steps)
        new_rows = do(chunk)
        assert len(new_rows) == len(chunk), f"{label}: {len(new_rows)} rows for {len(chunk)} items"
        io.append_jsonl(rows, new_rows)
        done += len(chunk)
        steps.end()
    steps.meter.close()
    return done


def _keep_whole_windows(rows: Path, window: int, total: int) -> int:
    """Truncate a file to its whole windows, unless it is complete, and return the number of rows left."""
    if not rows.exists():
        rows.touch()
        return 0
    io.drop_torn_line(rows)
    present = count(rows)
    keep = present if present == total else present - present % window
    if keep < present:
        with open(rows, "rb+") as file:
            for _ in range(keep):
                file.readline()
            file.truncate(file.tell())
    return keep
