"""Index hash codes with the numbers of their owners; codes are added between searches.

Sorted runs, as in a log-structured merge tree (O'Neil et al. 1996): new codes wait in a small buffer, a full
buffer becomes a run, and runs of like size are merged. Adding n codes costs about n log n, looking codes up
a binary search in each of log n runs; 8 bytes a code are held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BUFFER = 16384  # codes
FANOUT = 4  # a run that is not this much larger than the next one is merged with it
MAX_MATCHES = 12_000  # of a search: those of the rarest codes, for a code that many have tells little


class CodeIndex:
    """(code, number) pairs, both below 2 ** 32."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._size_waiting = 0
        self._buffer: tuple[np.ndarray, np.ndarray] | None = None  # what waits, sorted; None when it changed

    def add(self, codes: np.ndarray, numbers: np.ndarray) -> None:
        """Add pairs.

        Args:
            codes: (n,) uint32.
            numbers: (n,) uint32.
        """
        self._waiting.append((codes, numbers))
        self._size_waiting += len(codes)
        self._buffer = None
        if self._size_waiting < BUFFER:
            return
        run = _sorted(self._waiting)
        self._waiting, self._size_waiting = [], 0
        # merge from the smallest run on, so that sizes grow by FANOUT and there are about log n runs
        while self._runs and len(self._runs[-1][0]) < FANOUT * len(run[0]):
            run = _sorted([self._runs.pop(), run])
        self._runs.append(run)

    def find(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All pairs with one of the codes; of more than MAX_MATCHES those of the rarest codes.

        Args:
            codes: (n,) uint32.

        Returns:
            The place among `codes` of each match, and its number.
        """
        import numpy as np

        if self._buffer is None and self._waiting:
            self._buffer = _sorted(self._waiting)
            self._waiting = [self._buffer]
        order = np.argsort(codes, kind="stable")
        requested = codes[order]  # in order, so that a binary search meets what the last one has read
        runs = [*self._runs, *([self._buffer] if self._buffer else [])]
        first = [np.searchsorted(keys, requested, "left") for keys, _ in runs]
        count = [
            np.searchsorted(keys, requested, "right") - start
            for (keys, _), start in zip(runs, first, strict=True)
        ]
        total = sum(count, np.zeros(len(requested), np.int64))
        # codes from the rarest on, until MAX_MATCHES are reached
        rarest = np.argsort(total, kind="stable")
        dropped = rarest[np.cumsum(total[rarest]) > MAX_MATCHES]
        places, matches = [np.empty(0, np.int64)], [np.empty(0, np.uint32)]
        for (_, numbers), start, size in zip(runs, first, count, strict=True):
            size[dropped] = 0
            # the numbers start, start + 1, ... of each code that has some
            within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
            places.append(np.repeat(order, size))
            matches.append(numbers[np.repeat(start, size) + within])
        return np.concatenate(places), np.concatenate(matches)


def _sorted(runs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    codes = np.concatenate([codes for codes, _ in runs])
    order = np.argsort(codes, kind="stable")
    return codes[order], np.concatenate([numbers for _, numbers in runs])[order]
