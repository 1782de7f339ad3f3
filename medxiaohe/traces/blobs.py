"""Look up files by the SHA-256 of their bytes: those of blobs/, and those of further folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medxiaohe import io
from medxiaohe.traces.store import SHA256, blob_path


class Blobs:
    """Look-up of sources of traces by digest. A file is not trusted to have the bytes of its name."""

    def __init__(self, folder: Path, beside: Sequence[Path] = ()) -> None:
        """Take the folder of traces, and further folders, whose files are hashed once."""
        self.folder = folder
        files = (file for item in beside for file in sorted(item.rglob("*")))
        self._beside = {io.sha256(f): f for f in files if f.is_file() and not f.is_symlink()}

    def path(self, name: str) -> Path | None:
        """Find the file with a digest. Paths in records are never used.

        Args:
            name: SHA-256 digest, 64 hex digits.

        Returns:
            the path of the file, or None
        """
        if not SHA256.fullmatch(name):
            return None
        inside = blob_path(self.folder, name)
        return inside if inside.is_file() else self._beside.get(name)

    def read(self, name: str) -> bytes | None:
        """Read the file with a digest.

        Args:
            name: SHA-256 digest, 64 hex digits.

        Returns:
            its bytes, not checked against the digest, or None
        """
        if (path := self.path(name)) is None:
            return None
        try:
            with io.open_regular(path) as file:
                return file.read()
        except OSError:
            return None
