"""Files that rows of data name are opened inside the data's own folder, and only regular files are opened.

A row is written by others: `../secret/x.png`, an absolute path, `file://` and a link may lead anywhere, a
device never ends and a FIFO never begins. Folders that the user names (`allow_outside`) are opened as well.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from medxiaohe.errors import Rejected


@dataclass(frozen=True, slots=True)
class Confined:
    """The folders, with links resolved, that rows may name files in."""

    folders: tuple[Path, ...]

    def path(self, name: str, start: Path) -> Path:
        """Check the path that a row names.

        Args:
            name: as the row has it: relative, absolute, or a file:// address.
            start: the folder from which relative names count.

        Returns:
            `start / name`, as written: links in it lead to one of the folders.

        Raises:
            Rejected: unsafe_path for a name that leads out of the folders or cannot be a path, or that is a
                device, a FIFO or a socket. A file that does not exist is left to whoever opens it.
        """
        written = start / name.removeprefix("file://")
        try:
            real = written.resolve()
            kind = stat.S_IFMT(real.stat().st_mode) if real.exists() else stat.S_IFREG
        except (OSError, ValueError, RuntimeError) as error:  # a zero byte, links in a circle, no permission
            raise Rejected("unsafe_path", f"{name[:80]!r} cannot be a path") from error
        if not any(real.is_relative_to(folder) for folder in self.folders):
            own = self.folders[0].name if self.folders else "the data"
            raise Rejected(
                "unsafe_path",
                f"{name[:80]!r} leads out of {own}: only files of the data's own folder are opened;"
                " allow_outside: [FOLDER] opens another",
            )
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise Rejected("unsafe_path", f"{name[:80]!r} is a device, a FIFO or a socket, not a file")
        return written


def confined(data: Path | None, allow_outside: Iterable[str | Path] = ()) -> Confined:
    """Return the folders in which rows of a data file may name files.

    Args:
        data: a data file, or the data folder itself; None for rows that may name no file, such as those of a
            remote data set.
        allow_outside: further folders that the user allows.

    Returns:
        The folders, with links resolved.
    """
    if isinstance(allow_outside, (str, Path)):
        allow_outside = [allow_outside]
    own = [] if data is None else [data if data.is_dir() else data.parent]
    return Confined(
        tuple(folder.resolve() for folder in (*own, *(Path(f).expanduser() for f in allow_outside)))
    )


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; never waits for a FIFO.

    Raises:
        Rejected: unsafe_path for a device, a FIFO or a socket.
        OSError: as `open` raises it.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(21, "is a directory", str(path))
        raise Rejected("unsafe_path", f"{path}: a device, a FIFO or a socket, not a file: not opened")
    return os.fdopen(handle, "rb")
