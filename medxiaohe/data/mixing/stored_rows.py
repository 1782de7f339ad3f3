"""The samples of a stage's folder, streamed with the place of each, so that a chosen few can be read
again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.types import Sample


class Rows:
    """samples.jsonl of a folder; a place is the byte at which a row starts."""

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
        place = 0
        with open(self.path, "rb") as file:
            for line in file:
                yield place, self._sample(line, place)
                place += len(line)

    def at(self, place: int) -> Sample:
        self._file.seek(place)
        return self._sample(self._file.readline(), place)

    def _sample(self, line: bytes, place: int) -> Sample:
        try:
            return io.sample_from_json(json.loads(line))
        except ValueError as error:
            raise DataError(f"{self.path}, byte {place}: not a sample: {error}") from error
