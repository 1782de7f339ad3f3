"""Show the progress of long work with the time left: a bar on a terminal, a line every 10 seconds in a log.

A run of a recipe also keeps what its running stage has done in a folder, which the page about the run reads:

    FOLDER/meter.json        {label, done, total, seconds}: of the meter that advanced last
    FOLDER/measured.jsonl    {step, loss, ...}: what training logged so far
"""

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0
MIN_SECONDS = 2.0  # before an estimate is shown
SECONDS_BETWEEN_NOTES = 2.0  # in the folder that a page reads
METER, MEASURED = "meter.json", "measured.jsonl"


class _Watch:
    """The folder in which the running stage records its progress, and a callback for each change. Only the
    process that runs the recipe has one.
    """

    def __init__(self, folder: Path, changed: Callable[[], None]):
        self.folder, self.changed, self.last = folder, changed, 0.0
        self.process = os.getpid()

    def note(self, meter: "Meter", now: float) -> None:
        """Write the state of a meter to `meter.json`, at most once in SECONDS_BETWEEN_NOTES.

        Args:
            now: time of `time.monotonic`, in seconds.
        """
        if now - self.last < SECONDS_BETWEEN_NOTES or os.getpid() != self.process:
            return
        self.last = now
        row = {"label": meter.label, "done": meter.done, "total": meter.total, "seconds": now - meter.start}
        with suppress(OSError):  # a full disk is the business of the stage, not of its page
            draft = self.folder / f".{METER}"
            draft.write_text(json.dumps(row), encoding="utf-8")
            os.replace(draft, self.folder / METER)
        self.changed()


_watch: _Watch | None = None


@contextmanager
def watched(folder: Path, changed: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keep the progress of what runs inside the block in `folder`.

    Args:
        folder: for files that a page reads; emptied first, removed at the end.
        changed: called after each change, at most every two seconds.

    Yields:
        None, while the meters of this process are written to the folder.
    """
    global _watch
    before = _watch
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for name in (METER, MEASURED):
            (folder / name).unlink(missing_ok=True)
    _watch = _Watch(folder, changed)
    try:
        yield
    finally:
        _watch = before
        shutil.rmtree(folder, ignore_errors=True)


def measured(step: int, values: Mapping[str, Any]) -> None:
    """Append what training logged at a step to `measured.jsonl`, for the page about the run.

    Args:
        step: number of the optimiser step.
        values: what was logged, by name; only finite numbers are written. Nothing is written outside of
            `watched`, in worker processes, or where the disk fails.
    """
    numbers = {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
    if _watch is None or os.getpid() != _watch.process or not numbers:
        return
    with suppress(OSError), open(_watch.folder / MEASURED, "a", encoding="utf-8") as log:
        log.write(json.dumps({"step": step, **numbers}) + "\n")


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Iterate over items and show on stderr how many are done and the estimated time left.

    Args:
        items: passed through unchanged.
        label: first words of the line that is shown.
        total: number of items; None takes `len(items)`, and where that is unknown only a count is shown.

    Yields:
        the items, in order.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    meter = Meter(label, total)
    try:
        for item in items:
            yield item
            meter.advance()
    finally:
        meter.close()


class Meter:
    """Progress counter, for work that is not an iteration, such as the steps of a trainer."""

    def __init__(self, label: str, total: int | None):
        self.label, self.total, self.done = label, total, 0
        self.start = self.last = time.monotonic()
        self.tty = sys.stderr.isatty()
        # of several processes that train together, one shows
        self.silent = os.environ.get("RANK", "0") != "0"

    def advance(self, steps: int = 1) -> None:
        """Count steps as done and show the progress: every 0.2 s on a terminal, every 10 s in a log.

        Args:
            steps: number of steps done since the last call.
        """
        self.done += steps
        now = time.monotonic()
        if _watch is not None:
            _watch.note(self, now)
        if not self.silent and now - self.last >= (0.2 if self.tty else SECONDS_BETWEEN_LINES):
            self.last = now
            self._show(now)

    def _left(self, now: float) -> str:
        """Estimate the time left from the mean speed so far; not before the first step is done, nor
        after so short a time that start-up is most of it."""
        if not self.done or not self.total or now - self.start < MIN_SECONDS:
            return "estimating the time left"
        return f"{clock((now - self.start) * max(0, self.total - self.done) / self.done)} left"

    def close(self) -> None:
        """Erase the bar from the terminal; lines in a log stay."""
        if self.tty and not self.silent:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _show(self, now: float) -> None:
        line = f"  {self.label} {self.done:,}"
        if self.total:
            share = min(1.0, self.done / self.total)
            bar = "=" * round(24 * share)
            line = f"  {self.label} [{bar:<24}] {self.done:,}/{self.total:,} {self._left(now)}"
        print(
            f"\r\x1b[K{line}" if self.tty else line, end="" if self.tty else "\n", file=sys.stderr, flush=True
        )


def clock(seconds: float) -> str:
    """Format a duration as minutes and seconds, with hours where there are any: 0:07, 12:30, 5:59:39.

    Args:
        seconds: duration; fractions are cut off.

    Returns:
        the text.
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
