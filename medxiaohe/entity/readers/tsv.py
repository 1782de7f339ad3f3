r"""A vocabulary of your own: tab-separated, with a header. `id` and `name` are needed, the rest may be
missing.

    id      name        kind     parents      synonyms                 (also: definition, xrefs, source,
            license)
    my:1    pneumonia   disease  my:0|my:9    lung infection|pneumonitis

`parents`, `synonyms` and `xrefs` hold several values, separated by |. Chinese names are welcome.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import Entity

COLUMNS = ("id", "name", "kind", "parents", "synonyms", "definition", "xrefs", "source", "license")
SEVERAL = ("parents", "synonyms", "xrefs")

EXAMPLE: dict[str, str | bytes] = {
    "tiny.tsv": "id\tname\tkind\tparents\tsynonyms\tlicense\n"
    "my:0\tlung disease\tdisease\t\t\tCC0-1.0\n"
    "my:1\tpneumonia\tdisease\tmy:0\tlung infection|肺炎\tCC0-1.0\n"
}


def tsv(path: Path | None = None) -> Iterator[Entity]:
    """Read a tab-separated vocabulary.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    if path is None:
        raise ConfigError("the vocabulary tsv has no package file: name one with `path:`")
    columns: list[str] = []
    for number, line in io.lines(path):
        cells = [cell.strip() for cell in line.split("\t")]
        if not columns:
            columns = _header(cells, f"{path}:{number}")
        elif any(cells):
            yield _entity(cells, columns, path, number)
    if not columns:
        raise DataError(
            f"{path}: an empty file: its first line must name the columns, id and name among them"
        )


def _header(cells: list[str], location: str) -> list[str]:
    for cell in cells:
        if cell not in COLUMNS:
            raise DataError(f"{location}: unknown column {cell!r}{plugins.nearest(cell, COLUMNS)}")
    if missing := [name for name in ("id", "name") if name not in cells]:
        raise DataError(
            f"{location}: no column {missing[0]!r}: the first line must name the columns, id and name among"
            f" them"
        )
    return cells


def _entity(cells: list[str], columns: list[str], path: Path, number: int) -> Entity:
    if len(cells) != len(columns):
        raise DataError(f"{path}:{number}: {len(cells)} columns, but the header has {len(columns)}")
    row = dict(zip(columns, cells, strict=True))
    if not row["id"]:
        raise DataError(f"{path}:{number}: a row without an id")
    several = {
        name: tuple(item.strip() for item in row.get(name, "").split("|") if item.strip()) for name in SEVERAL
    }
    single: dict[str, Any] = {
        "kind": "other",
        "source": path.name.split(".")[0],
        **{key: value for key, value in row.items() if value},
    }
    return Entity(**{**single, "name": row["name"], **several})
