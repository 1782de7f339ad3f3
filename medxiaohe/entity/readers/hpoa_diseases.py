"""Which OMIM number is which disease of MONDO: those of phenotype.hpoa (the HPO's annotations) whose name is
a name of exactly one disease of MONDO, or has the words of one in another order.

OMIM inverts names ("Cardiomyopathy, dilated, 1FF", "Osteogenesis imperfecta, type XII") and MONDO mostly does
not ("dilated cardiomyopathy 1FF", "osteogenesis imperfecta type 12"): where no name is equal, the words are
compared without their order, without "type" and small words, and with Roman numbers as Arabic ones.

The package file of MONDO has no cross-references, and tables that have OMIM numbers are older than it. Names
of OMIM are under OMIM's own terms: they are compared and not kept.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from medxiaohe import assets
from medxiaohe.entity.readers import _tables, mondo
from medxiaohe.entity.readers._terms import Terms
from medxiaohe.entity.readers.hpo import LICENSE
from medxiaohe.types import Entity, Match

SIGNS = re.compile(r"[^a-z0-9]+")
ROMAN = re.compile(r"(x{0,2})(ix|iv|v?i{0,3})([a-z]?)")  # 1 to 29, and a letter: IIB
UNITS = {"": 0, "i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9}
SMALL = frozenset(("type", "and", "with", "of", "the", "or"))
RENAMED = ("intellectual developmental disorder", "intellectual disability")  # OMIM says the first
EXAMPLE: dict[str, str | bytes] = {
    **mondo.EXAMPLE,
    "phenotype.hpoa": (
        "#version: 2025-01-16\n"
        "database_id\tdisease_name\tqualifier\thpo_id\tfrequency\taspect\n"
        "OMIM:155600\tMelanoma\t\tHP:0002861\t\tP\n"
        "OMIM:999999\tAnother disease; AD\t\tHP:0001945\t\tP\n"
    ),
}


def hpoa_diseases(path: Path | None = None) -> Terms:
    """Match the OMIM diseases of the HPO annotations to MONDO by name.

    Args:
        path: phenotype.hpoa, or a folder that has it and possibly a file of MONDO; None: the package file.
            MONDO is read from the asset where the folder has none.

    Yields:
        exact matches (OMIM id, MONDO id)

    Returns:
        how many diseases were skipped, by reason

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = path or assets.folder("hpo")
    file = path / "phenotype.hpoa" if path.is_dir() else path
    beside = path if path.is_dir() and any(path.glob("MONDO-ontology-*")) else None
    names = _by_name(beside)
    words = _by_words(names)
    source = f"HPO annotations {_tables.comments(file).get('version', '')}".strip()
    skipped = Counter[str]()
    seen: set[str] = set()
    for _, row in _tables.rows(file, "hpoa", ("database_id", "disease_name")):
        id = row["database_id"]
        if not id.startswith("OMIM:") or id in seen:
            continue
        seen.add(id)
        name = row["disease_name"].partition(";")[0]
        if mondo_id := names.get(_plain(name)) or words.get(_words(name)):
            yield Match(id, mondo_id, "exact", source, LICENSE)
        else:
            skipped["outside the domain"] += 1
    return skipped


def _by_name(path: Path | None) -> dict[str, str]:
    """Name in lower case without punctuation -> id of its disease; "" where two have it. Names precede
    synonyms.
    """
    own: dict[str, str] = {}
    others: dict[str, str] = {}
    for disease in mondo.mondo(path):
        if isinstance(disease, Entity):
            for name, names in ((disease.name, own), *((synonym, others) for synonym in disease.synonyms)):
                plain = _plain(name)
                names[plain] = disease.id if names.get(plain, disease.id) == disease.id else ""
    return {**others, **own}


def _by_words(names: dict[str, str]) -> dict[str, str]:
    """Sorted words of a name -> id of its disease; "" where two diseases have it."""
    by_words: dict[str, str] = {}
    for name, id in names.items():
        words = _words(name)
        by_words[words] = id if by_words.get(words, id) == id else ""
    return by_words


def _words(name: str) -> str:
    """Words of a name that distinguish diseases, sorted."""
    plain = _plain(name).replace(*RENAMED)
    return " ".join(sorted(_arabic(word) for word in plain.split() if word not in SMALL))


def _arabic(word: str) -> str:
    """Convert a Roman numeral: xii -> 12, iib -> 2b; other words are unchanged."""
    match = ROMAN.fullmatch(word)
    number = 10 * len(match[1]) + UNITS[match[2]] if match else 0
    return f"{number}{match[3]}" if match and number else word


def _plain(name: str) -> str:
    return SIGNS.sub(" ", name.lower()).strip()
