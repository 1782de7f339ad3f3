"""Result of a verification: problems by record, and by level how much was checked, and how much was not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LEVELS = {
    "intact": "canonical records, openings, references, root, place in the log, signature",
    "resolved": "every locator opens: quote in its document, box in its image",
    "replayed": "pure tools and the workflow give the same bytes again",
    "regenerated": "the model gives the same replies again: reported, never a failure",
    "entailed": "a second verifier agrees with the rulings: a share, never a failure",
}
REPORTED = ("regenerated", "entailed")  # levels that are rates
Z = 1.959964  # of a two-sided interval of 95 %


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that fails a check."""

    trace: int  # from 0; -1: the log as a whole
    record: str  # its id, or "log", "checkpoint", "openings"
    level: str
    why: str

    def __str__(self) -> str:
        location = f"trace {self.trace}, {self.record}" if self.trace >= 0 else self.record
        return f"{location}: {self.why}"


@dataclass(slots=True)
class Level:
    """Counts of one level of checks."""

    checked: int = 0
    not_checked: int = 0  # what it needs is not here
    closed: int = 0  # redacted
    agrees: int = 0  # of those that were checked, where the level is a rate
    reasons: dict[str, int] = field(default_factory=dict)  # why not -> how often
    notes: dict[str, int] = field(default_factory=dict)  # how they differ -> how often

    def skip(self, why: str) -> None:
        """Count something that could not be checked.

        Args:
            why: the reason, counted by its text.
        """
        self.not_checked += 1
        self.reasons[why] = self.reasons.get(why, 0) + 1

    def compare(self, same: bool, difference: str = "") -> None:
        """Count one comparison of a level that reports a rate.

        Args:
            same: whether both sides agree.
            difference: in what way they differ, "" where they agree.
        """
        self.checked += 1
        self.agrees += same
        if not same:
            self.notes[difference] = self.notes.get(difference, 0) + 1

    def interval(self) -> tuple[float, float, float]:
        """Compute the rate of agreement with its 95 % interval (Wilson 1927).

        Returns:
            (share, lower bound, upper bound), each from 0 to 1

        Raises:
            ZeroDivisionError: nothing was checked.
        """
        n, share = self.checked, self.agrees / self.checked
        # Wilson score interval: centre (p + z^2 / 2n) / (1 + z^2 / n), half width z sqrt(p (1 - p) / n + z^2
        # / 4n^2) / (1 + z^2 / n)
        middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
        return share, max(0.0, middle - half), min(1.0, middle + half)


@dataclass(slots=True)
class Verdict:
    """The result for a folder of traces."""

    traces: int = 0
    records: int = 0
    problems: list[Problem] = field(default_factory=list)
    levels: dict[str, Level] = field(default_factory=lambda: {name: Level() for name in LEVELS})

    def add(self, trace: int, record: str, level: str, why: str) -> None:
        """Record a problem.

        Args:
            trace: number of the trace.
            record: id of the record.
            level: one of LEVELS.
            why: the reason, in words.
        """
        self.problems.append(Problem(trace, record, level, why))

    def state(self, level: str) -> str:
        """Summarise a level in one word.

        Args:
            level: name of a level.

        Returns:
            failed, not checked, partly, verified or reported
        """
        counts = self.levels[level]
        if any(problem.level == level for problem in self.problems):
            return "failed"
        if not counts.checked:
            return "not checked"
        if level in REPORTED:
            return "reported"
        return "partly" if counts.not_checked or counts.closed else "verified"
