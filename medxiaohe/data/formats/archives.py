"""Take the files out of a .zip or .tar (packed or not) and nothing else: no path outside, no link, no device,
no surprise in size.

Reliability.md section 2: Python 3.11's tarfile writes outside its folder by default. Here names are checked,
contents are copied as bytes while they are counted, and nothing else of a member (owner, mode, link) is used.
"""

from __future__ import annotations

import errno
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from medxiaohe.data.formats import files
from medxiaohe.data.readers import DeadLetter, Rejected

ENDINGS = (".zip", ".tar", ".tgz", ".tbz2", ".txz")
MAX_MEMBERS, MAX_BYTES = 100_000, 8 * 2**30
# not about the archive
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)
RATIO, FLOOR, BLOCK = 100, 64 * 2**20, 2**20


def extract(archive: Path, folder: Path) -> list[DeadLetter]:
    """Write the safe members below `folder`; the others are dead letters. Rejected when the archive as a
    whole is refused."""
    letters: list[DeadLetter] = []
    room = min(MAX_BYTES, max(FLOOR, RATIO * archive.stat().st_size))
    taken = set[str]()
    damaged: tuple[type[Exception], ...] = (
        tarfile.TarError,
        zipfile.BadZipFile,
        RuntimeError,
        LookupError,
        struct.error,
        *files.damage(),
    )
    try:
        for number, (name, kind, source) in enumerate(_members(archive), start=1):
            if number > MAX_MEMBERS:
                raise Rejected("bomb", f"{archive.name}: more than {MAX_MEMBERS:,} members")
            if reason := _unsafe(name, kind):
                letters.append(DeadLetter(f"{archive.name}:{name[:120]}", reason, "unsafe_path"))
            elif kind == "file" and source is not None:
                if name.casefold() in taken:
                    letters.append(
                        DeadLetter(
                            f"{archive.name}:{name[:120]}",
                            "a member of this name was there before",
                            "duplicate",
                        )
                    )
                    continue
                taken.add(name.casefold())
                room -= _copy(source, folder / name, room, archive)
    except damaged as error:
        if isinstance(error, Rejected) or (isinstance(error, OSError) and error.errno in DISK):
            raise
        raise Rejected("truncated", f"{archive.name}: damaged: {str(error)[:200]}") from error
    return letters


def _members(archive: Path) -> Iterator[tuple[str, str, IO[bytes] | None]]:
    """(name, "file" | "folder" | "link or device", content)"""
    if archive.suffix.lower() == ".zip" or zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                mode = (info.external_attr >> 28) & 0xF
                kind = "folder" if info.is_dir() else "file" if mode in (0, 8) else "link or device"
                yield info.filename, kind, packed.open(info) if kind == "file" else None
        return
    # one pass: a packed tar cannot be unpacked twice to bloat us
    with tarfile.open(archive, "r|*") as stream:
        for member in stream:
            kind = "folder" if member.isdir() else "file" if member.isreg() else "link or device"
            yield member.name, kind, stream.extractfile(member) if kind == "file" else None


def _unsafe(name: str, kind: str) -> str:
    parts = PurePosixPath(name).parts
    if kind == "link or device":
        return "a link or a device, not a file"
    if not parts or name.startswith("/") or ".." in parts or any(mark in name for mark in "\\:\0\n"):
        return "its name leads out of the folder"
    return (
        "its name is too long" if len(name) > 1000 or any(len(part.encode()) > 250 for part in parts) else ""
    )


def _copy(source: Any, target: Path, room: int, archive: Path) -> int:
    size = 0
    with source:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            out = open(target, "xb")
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise Rejected(
                "format", f"{archive.name}: {target.name} is there both as a file and as a folder"
            ) from error
        with out:
            while block := source.read(BLOCK):
                size += len(block)
                if size > room:
                    raise Rejected(
                        "bomb",
                        f"{archive.name}: unpacks to more than {RATIO} times its size, or {FLOOR >> 20} MiB",
                    )
                out.write(block)
    return size
