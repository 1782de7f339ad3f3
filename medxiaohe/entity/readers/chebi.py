"""ChEBI, the chemicals and their roles: file CHEBI-ontology-VERSION.json.zst of cellxgene-ontology-guide.

Only terms with a definition are read: three in four terms have none, and they are the names that only a
database of compounds uses. The file has no synonyms.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers import _cellxgene
from medxiaohe.types import Entity, Match, Relation

EXAMPLE: dict[str, str | bytes] = {
    "CHEBI-ontology-2026-05-01.json": json.dumps(
        {
            "CHEBI:24431": {
                "label": "chemical entity",
                "description": "A chemical.",
                "ancestors": {},
                "deprecated": False,
            },
            "CHEBI:22712": {"label": "benzenes", "ancestors": {"CHEBI:24431": 1}, "deprecated": False},
            "CHEBI:15365": {
                "label": "acetylsalicylic acid",
                "description": "A benzene in which <i>ortho</i> hydrogens are replaced.",
                "ancestors": {"CHEBI:22712": 1, "CHEBI:24431": 2},
                "deprecated": False,
            },
        }
    )
}


def chebi(path: Path | None = None) -> Iterator[Entity | Match | Relation]:
    """Read ChEBI.

    Args:
        path: of the vocabulary; None: the package file.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    return _cellxgene.read(
        path,
        name="CHEBI",
        kind="chemical",
        license="CC-BY-4.0",
        keep=lambda term: bool(term.get("description")),
    )
