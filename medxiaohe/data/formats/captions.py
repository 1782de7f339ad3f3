"""Look up the captions of files in a table: name of the file, with or without its folder and endings ->
text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from medxiaohe.data.formats.columns import cell
from medxiaohe.data.formats.records import records
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import DataError


class Captions:
    """The captions of a table; a file is known by its place in the folder, or by its name where no other file
    has it."""

    def __init__(self, texts: Mapping[str, str], files: Iterable[str] = ()):
        self._of = dict(texts)
        self._files = Counter(map(key, files)) if texts else Counter()

    def get(self, file: str) -> str:
        """Look up the caption of a file.

        Args:
            file: its place in the folder, such as "scans/a.nii.gz".

        Returns:
            The caption; "" where there is none.

        Raises:
            Rejected: row, if the table has only a name that two files have.
        """
        if (path := _place(file)) in self._of:
            return self._of[path]
        name = key(file)
        if name in self._of and self._files[name] > 1:
            raise Rejected(
                "row",
                f"{self._files[name]} files are called {name!r}: write them with their folders in the"
                " table of captions",
            )
        return self._of.get(name, "")


def captions(table: Path | None, file: str, caption: str, files: Iterable[str] = ()) -> Captions:
    """Read the captions of files from a table.

    Args:
        table: a file of rows (records.py); None: no file has a caption.
        file: column with the name of the file.
        caption: column, or a text with columns in braces.
        files: places of all files in the folder, to notice names that two of them have.

    Returns:
        The captions.

    Raises:
        DataError: the table or a column is missing, or there are two captions for one file.
    """
    result: dict[str, str] = {}
    for record in records(table) if table else ():
        if isinstance(record, DeadLetter):
            raise DataError(f"{table}: {record.where}: {record.reason}")
        try:
            name, text = _place(cell(record.row, file)), cell(record.row, caption)
            if result.setdefault(name, text) != text:
                raise Rejected("row", f"two captions for {name!r}")
        except Rejected as error:
            raise DataError(f"{table}: {error}") from error
    return Captions(result, files)


def _place(name: str) -> str:
    """ "scans/a.nii.gz" -> "scans/a" """
    folder = Path(name).parent.as_posix()
    return key(name) if folder == "." else f"{folder}/{key(name)}"


def key(name: str) -> str:
    """Reduce the name of a file to its stem: "scans/a.nii.gz" -> "a".

    Returns:
        The name without folders and endings; a name that begins with a dot is not changed.
    """
    return Path(name).name.partition(".")[0] if not Path(name).name.startswith(".") else Path(name).name
