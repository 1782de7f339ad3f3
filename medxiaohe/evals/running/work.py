"""Unfinished work of an evaluation: items in, one row for each out, in order, in windows that a kill cannot
spoil.

    items.jsonl    what is asked, written whole before anything is asked
    rows.jsonl     what came of it, appended window by window; a kill leaves whole windows
    replies.sqlite what the model has answered within the window that is being worked on
                   (models/reply_store.py)

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
    for row in islice(io.read_jsonl(path), start, None):
        yield Item(io.sample_from_json(row["sample"]), tuple(row.get("nodes", ())))


def count(path: Path) -> int:
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))


class Steps:
    """The bar of a pass: items count when the model has answered them, and once a window is stored all of it
    has."""

    def __init__(self, label: str, total: int) -> None:
        self.meter, self.ahead, self.size = Meter(label, total), 0, 0

    def begin(self, size: int) -> None:
        self.ahead, self.size = 0, size

    def tick(self, answered: int) -> None:
        """So many more replies; in conversations of several turns there are more replies than items."""
        more = min(answered, self.size - self.ahead)
        self.ahead += more
        self.meter.advance(more)

    def end(self) -> None:
        self.tick(self.size)


def fill(
    rows: Path,
    asked: Path,
    window: int,
    label: str,
    do: Callable[[Sequence[Item]], Sequence[Row]],
    begin: Callable[[int, Steps], Any] = lambda at, steps: None,
) -> int:
    """Bring `rows` up to one row for each item of `asked`; returns how many there are.

    `begin` is told the index of the first item of a window, and what to tick, before `do` gets its items.
    """
    total = count(asked)
    done = _keep_whole_windows(rows, window, total)
    steps = Steps(label, total - done)
    waiting = items(asked, done)
    while chunk := list(islice(waiting, window)):
        steps.begin(len(chunk))
        begin(done, steps)
        made = do(chunk)
        assert len(made) == len(chunk), f"{label}: {len(made)} rows for {len(chunk)} items"
        io.append_jsonl(rows, made)
        done += len(chunk)
        steps.end()
    steps.meter.close()
    return done


def _keep_whole_windows(rows: Path, window: int, total: int) -> int:
    """How many rows are kept: all of them when they are complete, else those of whole windows; the rest is
    cut off."""
    if not rows.exists():
        rows.touch()
        return 0
    io.drop_torn_line(rows)
    found = count(rows)
    keep = found if found == total else found - found % window
    if keep < found:
        with open(rows, "rb+") as file:
            for _ in range(keep):
                file.readline()
            file.truncate(file.tell())
    return keep
