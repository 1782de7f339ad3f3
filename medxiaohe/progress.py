"""Progress of long work, with the time left: a bar on a terminal, a line now and then in a log."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


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

    def close(self) -> None:
        if self.tty and not self.silent:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _show(self, now: float) -> None:
        line = f"  {self.label} {self.done:,}"
        if self.total:
            share = min(1.0, self.done / self.total)
            left = (now - self.start) / max(share, 1e-9) * (1 - share)
            bar = "=" * round(24 * share)
            line = f"  {self.label} [{bar:<24}] {self.done:,}/{self.total:,} {clock(left)} left"
        print(
            f"\r\x1b[K{line}" if self.tty else line, end="" if self.tty else "\n", file=sys.stderr, flush=True
        )


def clock(seconds: float) -> str:
    """Minutes and seconds: 0:07, 12:30."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
