r"""SSSOM, the table of mappings between vocabularies: https://mapping-commons.github.io/sssom/

    # license: https://creativecommons.org/publicdomain/zero/1.0/
    subject_id       predicate_id       object_id        (other columns are not read)
    MONDO:0005105    skos:exactMatch    mesh:D008545

Only exact matches make two terms one entity; entity.build keeps the others as relations.
"""

from collections import Counter
from pathlib import Path

from medxiaohe.entity.readers import _tables
from medxiaohe.entity.readers._terms import Terms
from medxiaohe.types import Match

PREDICATES = {
    "exactmatch": "exact", "equivalentclass": "exact", "sameas": "exact", "closematch": "close",
    "broadmatch": "broad",
    "narrowmatch": "narrow", "relatedmatch": "related",
}  # fmt: skip

EXAMPLE: dict[str, str | bytes] = {
    "tiny.sssom.tsv": (
        "# license: https://creativecommons.org/publicdomain/zero/1.0/\n"
        "# mapping_set_version: 2026-08-04\n"
        "subject_id\tsubject_label\tpredicate_id\tobject_id\n"
        "MONDO:0005105\tmelanoma\tskos:exactMatch\tmesh:D008545\n"
        "MONDO:0005070\tneoplasm\tskos:broadMatch\tmesh:D004194\n"
    )
}


def sssom(path: Path | None = None) -> Terms:
    """Matches; returns how many rows were skipped because their predicate is no match.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    about = _tables.comments(_tables.named(path, "sssom"))
    assert path is not None
    source, license = (
        path.name.removesuffix(".gz").removesuffix(".tsv").removesuffix(".sssom"),
        about.get("license", ""),
    )
    skipped = Counter[str]()
    for _, row in _tables.rows(path, "sssom", ("subject_id", "predicate_id", "object_id")):
        predicate = PREDICATES.get(row["predicate_id"].rpartition(":")[2].lower())
        if predicate is None or row.get("predicate_modifier"):
            skipped["no match"] += 1
        else:
            yield Match(row["subject_id"], row["object_id"], predicate, source, license)
    return skipped
