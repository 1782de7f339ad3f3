"""Append-only store of traces.

    log.jsonl        records, one canonical line each; a trace ends with its head
    openings.jsonl   one line a trace: what opens its sealed records
    checkpoint       the signed note: how many traces, and the Merkle root over their heads
    blobs/ab/SHA256  images and documents
    secret           what the salts are made of; stays with whoever records

An append is complete when the checkpoint is on disk. What a kill left after the checkpoint is cut off by the
next append, which writes it again: no line that a checkpoint covers ever changes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.traces import checkpoint as notes
from medxiaohe.traces import merkle
from medxiaohe.traces.canonical import dumps, parse
from medxiaohe.traces.checkpoint import Checkpoint
from medxiaohe.traces.records import MAX_RECORDS, Opening, Sealed, opening_line

LOG, OPENINGS, CHECKPOINT, BLOBS, SECRET = "log.jsonl", "openings.jsonl", "checkpoint", "blobs", "secret"
SHA256 = re.compile(r"[0-9a-f]{64}")
_NAMED = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_HEAD = re.compile(rb'"id":"head/\d+","kind":"head"')


@dataclass(frozen=True, slots=True)
class Stored:
    """Lines of one trace as they are in the log."""

    index: int  # from 0
    line: int  # number of the first line in log.jsonl, from 1
    lines: tuple[bytes, ...]
    openings: bytes  # the line of openings.jsonl; b"" where there is none


class Log:
    """Append-only log of traces in a folder. One process writes at a time; another one waits."""

    def __init__(self, folder: Path, private_key: str = "", *, secret: bytes = b"") -> None:
        """Open or create a log.

        Args:
            private_key: signs checkpoints; without one they are unsigned.
            secret: that salts are made of, kept elsewhere; by default a file of the folder.

        Raises:
            DataError: the log is not the one that its checkpoint covers.
            MissingExtra: there is a key and the package cryptography is not installed.
        """
        self.folder, self._key = folder, private_key
        if private_key:
            notes.public_key(private_key)  # a wrong key stops here
        folder.mkdir(parents=True, exist_ok=True)
        self.secret = secret or secret_of(folder / SECRET)
        self._known = -1  # size of log.jsonl when this object last looked
        self._frontier = merkle.Frontier()

    def append(self, traces: Sequence[Sealed], blobs: Mapping[str, bytes] | None = None) -> list[str]:
        """Append traces, with one checkpoint for all of them (group commit).

        Args:
            blobs: documents and images by SHA-256, of which those that the traces name are stored; images
                whose file can still be read are added as well.

        Returns:
            The SHA-256 of each head: the name of the trace.

        Raises:
            DataError: a blob has another digest than its name.
        """
        with io.in_turn(self.folder / LOG):
            self._recover()
            sources = {
                item.decode() for trace in traces for line in trace.lines for item in _NAMED.findall(line)
            }
            for name, data in (blobs or {}).items():
                if name in sources:
                    self._blob(name, data)
            for trace in traces:
                for name, file in trace.files.items():
                    self._copy(name, Path(file))
            lines = b"".join(line + b"\n" for trace in traces for line in trace.lines)
            opened = b"".join(_opened(trace) for trace in traces)
            io.append_bytes(self.folder / OPENINGS, opened)
            io.append_bytes(self.folder / LOG, lines)
            for trace in traces:
                self._frontier.add(merkle.leaf_hash(trace.head))
            self._known += len(lines)
            note = notes.sign(Checkpoint(self._frontier.size, self._frontier.root()), self._key)
            io.write_text(self.folder / CHECKPOINT, note)
        return [head_name(trace.head) for trace in traces]

    def _recover(self) -> None:
        """Truncate what a killed append wrote after the checkpoint."""
        log = self.folder / LOG
        if self._known == (log.stat().st_size if log.exists() else 0):
            return
        size = read_checkpoint(self.folder)[0].size if (self.folder / CHECKPOINT).exists() else 0
        frontier, end = merkle.Frontier(), 0
        if size:
            for line in _raw_lines(log):
                end += len(line)
                if _HEAD.search(line):
                    frontier.add(merkle.leaf_hash(line.rstrip(b"\n")))
                if frontier.size == size:
                    break
            root = read_checkpoint(self.folder)[0].root
            if frontier.size != size or frontier.root() != root:
                raise DataError(
                    f"{self.folder}: the log is not the one that its checkpoint covers, so nothing is added:"
                    " see `medxiaohe trace verify`"
                )
        _truncate(log, end)
        opened = self.folder / OPENINGS
        keep = sum(len(line) for line, _ in zip(_raw_lines(opened), range(size), strict=False))
        _truncate(opened, keep)
        self._frontier, self._known = frontier, end

    def _blob(self, name: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != name:
            raise DataError(f"the blob {name[:80]!r} has other bytes than its digest says")
        path = blob_path(self.folder, name)
        if not path.exists():
            io.write(path, partial(_fill, data))

    def _copy(self, name: str, file: Path) -> None:
        if not SHA256.fullmatch(name) or blob_path(self.folder, name).exists():
            return
        try:
            with io.open_regular(file) as opened:
                data = opened.read()
        except (OSError, DataError):
            return  # the verifier counts it as not checked
        if hashlib.sha256(data).hexdigest() == name:
            self._blob(name, data)


def stored(folder: Path) -> Iterator[Stored]:
    """Read the traces of a folder, one at a time.

    Args:
        folder: with log.jsonl and openings.jsonl.

    Yields:
        traces in the order of the log.

    Raises:
        DataError: no log, a torn last line, or more records without a head than a trace may have.
    """
    log = folder / LOG
    if not log.is_file():
        raise DataError(f"{folder} is no folder of traces: there is no {LOG} in it")
    openings = iter(_raw_lines(folder / OPENINGS))
    lines: list[bytes] = []
    first, number, index = 1, 0, 0
    for number, line in enumerate(_raw_lines(log), start=1):
        if not line.endswith(b"\n"):
            raise DataError(f"{log}:{number}: the last line is cut short: the log was truncated")
        lines.append(line[:-1])
        if _HEAD.search(line):
            yield Stored(index, first, tuple(lines), next(openings, b"").rstrip(b"\n"))
            lines, first, index = [], number + 1, index + 1
        elif len(lines) > MAX_RECORDS:
            raise DataError(f"{log}:{first}: more than {MAX_RECORDS:,} records without a head")
    if lines:
        raise DataError(f"{log}:{first}: the last {len(lines)} records have no head: the log was truncated")


def read_checkpoint(folder: Path) -> tuple[Checkpoint, str]:
    """Read the checkpoint of a folder or of a file.

    Args:
        folder: of traces, or a file with a checkpoint.

    Returns:
        the checkpoint and the text of its note

    Raises:
        DataError: there is none, or it cannot be read.
    """
    path = folder / CHECKPOINT if folder.is_dir() else folder
    try:
        note = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise DataError(f"no checkpoint: {path}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a checkpoint: not a readable text file") from error
    try:
        return notes.parse(note)[0], note
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def parse_openings(line: bytes) -> tuple[str, dict[str, Opening], dict[str, bytes]]:
    """Parse a line of openings.jsonl.

    Args:
        line: without the line break; b"" for a trace without openings.

    Returns:
        (name of the trace, record id -> (salt, value), record id -> canonical JSON of the value).

    Raises:
        DataError: the line is no canonical line of openings.
    """
    if not line:
        return "", {}, {}
    row, canonical = parse(line)
    try:
        trace = str(row["trace"])
        openings = {id: (str(salt), value) for id, (salt, value) in row["openings"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError("not a line of openings") from error
    values = {id: canonical(value) for id, (_, value) in openings.items()}
    if opening_line(trace, {id: salt for id, (salt, _) in openings.items()}, values) != line:
        raise DataError("not a canonical line of openings")
    return trace, openings, values


def read_blob(folder: Path, name: str) -> bytes | None:
    """Read a stored file by its digest.

    Args:
        folder: of traces.
        name: SHA-256 digest, 64 hex digits.

    Returns:
        bytes, or None
    """
    if not SHA256.fullmatch(name):
        return None  # never a path from a record
    try:
        with io.open_regular(blob_path(folder, name)) as file:
            return file.read()
    except OSError:
        return None


def blob_path(folder: Path, name: str) -> Path:
    """Compute the path of a stored file from its digest: blobs/ab/SHA256.

    Args:
        folder: of the traces.
        name: SHA-256 of the bytes, in hex.

    Returns:
        the path; the file need not exist.
    """
    return folder / BLOBS / name[:2] / name


def head_name(head: bytes) -> str:
    """Compute the name of a trace: the SHA-256 of its head.

    Args:
        head: canonical JSON of the head, without the line break.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(head).hexdigest()


def _opened(trace: Sealed) -> bytes:
    salts = {id: salt for id, (salt, _) in trace.openings.items()}
    return opening_line(head_name(trace.head), salts, trace.values) + b"\n"


def write_copy(
    folder: Path, out: Path, select: Callable[[Stored], dict[str, Opening]], blobs: Mapping[str, Any]
) -> None:
    """Copy a log with other openings; log and checkpoint have the same bytes.

    Args:
        select: returns the openings that a trace keeps; called for each trace, in order.
        blobs: their names, which are read when every trace was seen.
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out} is not empty: a copy goes into a new folder")
    out.mkdir(parents=True, exist_ok=True)

    def openings(file: IO[bytes]) -> None:
        for trace in stored(folder):
            opened = select(trace)
            values = {id: dumps(value) for id, (_, value) in opened.items()}
            salts = {id: salt for id, (salt, _) in opened.items()}
            file.write(opening_line(head_name(trace.lines[-1]), salts, values) + b"\n")

    io.write(out / OPENINGS, openings)
    for name in blobs:
        if (data := read_blob(folder, name)) is not None:
            io.write(blob_path(out, name), partial(_fill, data))
    io.write(out / LOG, lambda file: file.writelines(_raw_lines(folder / LOG)))
    if (folder / CHECKPOINT).exists():
        io.write_text(out / CHECKPOINT, read_checkpoint(folder)[1])


def _fill(data: bytes, out: IO[bytes]) -> None:
    out.write(data)


def _raw_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with io.open_regular(path) as file:
        number = 0
        while line := file.readline(io.MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > io.MAX_LINE_BYTES:
                raise DataError(f"{path}:{number}: a line longer than {io.MAX_LINE_BYTES >> 20} MiB")
            yield line


def _truncate(path: Path, size: int) -> None:
    with io.storage(path), open(path, "ab") as file:
        if file.tell() > size:
            file.truncate(size)
            os.fsync(file.fileno())


def secret_of(path: Path) -> bytes:
    """Read the secret of a file, which is created where it is missing.

    Args:
        path: of the file; it is created with 32 random bytes, readable by its owner only.

    Returns:
        the secret

    Raises:
        DataError: the file has something else.
    """
    if not path.exists():
        with io.in_turn(path):
            if not path.exists():
                io.write_text(path, os.urandom(32).hex() + "\n")
                path.chmod(0o600)
    try:
        return bytes.fromhex(path.read_text().strip())
    except ValueError as error:
        raise DataError(f"{path}: not a secret: 64 hex digits") from error
