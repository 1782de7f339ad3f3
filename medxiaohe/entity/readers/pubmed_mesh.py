"""MeSH names and codes of the substances that PubMed records are indexed with: what MeSH calls chemicals,
without MeSH itself.

A record says <NameOfSubstance UI="D000431">Ethanol</NameOfSubstance> and its registry number (UNII or CAS;
"EC ..." is an enzyme; 0 is none). Names that MeSH inverts are given both ways. There are no synonyms and no
parents in these files.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from medxiaohe import assets
from medxiaohe.entity.readers import _tables, _xml
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

FLAT = True  # PubMed records have no parents of a substance
LICENSE = "NLM terms for PubMed and MeSH data (free reuse, name NLM)"
ASSETS = ("pubmed_2020", "pubmed_2021")
CAS = re.compile(r"\d{2,7}-\d\d-\d")
UNII = re.compile(r"[0-9A-Z]{10}")

EXAMPLE: dict[str, str | bytes] = {
    "pubmed.xml": (
        """<?xml version="1.0" encoding="utf-8"?>
<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">1</PMID><ChemicalList>
<Chemical><RegistryNumber>3K9958V90M</RegistryNumber><NameOfSubstance UI="D000431">Ethanol</NameOfSubstance></Chemical>
<Chemical><RegistryNumber>0</RegistryNumber><NameOfSubstance UI="D005227">Fatty Acids</NameOfSubstance></Chemical>
</ChemicalList></MedlineCitation></PubmedArticle></PubmedArticleSet>
"""  # noqa: E501
    )
}


def pubmed_mesh(path: Path | None = None) -> Iterator[Entity]:
    """Read substances that PubMed records are indexed with.

    Args:
        path: of the vocabulary; None: the package files.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    result: dict[str, Entity] = {}
    for file in _files(path):
        for line, element in _xml.elements(file, {"Chemical"}):
            substance = element.find("NameOfSubstance")
            name, code = _xml.text(substance), "" if substance is None else substance.get("UI", "")
            if not name or not code:
                raise DataError(
                    f"{file}:{line}: the Chemical that ends here has no NameOfSubstance with a UI"
                )
            registry = _xml.text(element.find("RegistryNumber"))
            kind = "gene product" if registry.startswith("EC ") else "chemical"
            if f"MESH:{code}" not in result:
                source = f"MeSH in PubMed {_tables.source(file)}"
                result[f"MESH:{code}"] = Entity(
                    f"MESH:{code}", name, kind, (), (), "", _registry(registry), source, LICENSE
                )
    yield from result.values()


def _registry(number: str) -> tuple[str, ...]:
    return (
        (f"CAS:{number}",) if CAS.fullmatch(number) else (f"UNII:{number}",) if UNII.fullmatch(number) else ()
    )


def _files(path: Path | None) -> list[Path]:
    folders = [path] if path is not None else [assets.folder(name) for name in ASSETS]
    files = [
        file
        for folder in folders
        for file in (sorted(folder.glob("*.xml*")) if folder.is_dir() else [folder])
    ]
    if not files:
        raise DataError(f"{path}: no .xml or .xml.gz file of PubMed in this folder")
    return files
