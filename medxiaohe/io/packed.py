"""Decompress files as streams that stop after RATIO times their own size, or FLOOR bytes if that is more."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any, cast

from medxiaohe.errors import DataError, Rejected
from medxiaohe.io.confine import open_regular

# bytes out for each byte in, and bytes that any file may unpack to
RATIO, FLOOR = 100, 16 * 2**20
FORMS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
PACKED = tuple(FORMS)
MAX_WINDOW = 2**27  # bytes that Zstandard may look back
PIECE = 4096  # bytes unpacked at once; they may become ten thousand times as many


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
        """Read bytes.

        Args:
            size: bytes at most; -1: all.

        Returns:
            The bytes; b"" at the end.

        Raises:
            Rejected: bomb, past the limit.
        """
        return self._count(self._file.read(self._left + 1 if size < 0 else min(size, self._left + 1)))

    def readline(self, size: int = -1) -> bytes:
        """Read a line.

        Args:
            size: bytes at most; -1: no limit but that of the file.

        Returns:
            The line with its end; b"" at the end of the file.

        Raises:
            Rejected: bomb, past the limit.
        """
        return self._count(self._file.readline(size))

    def close(self) -> None:
        """Close the file and the compressed file below it."""
        self._file.close()
        if self._packed is not None:
            self._packed.close()

    def __enter__(self) -> Bounded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Zstd(RawIOBase):
    """Decompressor of Zstandard frames; EOFError for a truncated frame, which the library does not report."""

    def __init__(self, file: IO[bytes]):
        import zstandard

        self._file, self._unpacker = file, zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._frame: Any = None  # one that is not at its end
        self._packed, self._ready = b"", b""

    def readable(self) -> bool:
        """Whether the stream can be read.

        Returns:
            True.
        """
        return True

    def readinto(self, buffer: Any) -> int:
        """Unpack into a buffer.

        Returns:
            The number of bytes, 0 at the end.

        Raises:
            EOFError: the last frame breaks off.
        """
        while not self._ready:
            self._packed = self._packed or self._file.read(PIECE)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the frame of Zstandard breaks off")
                return 0
            self._frame = self._frame or self._unpacker.decompressobj()
            self._ready, self._packed = self._frame.decompress(self._packed), b""
            if self._frame.eof:  # what follows is another frame
                self._frame, self._packed = None, self._frame.unused_data
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def opened(file: Path, *, ratio: int = RATIO, floor: int = FLOOR) -> Bounded:
    """Open a file for reading, decompressed if its name ends in one of PACKED.

    Args:
        file: a regular file.
        ratio: bytes that may come out for each byte of a compressed file.
        floor: bytes that may come out of any compressed file, if that is more.

    Returns:
        A binary file that raises Rejected past the limit.

    Raises:
        Rejected: the file cannot be opened (missing), or is a device, a FIFO or a socket (unsafe_path).
    """
    try:
        source = open_regular(file)
        size = os.fstat(source.fileno()).st_size
        if file.suffix not in PACKED:
            return Bounded(source, size + 1, file.name)
        if file.suffix == ".zst":
            raw: Any = BufferedReader(_Zstd(source))
        else:
            raw = cast(Any, {".gz": gzip, ".bz2": bz2, ".xz": lzma}[file.suffix]).open(source, "rb")
    except OSError as error:
        raise Rejected(
            "missing", f"cannot read {file.name}: {(error.strerror or str(error)).lower()}"
        ) from error
    return Bounded(raw, max(floor, ratio * size), file.name, source)


def damage() -> tuple[type[Exception], ...]:
    """List what decompressors raise for a damaged file.

    Returns:
        Exception types, for `except`.
    """
    import zstandard

    return (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, zstandard.ZstdError)


def read(path: Path, most: int) -> bytes:
    """Read the first bytes of a file, decompressed if its name ends in one of PACKED.

    Args:
        path: a regular file.
        most: bytes at most.

    Returns:
        The bytes.

    Raises:
        DataError: there is no such file, it is damaged, or it unpacks to more than RATIO times its size.
    """
    try:
        with opened(path) as file:
            return file.read(most)
    except Rejected as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise DataError(f"no such file: {path}") from error
        raise DataError(f"{path}: {error}") from error
    except damage() as error:
        raise DataError(f"{path}: truncated or not {FORMS.get(path.suffix, 'readable')}: {error}") from error
