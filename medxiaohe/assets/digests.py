"""Hash large inputs once for each time they are written, and cache the digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.assets.cache import cache_root

LARGE = 2**26  # bytes from which a digest is worth keeping: half a second of hashing


def sha256(path: Path) -> str:
    """Hash the bytes of a file; the hash of one of LARGE bytes or more is cached until the file changes.

    Returns:
        64 hexadecimal digits.
    """
    return io.sha256(path) if path.stat().st_size < LARGE else _kept([path], lambda: io.sha256(path))


def content(path: Path) -> str:
    """Hash the bytes of a file, or the names and bytes of all files below a folder.

    A published folder has the digest of its manifest. Hidden files, such as drafts, do not count.

    Returns:
        16 hexadecimal digits.
    """
    if not path.is_dir():
        return sha256(path)[:16]
    if (path / io.MANIFEST).is_file():
        return io.digest(path)
    files = sorted(_files(path))

    def digest() -> str:
        return io.fingerprint([[file.relative_to(path).as_posix(), io.sha256(file)] for file in files])

    return digest() if sum(file.stat().st_size for file in files) < LARGE else _kept(files, digest)


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.is_file() and not any(name.startswith(".") for name in file.relative_to(folder).parts):
            yield file


def _kept(files: list[Path], digest: Callable[[], str]) -> str:
    """Return the digest of these files from the cache, or compute it if one of them was written since."""
    stats = [(file, file.stat()) for file in files]
    key = io.fingerprint(
        [
            [str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
            for file, stat in stats
        ]
    )
    cached = cache_root() / "digests" / key
    if not cached.is_file():
        io.write_text(cached, digest())
    return cached.read_text(encoding="utf-8")
