"""What patients call the terms of the HPO: hpo_layperson_synonyms.tsv, the answer of a SPARQL query."""

from collections.abc import Iterator
from pathlib import Path

from medxiaohe.entity.readers import _tables
from medxiaohe.entity.readers.hpo import LICENSE
from medxiaohe.entity.tree.ids import curie
from medxiaohe.types import Entity

FLAT = True  # this file has no parents

EXAMPLE: dict[str, str | bytes] = {
    "hpo_layperson_synonyms.tsv": "?term\t?term_label\t?layperson\n"
    '<http://purl.obolibrary.org/obo/HP_0001945>\t"Fever"\t"High temperature"\n'
    '<http://purl.obolibrary.org/obo/HP_0001945>\t"Fever"\t"Fever"\n'
}


def hpo_lay(path: Path | None = None) -> Iterator[Entity]:
    """Read lay names of HPO terms.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    result: dict[str, list[str]] = {}
    labels = {}
    for _, row in _tables.rows(path, "hpo_lay", ("?term", "?term_label", "?layperson")):
        id = curie(row["?term"])
        labels[id] = row["?term_label"]
        result.setdefault(id, []).append(row["?layperson"])
    assert path is not None
    for id, names in result.items():
        lay = tuple(dict.fromkeys(name for name in names if name))
        other_names = tuple(name for name in lay if name != labels[id])
        yield Entity(
            id,
            labels[id],
            "phenotype",
            (),
            other_names,
            source=_tables.source(path),
            license=LICENSE,
            lay=lay,
        )
