"""Tab-separated tables with a header: rows as {column: cell}, quotes and angle brackets around a cell
removed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError


def rows(path: Path | None, reader: str, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a tab-separated table with a header; lines that begin with # are comments.

    Args:
        path: of the table.
        reader: name of the vocabulary, for the error.
        needed: columns that the header must have.

    Yields:
        (line number from 1, {column: cell})

    Raises:
        ConfigError: `path` is None.
        DataError: there is no header, a column is missing, or a line has too few or too many cells.
    """
    columns: list[str] = []
    for number, line in io.lines(named(path, reader)):
        if line.startswith("#") or not line.strip():
            continue
        cells = [cell.strip().strip('"') for cell in line.split("\t")]
        if not columns:
            columns = cells
            if missing := [name for name in needed if name not in columns]:
                raise DataError(
                    f"{path}:{number}: no column {missing[0]!r}: the first line must name the columns"
                    f" {', '.join(needed)}"
                )
        elif len(cells) != len(columns):
            raise DataError(f"{path}:{number}: {len(cells)} columns, but the header has {len(columns)}")
        else:
            yield number, dict(zip(columns, cells, strict=True))
    if not columns:
        raise DataError(
            f"{path}: no rows in this file: its first line must name the columns {', '.join(needed)}"
        )


def comments(path: Path) -> dict[str, str]:
    """Read the comment lines `# key: value` before the header of a table.

    Returns:
        key -> value

    Raises:
        DataError: the file cannot be read.
    """
    result = {}
    for _, line in io.lines(path):
        if not line.startswith("#"):
            break
        name, colon, value = line.lstrip("# ").partition(":")
        if colon:
            result[name.strip()] = value.strip().strip('"')
    return result


def named(path: Path | None, reader: str) -> Path:
    """Require a path for a vocabulary that has no package file.

    Raises:
        ConfigError: `path` is None.
    """
    if path is None:
        raise ConfigError(f"the vocabulary {reader} has no package file: name one with `path:`")
    return path


def source(path: Path) -> str:
    """Name of the source of a file's terms.

    Returns:
        file name without .gz and its last ending
    """
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]
