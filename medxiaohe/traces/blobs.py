"""Files by the SHA-256 of their bytes: those of blobs/, and those of folders that are named beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medxiaohe import io
from medxiaohe.traces.store import SHA256, blob_path


class Blobs:
    """Looks sources of traces up by digest. Nothing here trusts that a file has the bytes of its name."""

    def __init__(self, folder: Path, beside: Sequence[Path] = ()) -> None:
        """`beside` are folders of files, each of which is hashed once."""
        self.folder = folder
        files = (file for item in beside for file in sorted(item.rglob("*")))
        self._beside = {io.sha256(f): f for f in files if f.is_file() and not f.is_symlink()}

    def path(self, name: str) -> Path | None:
        """Where the file of a digest is; None where there is none. Never a path that a record spells.

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
        """The bytes of the file, whatever they are; None where there is none.

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
