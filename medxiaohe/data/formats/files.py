"""Read the files of a corpus within limits: compressed files unpack to a bounded size, and one damaged line
or file does not end the others.

    for file in files(path, ".jsonl"):
        for line in lines(file):              # a Line, or a DeadLetter with code, hash and byte offset

Compressed files (.gz, .bz2, .xz, .zst) are streams with a cap: at most RATIO times their own size, or FLOOR
bytes if that is more (io/packed.py; docs/reliability.md).
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from medxiaohe import io
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import DataError
from medxiaohe.io.packed import PACKED, Bounded, damage, opened
from medxiaohe.types import Sample


@dataclass
class Share:
    """The files of a folder that one part reads (read_parts.py); files of no part are read by the first."""

    own: frozenset[Path]
    others: frozenset[Path]  # those of the other parts
    first: bool
    listed: bool = False  # whether the reader has asked for its files

    def of(self, paths: list[Path]) -> list[Path]:
        """Select the files of this part.

        Args:
            paths: all files that a reader listed.

        Returns:
            Those of the part, in their order.
        """
        self.listed = True
        return [file for file in paths if file in self.own or (self.first and file not in self.others)]


SHARE: ContextVar[Share | None] = ContextVar("share", default=None)
MAX_BLANK = 100_000  # blank lines in a row
MAX_LINES_LONG = 16 * 2**20  # bytes of a line; io.MAX_LINE_BYTES is for our own files


def files(path: Path, *endings: str) -> list[Path]:
    """List the files of a path.

    Args:
        path: a file, which is taken whatever its ending, or a folder.
        endings: of files in the folder and below, such as ".jsonl"; compressed ones (PACKED) too.

    Returns:
        Files in order, without links that lead out of the folder; within a part (SHARE) only its files.

    Raises:
        DataError: there is no such file, or none with one of the endings.
        Rejected: unsafe_path for a device, a FIFO or a socket.
    """
    if not path.is_dir():
        if not path.exists():
            raise DataError(f"no such file: {path}")
        if not path.is_file():
            raise Rejected("unsafe_path", f"{path}: a device, a FIFO or a socket, not a file: not opened")
        return [path]
    requested = tuple(e + packed for e in endings for packed in ("", *PACKED))
    results = sorted(
        p for p in path.rglob("*") if p.name.lower().endswith(requested) and p.is_file() and _inside(p, path)
    )
    if not results:
        raise DataError(f"no {' or '.join(endings)} file in {path}")
    share = SHARE.get()
    return results if share is None else share.of(results)


def stamp(path: str) -> list[tuple[str, int, int]]:
    """Describe the state of an input: whether unfinished work is still about the same files.

    Args:
        path: a file or folder.

    Returns:
        Path, size in bytes and time of writing in nanoseconds of each file; none if the path does not exist.
    """
    root = Path(path).expanduser()
    paths = (
        sorted(p for p in root.rglob("*") if p.is_file())
        if root.is_dir()
        else [root]
        if root.is_file()
        else []
    )
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]


def _inside(file: Path, folder: Path) -> bool:
    """Tell whether a file lies in the folder: links that lead out of the corpus are not followed."""
    return not file.is_symlink() or file.resolve().is_relative_to(folder.resolve())


def inside(name: str, folder: Path, base: Path | None = None) -> Path:
    """Resolve the path of a file that a document names.

    Args:
        name: as written in the document.
        folder: where relative names start.
        base: folder in which the file must lie; None: `folder`.

    Returns:
        The path with links resolved.

    Raises:
        Rejected: unsafe_path for a file outside of `base`.
    """
    return io.confined(base or folder).path(name, folder).resolve()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text file."""

    number: int  # from 1
    offset: int  # bytes, in the unpacked file
    text: str


def content(file: Path, limit: int) -> bytes:
    """Read all bytes of a file, unpacked.

    Args:
        file: plain or compressed.
        limit: number of bytes that are read at most, unpacked.

    Returns:
        The bytes.

    Raises:
        Rejected: too_large for more bytes than `limit`, truncated for a damaged file, missing for one
            that cannot be read.
    """
    try:
        with opened(file) as source:
            data = source.read(limit + 1)
    except Rejected:
        raise
    except damage() as error:
        raise Rejected("truncated", f"{file.name}: damaged: {error}") from error
    if len(data) > limit:
        raise Rejected("too_large", f"{file.name}: larger than {limit >> 20} MiB", limit)
    return data


def words(file: Path, limit: int) -> str:
    """Read the text of a UTF-8 file, unpacked, without a byte-order mark.

    Args:
        file: plain or compressed.
        limit: number of bytes that are read at most, unpacked.

    Returns:
        The text.

    Raises:
        Rejected: encoding for another encoding, else as `content`.
    """
    data = content(file, limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected("encoding", f"{file.name}: not UTF-8: {error.reason}", error.start) from error


def lines(file: Path, encoding: str = "utf-8") -> Iterator[Line | DeadLetter]:
    """Read the lines of a text file, unpacked; damage ends in a DeadLetter instead of an error.

    Args:
        file: plain or compressed.
        encoding: as Python names it; offsets of UTF-16 and UTF-32 are those of the same text in UTF-8.

    Yields:
        Lines; a DeadLetter for a line that is longer than MAX_LINES_LONG or not in the encoding, and for
        the byte at which the file breaks off.
    """
    number = offset = blank = 0
    try:
        with opened(file) as packed:
            source, encoding = _byte_lines(packed, encoding)
            while data := source.readline(MAX_LINES_LONG + 1):
                number, start = number + 1, offset
                offset += len(data)
                location = f"{file.name}:{number}"
                # skip the rest of a line that is too long, in blocks, for its digest
                if len(data) > MAX_LINES_LONG:
                    digest = hashlib.sha256(data)
                    while data and not data.endswith(b"\n"):
                        data = source.readline(2**20)
                        digest.update(data)
                        offset += len(data)
                    text = f"the line is longer than {MAX_LINES_LONG >> 20} MiB: split the row"
                    yield DeadLetter(location, text, "too_large", digest.hexdigest(), start)
                    continue
                blank = 0 if data.strip() else blank + 1
                if blank > MAX_BLANK:
                    raise Rejected(
                        "bomb", f"{file.name}: more than {MAX_BLANK:,} blank lines in a row", start
                    )
                try:
                    text = data.decode(encoding)
                    yield Line(
                        number, start, (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")
                    )
                except UnicodeDecodeError as error:
                    text = f"not {encoding.upper()}: {error.reason} at byte {error.start} of the line"
                    yield DeadLetter(
                        location, text, "encoding", hashlib.sha256(data).hexdigest(), start + error.start
                    )
    except Rejected as error:
        yield DeadLetter(
            f"{file.name}:{number + 1}", str(error), error.code, digest_of(file), error.offset or offset
        )
    except damage() as error:
        yield DeadLetter(
            f"{file.name}:{number + 1}",
            f"truncated or not {file.suffix}: {error}",
            "truncated",
            digest_of(file),
            offset,
        )


def _byte_lines(packed: Bounded, encoding: str) -> tuple[Bounded | IO[bytes], str]:
    """Wrap a file whose line breaks are more than one byte, so that it yields lines in UTF-8."""
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        return cast("IO[bytes]", codecs.EncodedFile(cast(Any, packed), "utf-8", encoding)), "utf-8"
    return packed, encoding


def rejected(
    location: str, error: Exception, row: str | bytes = b"", offset: int | None = None
) -> DeadLetter:
    """Convert the error of a row to a rejected row.

    Args:
        location: "NAME:ROW", or the id of the record.
        error: its own `code` and `offset`, where it has them, are taken.
        row: of which the sha256 is taken; empty: no hash.
        offset: byte of the file at which the row begins.

    Returns:
        The rejected row, its reason cut at 500 characters.
    """
    data = row.encode("utf-8", "surrogatepass") if isinstance(row, str) else row
    own_offset = getattr(error, "offset", None)
    reason = " ".join(str(error).split())[:500]
    return DeadLetter(
        location,
        reason,
        getattr(error, "code", "row"),
        hashlib.sha256(data).hexdigest() if data else "",
        offset if own_offset is None else own_offset,
    )


def each(
    paths: list[Path], read: Callable[[Path], Iterator[Sample | DeadLetter]], base: Path | None = None
) -> Iterator[Sample | DeadLetter]:
    """Read files one after the other; a file that raises a DataError becomes a DeadLetter, and the next one
    is read.

    Args:
        paths: of the files.
        read: reads one file.
        base: folder that names of files are relative to; None: names alone.

    Yields:
        What `read` yields of every file.
    """
    for file in paths:
        name = file.relative_to(base).as_posix() if base and base.is_dir() else file.name
        try:
            yield from read(file)
        except DataError as error:
            letter = rejected(name, error)
            yield DeadLetter(
                name,
                letter.reason,
                letter.code if letter.code != "row" else "format",
                digest_of(file),
                letter.offset or 0,
            )


def digest_of(file: Path) -> str:
    """Compute the sha256 of a file.

    Returns:
        Hexadecimal digits; "" for what cannot be read or is no file, such as a device.
    """
    try:
        return io.sha256(file) if file.is_file() else ""
    except OSError:
        return ""
