"""Stream the samples of a stage's folder with their byte offsets, so that selected ones can be read again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.types import Sample


class Rows:
    """Random access to the samples.jsonl of a folder by byte offset.

    Raises:
        DataError: the folder has no samples.jsonl.
    """

    def __init__(self, folder: Path):
        self.path = folder / "samples.jsonl"
        if not self.path.is_file():
            raise DataError(
                f"{folder} has no samples.jsonl: it must be the folder of data.read or data.curate"
            )
        self._file = open(self.path, "rb")

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[tuple[int, Sample]]:
        offset = 0
        with open(self.path, "rb") as file:
            for line in file:
                yield offset, self._sample(line, offset)
                offset += len(line)

    def at(self, offset: int) -> Sample:
        """Return the sample that starts at byte `offset`.

        Raises:
            DataError: the line at this offset is not a sample.
        """
        self._file.seek(offset)
        return self._sample(self._file.readline(), offset)

    def _sample(self, line: bytes, offset: int) -> Sample:
        try:
            return io.sample_from_json(json.loads(line))
        except ValueError as error:
            raise DataError(f"{self.path}, byte {offset}: not a sample: {error}") from error
