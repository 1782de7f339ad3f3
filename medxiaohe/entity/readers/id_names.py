"""A JSON object from ids to names, {"ORPHA:10": "48,XXYY syndrome/XXYY"}, as RareBench has them; / parts the
names.

Ids of one spelling of the names are ids of one entity, the first of them. The kind is what the prefix of the
id says.
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers import _json, _tables
from medxiaohe.entity.tree.ids import kind_of
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

FLAT = True  # this file has no parents

EXAMPLE: dict[str, str | bytes] = {
    "names.json": '{"ORPHA:101005": "SPG25/Spastic paraplegia 25",\n'
    ' "OMIM:608220": "SPG25/Spastic paraplegia 25",\n "HP:0001945": "Fever"}\n'
}


def id_names(path: Path | None = None) -> Iterator[Entity]:
    """Read names of ids.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = _tables.named(path, "id_names")
    table = _json.load(path)
    if not isinstance(table, dict) or not table or not all(isinstance(name, str) for name in table.values()):
        raise DataError(f"{path}: must be a JSON object of names, id -> name")
    ids: dict[tuple[str, str], list[str]] = {}
    for id, name in table.items():
        ids.setdefault((kind_of(id), name.strip()), []).append(id)
    for (kind, names), (first, *others) in ids.items():
        name, *synonyms = _parts(names) if kind == "disease" else [names]
        yield Entity(
            first,
            name,
            kind,
            (),
            tuple(synonyms),
            "",
            tuple(others),
            _tables.source(path),
            "Apache-2.0 (RareBench)",
        )


def _parts(names: str) -> list[str]:
    """Split names at slashes, but not "and/or" and "3q21/q22"."""
    parts = [name.strip() for name in names.split("/")]
    return parts if all(len(name) > 4 for name in parts) else [names]
