"""Record the traces of an evaluation in a log that anyone verifies offline (docs/traces.md).

`traces/` is beside traces.jsonl, whose rows name their trace by the SHA-256 of its head (`head`). Images
are named by digest and not copied: `trace verify --sources FOLDER` looks them up.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import io, traces
from medxiaohe.errors import DataError
from medxiaohe.evals.running.origin import secret, signing_key

FOLDER = "traces"
BATCH = 256  # rows in one commit of the log


class Sealing:
    """Append the traces of rows to a log, and count rows that cannot be recorded."""

    def __init__(self, folder: Path, digests: Mapping[str, Mapping[str, str]]) -> None:
        """Start a new log; one that a killed run left is deleted.

        Args:
            folder: of the log.
            digests: name of a task -> provenance of its traces (origin.py).
        """
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self._digests = folder, digests
        self._secret = secret()
        self._log = traces.Log(folder, signing_key(), secret=self._secret)
        self._rows = hashlib.sha256()
        self.refused: Counter[str] = Counter()  # reason why a trace cannot be recorded -> number of rows

    @property
    def digest(self) -> str:
        """SHA-256 of the rows without the names of their traces, which depend on salts.

        Returns:
            64 hexadecimal digits
        """
        return self._rows.hexdigest()

    def rows(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Record the traces of rows, BATCH rows in each commit.

        Args:
            rows: {task, sample, trace, ...}.

        Yields:
            each row with `head`; "" if its trace cannot be recorded
        """
        waiting = iter(rows)
        while batch := list(islice(waiting, BATCH)):
            sealed = [self._sealed(row) for row in batch]
            names = iter(self._log.append([record for record in sealed if record is not None]))
            for row, record in zip(batch, sealed, strict=True):
                self._rows.update(io.encoded(row))
                yield {**row, "head": "" if record is None else next(names)}

    def close(self) -> None:
        """Remove the lock file, which is no part of the log."""
        for lock in self.folder.glob(".*.lock"):
            lock.unlink()

    def _sealed(self, row: Mapping[str, Any]) -> traces.Sealed | None:
        try:
            trace = io.trace_from_json(row["trace"])
            sealed = traces.seal(trace, self._secret, digests=self._digests[row["task"]])
        except DataError as error:
            self.refused[str(error)] += 1
            return None
        return traces.Sealed(sealed.lines, sealed.openings, sealed.values)  # without the files of images
