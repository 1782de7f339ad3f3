"""MONDO, the diseases: file MONDO-ontology-VERSION.json.zst of the package cellxgene-ontology-guide."""

import json
from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers import _cellxgene
from medxiaohe.types import Entity, Match, Relation

CHARACTERISTIC = "MONDO:0021125"  # acute, rare, sporadic, ...: words about diseases, not diseases

EXAMPLE: dict[str, str | bytes] = {
    "MONDO-ontology-v2026-05-05.json": json.dumps(
        {
            "MONDO:0000001": {"label": "disease", "ancestors": {}, "deprecated": False},
            "MONDO:0005070": {
                "label": "neoplasm",
                "synonyms": ["tumor"],
                "ancestors": {"MONDO:0000001": 1},
                "deprecated": False,
            },
            "MONDO:0005105": {
                "label": "melanoma",
                "description": "A malignant neoplasm of melanocytes.",
                "ancestors": {"MONDO:0005070": 1, "MONDO:0000001": 2},
                "deprecated": False,
            },
        }
    )
}


def mondo(path: Path | None = None) -> Iterator[Entity | Match | Relation]:
    """Read MONDO.

    Args:
        path: of the vocabulary; None: the package file.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    return _cellxgene.read(path, name="MONDO", kind="disease", license="CC-BY-4.0", outside=(CHARACTERISTIC,))
