"""ORDO, the rare diseases and their genes, from Orphanet: an OBO-graph JSON file.

Its branches say the kind: below "clinical entity" are diseases, below "genetic material" genes. The others
(geography, age of onset, inheritance, obsolete classes) are outside the domain. Its words "disease",
"malformation syndrome", "clinical subtype" are types of diseases, not groups of them: a disease that has
another parent is not put below them.
"""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

from medxiaohe.entity.readers._terms import Terms, below, entities, read_all
from medxiaohe.entity.readers.obograph import obograph
from medxiaohe.errors import DataError
from medxiaohe.types import Relation

BRANCHES = {"ORPHA:C001": "disease", "ORPHA:C010": "gene"}
TYPES = frozenset({
    "disease", "group of disorders", "malformation syndrome", "clinical subtype", "morphological anomaly",
    "etiological subtype",
    "histopathological subtype", "clinical syndrome", "biological anomaly",
    "particular clinical situation in a disease or syndrome",
    "gene with protein product",
})  # fmt: skip
LICENSE = "CC-BY-4.0"

BASE = "http://www.orpha.net/ORDO/Orphanet_"
EXAMPLE: dict[str, str | bytes] = {
    "ordo.json": json.dumps(
        {
            "graphs": [
                {
                    "id": "http://www.orpha.net/ontology/orphanet.owl",
                    "nodes": [
                        {"id": f"{BASE}C001", "lbl": "clinical entity", "type": "CLASS"},
                        {"id": f"{BASE}C009", "lbl": "geography", "type": "CLASS"},
                        {"id": f"{BASE}377788", "lbl": "disease", "type": "CLASS"},
                        {"id": f"{BASE}101", "lbl": "Rare constitutional anemia", "type": "CLASS"},
                        {"id": f"{BASE}124", "lbl": "Blackfan-Diamond anemia", "type": "CLASS"},
                        {"id": f"{BASE}98422", "lbl": "Europe", "type": "CLASS"},
                    ],
                    "edges": [
                        {"sub": f"{BASE}377788", "pred": "is_a", "obj": f"{BASE}C001"},
                        {"sub": f"{BASE}101", "pred": "is_a", "obj": f"{BASE}C001"},
                        {"sub": f"{BASE}124", "pred": "is_a", "obj": f"{BASE}101"},
                        {"sub": f"{BASE}124", "pred": "is_a", "obj": f"{BASE}377788"},
                        {"sub": f"{BASE}98422", "pred": "is_a", "obj": f"{BASE}C009"},
                    ],
                }
            ]
        }
    )
}


def ordo(path: Path | None = None) -> Terms:
    """Read ORDO: diseases, then genes.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    assertions, skipped = read_all(obograph(path))
    terms = entities(assertions)
    parents = {term.id: term.parents for term in terms}
    kinds = {id: kind for branch, kind in BRANCHES.items() for id in below([branch], parents)}
    if "ORPHA:C001" not in parents:
        raise DataError(f"{path}: no term Orphanet_C001 (clinical entity): not ORDO")
    types = {term.id for term in terms if term.name in TYPES}
    skipped = Counter(skipped)
    for term in terms:
        if term.id not in kinds:
            skipped["outside the domain"] += 1
        elif term.id in types or term.id in BRANCHES:
            skipped["type, not a group"] += 1
        else:
            groups = tuple(p for p in term.parents if p not in types and p not in BRANCHES)
            yield replace(
                term,
                kind=kinds[term.id],
                parents=groups,
                license=LICENSE,
                source=term.source.replace("orphanet", "ORDO"),
            )
    for fact in assertions:
        if isinstance(fact, Relation) and fact.subject in kinds and fact.object in kinds:
            yield replace(
                fact,
                predicate=fact.predicate.lower(),
                license=LICENSE,
                source=fact.source.replace("orphanet", "ORDO"),
            )
    return skipped
