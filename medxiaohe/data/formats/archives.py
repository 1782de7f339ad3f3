"""Extract the files of a .zip or .tar (compressed or not) safely: no path outside of the folder, no link, no
device, no decompression bomb.

Python 3.11's tarfile writes outside of its folder by default. Here names are checked,
contents are copied as bytes while they are counted, and nothing else of a member (owner, mode, link) is used.
"""

from __future__ import annotations

import errno
import os
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.io.packed import damage

ENDINGS = (".zip", ".tar", ".tgz", ".tbz2", ".txz")
MAX_MEMBERS, MAX_BYTES = 100_000, 8 * 2**30  # members, and unpacked bytes, of any archive
# an archive of nothing but names: beyond so many members each must take so many bytes of it, and how many may
# be empty
SMALL_ARCHIVE, MEMBER_BYTES, MAX_EMPTY = 10_000, 128, 1_000
MAX_HEADER = 2**16  # bytes of a name or of the extended header of one member
# errors of the disk, not of the archive
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)
# an archive unpacks to at most RATIO times its size, or FLOOR bytes if that is more
RATIO, FLOOR = 100, 64 * 2**20
BLOCK = 2**20  # bytes copied at once
# of a zip's directory: bytes of an entry without its name, of a name with its extra fields, and how far back
# from the end of the file its end record may begin
ENTRY, MEAN_NAME, END_REACH = 46, 210, 2**16 + 22 + 20


def extract(archive: Path, folder: Path) -> list[DeadLetter]:
    """Extract the safe members of an archive: files with a relative name inside the folder.

    Args:
        archive: a .zip or .tar file, packed or not.
        folder: where the members are written, below their own folders.

    Returns:
        Rejected rows for unsafe members (unsafe_path) and for names that occur twice (duplicate).

    Raises:
        Rejected: bomb for too many members, empty files or unpacked bytes; truncated for a damaged
            archive; format where a name is both a file and a folder.
    """
    letters: list[DeadLetter] = []
    size = archive.stat().st_size
    # budgets of unpacked bytes and of members, by the size of the archive
    room = min(MAX_BYTES, max(FLOOR, RATIO * size))
    most = min(MAX_MEMBERS, max(SMALL_ARCHIVE, size // MEMBER_BYTES))
    taken, empty = set[str](), 0
    damaged: tuple[type[Exception], ...] = (
        tarfile.TarError,
        zipfile.BadZipFile,
        RuntimeError,
        LookupError,
        struct.error,
        *damage(),
    )
    try:
        for number, (name, kind, source) in enumerate(_members(archive, most), start=1):
            if number > most:
                raise Rejected("bomb", f"{archive.name}: more than {most:,} members")
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
                copied = _copy(source, folder / name, room, archive)
                room, empty = room - copied, empty + (not copied)
                if empty > MAX_EMPTY:
                    raise Rejected("bomb", f"{archive.name}: more than {MAX_EMPTY:,} empty files")
    except damaged as error:
        if isinstance(error, Rejected) or (isinstance(error, OSError) and error.errno in DISK):
            raise
        raise Rejected("truncated", f"{archive.name}: damaged: {str(error)[:200]}") from error
    return letters


class _Member(tarfile.TarInfo):
    """A member whose long name or extended header (pax, GNU) is refused unread where it is large.

    tarfile reads such a header whole and looks through it with regular expressions. The three hooks are those
    that the documentation of TarInfo names for subclasses.
    """

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        headers = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if self.type in (*headers, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            if self.size > MAX_HEADER:
                raise Rejected("bomb", f"a header of {self.size >> 20} MiB: not read")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def _members(archive: Path, most: int) -> Iterator[tuple[str, str, IO[bytes] | None]]:
    """List members as (name, "file" | "folder" | "link or device", content)."""
    if archive.suffix.lower() == ".zip" or zipfile.is_zipfile(archive):
        # each entry of the directory has a name after these bytes; `zipfile` would read all of them first
        if _directory_bytes(archive) > most * (ENTRY + MEAN_NAME):
            raise Rejected("bomb", f"{archive.name}: more than {most:,} members")
        with zipfile.ZipFile(archive) as packed:
            if len(packed.infolist()) > most:
                raise Rejected("bomb", f"{archive.name}: more than {most:,} members")
            for info in packed.infolist():
                mode = (info.external_attr >> 28) & 0xF
                kind = "folder" if info.is_dir() else "file" if mode in (0, 8) else "link or device"
                yield info.filename, kind, packed.open(info) if kind == "file" else None
        return
    # one pass: a packed tar cannot be unpacked twice to bloat us
    with tarfile.open(archive, "r|*", tarinfo=_Member) as stream:
        for member in stream:
            kind = "folder" if member.isdir() else "file" if member.isreg() else "link or device"
            yield member.name, kind, stream.extractfile(member) if kind == "file" else None


def _directory_bytes(archive: Path) -> int:
    """The size of a zip's central directory, as its end record has it; 0 where there is none.

    APPNOTE 6.3.10, sections 4.3.14 to 4.3.16. A file without an end record is refused by `zipfile`.
    """
    with open(archive, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - END_REACH))
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + 16 > len(tail):
            return 0
        result = int(struct.unpack("<L", tail[at + 12 : at + 16])[0])
        if at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":  # ZIP64
            file.seek(min(size, struct.unpack("<Q", tail[at - 12 : at - 4])[0]))
            record = file.read(56)
            if len(record) == 56 and record.startswith(b"PK\6\6"):
                return int(struct.unpack("<Q", record[40:48])[0])
        return result


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
            raise Rejected("format", f"{archive.name}: {target.name} is both a file and a folder") from error
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
