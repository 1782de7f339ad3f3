"""Progress of long work, with the time left: a bar on a terminal, a line now and then in a log."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0
MIN_SECONDS = 2.0  # before an estimate is shown


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Pass the items through and show on stderr how many are done and how long the rest will take."""
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
    """Counts steps; for work that is not an iteration, such as a trainer's steps."""

    def __init__(self, label: str, total: int | None):
        self.label, self.total, self.done = label, total, 0
        self.start = self.last = time.monotonic()
        self.tty = sys.stderr.isatty()
        # of several processes that train together, one shows
        self.silent = os.environ.get("RANK", "0") != "0"

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        now = time.monotonic()
        if not self.silent and now - self.last >= (0.2 if self.tty else SECONDS_BETWEEN_LINES):
            self.last = now
            self._show(now)

    def _left(self, now: float) -> str:
        """The time left at the mean speed so far; nothing is said of it before the first step is done, nor
        after so short a time that start-up is most of it."""
        if not self.done or not self.total or now - self.start < MIN_SECONDS:
            return "estimating the time left"
        return f"{clock((now - self.start) * max(0, self.total - self.done) / self.done)} left"

    def close(self) -> None:
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
    """Minutes and seconds, with hours where there are any: 0:07, 12:30, 5:59:39."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
