"""Compressed files as streams that stop after RATIO times their own size, or FLOOR bytes if that is more."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

from medxiaohe.errors import Rejected
from medxiaohe.io.confine import open_regular

RATIO, FLOOR = 100, 16 * 2**20
PACKED = (".gz", ".bz2", ".xz", ".zst")


class Bounded:
    """A binary file that stops with `Rejected("bomb")` once more than `limit` bytes came out of it."""

    def __init__(self, file: IO[bytes], limit: int, name: str, packed: IO[bytes] | None = None):
        self._file, self._left, self._name, self._limit, self._packed = file, limit, name, limit, packed

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise Rejected(
                "bomb", f"{self._name}: unpacks to more than {self._limit >> 20} MiB, {RATIO} times its size"
            )
        return data

    def read(self, size: int = -1) -> bytes:
        return self._count(self._file.read(self._left + 1 if size < 0 else size))

    def readline(self, size: int = -1) -> bytes:
        return self._count(self._file.readline(size))

    def close(self) -> None:
        self._file.close()
        if self._packed is not None:
            self._packed.close()

    def __enter__(self) -> Bounded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def opened(file: Path, *, ratio: int = RATIO, floor: int = FLOOR) -> Bounded:
    """The bytes of a file, unpacked if its name says so."""
    try:
        source = open_regular(file)
        size = os.fstat(source.fileno()).st_size
        if file.suffix not in PACKED:
            return Bounded(source, size + 1, file.name)
        if file.suffix == ".zst":
            import zstandard

            unpacker: Any = zstandard.ZstdDecompressor(max_window_size=2**27)
            raw: Any = BufferedReader(unpacker.stream_reader(source))
        else:
            raw = cast(Any, {".gz": gzip, ".bz2": bz2, ".xz": lzma}[file.suffix]).open(source, "rb")
    except OSError as error:
        raise Rejected(
            "missing", f"cannot read {file.name}: {(error.strerror or str(error)).lower()}"
        ) from error
    return Bounded(raw, max(floor, ratio * size), file.name, source)


def damage() -> tuple[type[Exception], ...]:
    """What decompressors raise for a damaged file."""
    import zstandard

    return (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, zstandard.ZstdError)
