"""UBERON, the anatomy, by is-a and part-of: file UBERON-ontology-VERSION.json.zst of
cellxgene-ontology-guide."""

import json
from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers import _cellxgene
from medxiaohe.types import Entity, Match, Relation

LIFE_CYCLE = ("UBERON:0000104", "UBERON:0035943")  # stages of life are not anatomy

EXAMPLE: dict[str, str | bytes] = {
    "UBERON-ontology-v2026-04-01.json": json.dumps(
        {
            "UBERON:0001062": {"label": "anatomical entity", "ancestors": {}, "deprecated": False},
            "UBERON:0000062": {"label": "organ", "ancestors": {"UBERON:0001062": 1}, "deprecated": False},
            "UBERON:0002048": {
                "label": "lung",
                "synonyms": ["pulmo"],
                "ancestors": {"UBERON:0000062": 1},
                "deprecated": False,
            },
        }
    )
}


def uberon(path: Path | None = None) -> Iterator[Entity | Match | Relation]:
    """Read UBERON.

    Args:
        path: of the vocabulary; None: the package file.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    return _cellxgene.read(path, name="UBERON", kind="anatomy", license="CC-BY-3.0", outside=LIFE_CYCLE)
