"""Links of the Disease Ontology: each row a disease and a symptom (SYMP) or a structure (UBERON) of it.

The symptoms have no file of their own here: their names in this one become entities.
"""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers import _tables
from medxiaohe.errors import DataError
from medxiaohe.types import Entity, Relation

LICENSE = "CC0-1.0"
FLAT = True  # this file has no parents
# column -> predicate, kind
OBJECTS = {"symptom": ("has symptom", "phenotype"), "anatomy": ("located in", "anatomy")}

EXAMPLE: dict[str, str | bytes] = {
    "disease-symptom.tsv": (
        "disease_id\tdisease_label\tsymptom_id\tsymptom_label\nDOID:820\tmyocarditis\tSYMP:0000613\tfever\n"
    )
}


def do_relations(path: Path | None = None) -> Iterator[Entity | Relation]:
    """Read symptoms and structures of diseases.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    seen = set()
    for number, row in _tables.rows(path, "do_relations", ()):
        assert path is not None
        column = next((name for name in OBJECTS if f"{name}_id" in row), "")
        subject = row.get("disease_id") or row.get("id")
        if not column or not subject:
            raise DataError(
                f"{path}:{number}: needs the columns id or disease_id, and symptom_id or anatomy_id"
            )
        predicate, kind = OBJECTS[column]
        object, label = row[f"{column}_id"], row.get(f"{column}_label", "")
        if object:
            if object not in seen and label and kind == "phenotype":
                yield Entity(object, label, kind, source=_tables.source(path), license=LICENSE)
            seen.add(object)
            yield Relation(subject, predicate, object, None, _tables.source(path), LICENSE)
