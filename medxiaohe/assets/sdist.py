"""Read source distributions (.tar.gz) as wheels are read, and download them by pip without running their
code.

pip asks a source distribution for its metadata by running its build backend, even when it only downloads.
The backend here is a stand-in that answers with the name and version of the spec; it precedes setuptools on
the path of the process that pip starts, so that no file of the package is executed.
"""

from __future__ import annotations

import stat
import tarfile
from pathlib import Path
from types import TracebackType
from typing import IO

SUFFIX = ".tar.gz"
STAND_IN = """
class _Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        import os

        folder = {folder!r}
        os.makedirs(os.path.join(metadata_directory, folder))
        with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as file:
            file.write("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return folder


__legacy__ = _Backend()
get_requires_for_build_wheel = __legacy__.get_requires_for_build_wheel
prepare_metadata_for_build_wheel = __legacy__.prepare_metadata_for_build_wheel
"""
PIP = ("--no-binary=:all:", "--no-build-isolation", "--use-pep517")


class Member:
    """A file of the archive, with the fields of zipfile.ZipInfo that unpacking reads."""

    def __init__(self, member: tarfile.TarInfo):
        self.member, self.filename = member, member.name
        kind = stat.S_IFREG if member.isreg() else stat.S_IFDIR if member.isdir() else stat.S_IFLNK
        self.external_attr = kind << 16

    def is_dir(self) -> bool:
        """Check whether the member is a folder.

        Returns:
            True for a folder.
        """
        return self.member.isdir()


class Sdist:
    """A .tar.gz, read without extracting it.

    Raises:
        tarfile.TarError: the file is not one.
    """

    def __init__(self, file: IO[bytes]):
        file.seek(0)
        self._archive = tarfile.open(fileobj=file, mode="r:gz")

    def __enter__(self) -> Sdist:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def infolist(self) -> list[Member]:
        """List the members of the archive.

        Returns:
            Files, folders and links, in the order of the archive.
        """
        return [Member(member) for member in self._archive.getmembers()]

    def open(self, member: Member) -> IO[bytes]:
        """Open a member for reading.

        Returns:
            A binary file.

        Raises:
            tarfile.TarError: the member is no file, or the archive is damaged.
        """
        file = self._archive.extractfile(member.member)
        if file is None:
            raise tarfile.ReadError(f"{member.filename} is no file")
        return file


def stand_in(folder: Path, name: str, version: str) -> Path:
    """Write a build backend that answers pip with a name and a version, in the place of setuptools.

    Args:
        folder: for the backend; it goes first on the path of Python.
        name: of the package.
        version: of the package.

    Returns:
        `folder`.
    """
    package = folder / "setuptools"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    text = STAND_IN.format(folder=f"{name.replace('-', '_')}-{version}.dist-info", name=name, version=version)
    (package / "build_meta.py").write_text(text)
    return folder
