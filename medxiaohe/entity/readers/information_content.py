"""How much a phenotype tells: a JSON object {"HP:0000003": 4.94}, as RareBench has it; facts without an
object."""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers import _json, _tables
from medxiaohe.errors import DataError
from medxiaohe.types import Relation

EXAMPLE: dict[str, str | bytes] = {"ic.json": '{"HP:0000001": 0.05,\n "HP:0000003": 4.94}\n'}


def information_content(path: Path | None = None) -> Iterator[Relation]:
    """Read the information content of phenotypes.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = _tables.named(path, "information_content")
    table = _json.load(path)
    if (
        not isinstance(table, dict)
        or not table
        or not all(isinstance(value, int | float) for value in table.values())
    ):
        raise DataError(f"{path}: must be a JSON object of numbers, id -> information content")
    for id, value in table.items():
        yield Relation(
            id,
            "information content",
            "",
            round(float(value), 6),
            _tables.source(path),
            "Apache-2.0 (RareBench)",
        )
