"""Tables of the Disease Ontology: id, label and either subClassOf (a parent's label) or xrefs (codes
elsewhere).

A term has one row for each of its parents. A parent that is no label of the file is left for entity.build to
count.
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers import _tables
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

LICENSE = "CC0-1.0"
TOP = {"disease": "DOID:4"}  # the parent of the first division, which has no row

EXAMPLE: dict[str, str | bytes] = {
    "HumanDO.tsv": "id\tlabel\tsubClassOf\n"
    '"DOID:4"\t"disease"\t""\n'
    '"DOID:305"\t"carcinoma"\t"disease"\n'
    '"DOID:299"\t"adenocarcinoma"\t"carcinoma"\n'
}


def do_table(path: Path | None = None) -> Iterator[Entity]:
    """Read a table of the Disease Ontology.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    labels: dict[str, str] = {}
    above: dict[str, list[str]] = {}
    codes: dict[str, list[str]] = {}
    for number, row in _tables.rows(path, "do_table", ("id", "label")):
        if not row["id"]:
            raise DataError(f"{path}:{number}: a row without an id")
        labels.setdefault(row["id"], row["label"])
        above.setdefault(row["id"], []).append(row.get("subClassOf", ""))
        codes.setdefault(row["id"], []).extend(
            code.strip() for code in row.get("xrefs", "").split(",") if code.strip()
        )
    assert path is not None
    ids = {**TOP, **{label: id for id, label in labels.items()}}
    for id, label in labels.items():
        parents = tuple(dict.fromkeys(ids.get(parent, parent) for parent in above[id] if parent))
        yield Entity(
            id,
            label,
            "disease",
            parents,
            (),
            "",
            tuple(dict.fromkeys(codes[id])),
            _tables.source(path),
            LICENSE,
        )
