"""Captions of files from a table: name of the file, with or without its folder and endings -> text."""

from __future__ import annotations

from pathlib import Path

from medxiaohe.data.formats.records import records
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.data.readers.table import said
from medxiaohe.errors import DataError


def captions(table: Path | None, file: str, caption: str) -> dict[str, str]:
    """`caption` is a column, or a text with columns in braces. DataError when the table or a column is not
    there."""
    found: dict[str, str] = {}
    for record in records(table) if table else ():
        if isinstance(record, DeadLetter):
            raise DataError(f"{table}: {record.where}: {record.reason}")
        try:
            found[key(said(record.row, file))] = said(record.row, caption)
        except Rejected as error:
            raise DataError(f"{table}: {error}") from error
    return found


def key(name: str) -> str:
    """ "scans/a.nii.gz" -> "a" """
    return Path(name).name.partition(".")[0] if not Path(name).name.startswith(".") else Path(name).name
