"""Write files durably and atomically: a draft in the same folder, fsync, rename, fsync of the folder.

`CRASH_AT=n` in the environment kills the process (SIGKILL) just before the n-th durable step: tests enumerate
n and compare what a resumed run leaves.
"""

import errno
import fcntl
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from medxiaohe.errors import DataError, MedError, StorageError
from medxiaohe.io.rows import encoded, which

OF_RUST = re.compile(r"\(os error (\d+)\)")
ONLY_OF_WRITES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_steps = 0


def durable_step() -> None:
    """Count a step that must survive a power cut, and kill the process before it where CRASH_AT says so."""
    global _steps
    _steps += 1
    if os.environ.get("CRASH_AT") == str(_steps):
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Convert errors of the operating system about a disk to a StorageError of one sentence.

    Args:
        path: that is being written; an error about another file names that file.

    Raises:
        StorageError: in the place of the error; others, and those of medxiaohe, pass unchanged.
    """
    try:
        yield
    except Exception as error:
        number = _errno(error)
        if isinstance(error, MedError) or not number:
            raise
        reason = {
            errno.ENOSPC: "the disk is full: free some space and run again",
            errno.EDQUOT: "the disk quota is used up: free some space and run again",
            errno.EFBIG: "the file would pass the size limit set for this process (ulimit -f)",
            errno.EACCES: "no permission to write there: choose another --out folder",
            errno.EPERM: "no permission to write there: choose another --out folder",
            errno.EROFS: "the file system is read-only: choose another --out folder",
            errno.ENOTDIR: "a part of the path is a file, not a folder: choose another --out folder",
            errno.EEXIST: "there is a file where a folder should be: choose another --out folder",
            errno.ENAMETOOLONG: "the name is too long for this file system: choose a shorter --out folder",
            errno.EIO: "the disk reports an input/output error: check it, or choose another --out folder",
        }.get(number)
        if reason is None:
            raise
        named = getattr(error, "filename", None)
        culprit = Path(os.fsdecode(named)) if isinstance(named, (str, bytes)) else path
        if path.parent not in (culprit, *culprit.parents) and culprit not in path.parents:
            # an input, not the output
            raise StorageError(f"{culprit}: {(getattr(error, 'strerror', '') or reason).lower()}") from error
        raise StorageError(f"cannot write {path}: {reason}") from error


def _errno(error: Exception) -> int:
    """Return the number of an operating system's error, 0 for another error.

    Libraries in Rust (safetensors, tokenizers) have it in their message, which is trusted only for errors
    that only a write can raise.
    """
    if isinstance(error, OSError):
        return error.errno or 0
    match = OF_RUST.search(str(error))
    return int(match[1]) if match and int(match[1]) in ONLY_OF_WRITES else 0


def make_folder(folder: Path) -> None:
    """Make a folder and those above it so that they survive a power cut: the parent of each is synced.

    Raises:
        OSError: it cannot be made.
    """
    new = [item for item in (folder, *folder.parents) if not item.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for created in reversed(new):
        fsync_folder(created.parent)


def write(path: Path, fill: Callable[[IO[bytes]], Any]) -> Any:
    """Write a file atomically: a draft, fsync, rename. Two processes that write one path take turns.

    Args:
        path: of the file; its folder is made.
        fill: writes the content to a binary file.

    Returns:
        What `fill` returns.

    Raises:
        StorageError: the disk cannot be written.
    """
    with storage(path):
        make_folder(path.parent)
        draft = path.with_name(f".{path.name}.draft")
        with _held(draft) as out:
            try:
                # content on the disk first, then the name: a crash leaves the old file or the new one
                result = fill(out)
                out.flush()
                durable_step()
                os.fsync(out.fileno())
                durable_step()
                os.replace(draft, path)
                fsync_folder(path.parent)
            except BaseException:
                draft.unlink(missing_ok=True)  # while it is held: later it could be another's
                raise
    return result


def _held(draft: Path) -> IO[bytes]:
    """Open the draft exclusively (flock) and truncate it. A second writer blocks until this one publishes
    or aborts, then begins a new draft.
    """
    while True:
        out = open(
            draft, "wb", opener=lambda name, _: os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        )
        fcntl.flock(out, fcntl.LOCK_EX)
        try:
            mine = os.path.samestat(os.fstat(out.fileno()), draft.stat())
        except FileNotFoundError:
            mine = False
        if mine:
            out.truncate(0)  # what a killed process left
            return out
        out.close()


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a path that several processes share; the others wait. The lock file is beside
    it.

    Args:
        path: a file or folder.

    Raises:
        StorageError: the lock cannot be made.
    """
    with storage(path):
        make_folder(path.parent)
        turn = open(path.with_name(f".{path.name}.lock"), "wb")
    with turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically (`write`).

    Args:
        path: of the file.
        text: its content; line breaks are written unchanged.

    Raises:
        StorageError: the disk cannot be written.
    """
    write(path, lambda out: out.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, indented by two blanks (`write`).

    Raises:
        DataError: the value cannot be written as JSON.
    """
    write(path, lambda out: out.write(_dump(value, path, indent=2)))


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write rows as JSON lines atomically: the file appears only when it is complete.

    Args:
        path: of the file.
        rows: as `to_json` takes them.

    Returns:
        The number of rows.

    Raises:
        DataError: a row cannot be written as JSON.
        StorageError: the disk cannot be written.
    """

    def fill(out: IO[bytes]) -> int:
        count = 0
        for row in rows:
            out.write(_dump(row, path))
            count += 1
        return count

    return int(write(path, fill))


def append_jsonl(path: Path, rows: Iterable[Any], sync: bool = True) -> None:
    """Append whole lines to a file of unfinished work; a kill may cut the last one short, which
    `drop_torn_line` repairs.

    Args:
        path: of the file.
        rows: as `to_json` takes them.
        sync: fsync, so that the lines survive a crash of the machine; False: only one of this process.

    Raises:
        DataError: a row cannot be written as JSON.
        StorageError: the disk cannot be written.
    """
    append_bytes(path, b"".join(_dump(row, path) for row in rows), sync)


def append_bytes(path: Path, data: bytes, sync: bool = True) -> None:
    """Append whole lines that are bytes already, as `append_jsonl` does.

    Args:
        path: of the file.
        data: lines with their ends.
        sync: as in `append_jsonl`.

    Raises:
        StorageError: the disk cannot be written.
    """
    with storage(path), open(path, "ab") as out:
        durable_step()
        out.write(data)
        out.flush()
        if sync:
            os.fsync(out.fileno())


def drop_torn_line(path: Path) -> None:
    """Truncate a file after its last line break, where a kill cut an appended line short.

    Args:
        path: of the file; nothing is done where it does not exist.

    Raises:
        StorageError: the disk cannot be written.
    """
    if not path.exists():
        return
    with storage(path), open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 2**16)
            file.seek(start)
            cut = file.read(end - start).rfind(b"\n")
            if cut >= 0:
                end = start + cut + 1
                break
            end = start
        file.truncate(end)


def _dump(value: Any, path: Path, indent: int | None = None) -> bytes:
    try:
        return encoded(value, indent)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {which(value)} cannot be written as JSON: {error}") from error


def fsync_file(path: Path) -> None:
    """Flush a file to the disk.

    Raises:
        OSError: the disk fails.
    """
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk, so that a rename in it survives a power cut.

    Raises:
        OSError: the disk fails.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
