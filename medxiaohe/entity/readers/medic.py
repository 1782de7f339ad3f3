"""MEDIC, the disease vocabulary of CTD, in the form that NCBI-disease and BC5CDR systems use.

D065008||Scorpion Stings|Scorpionism              MeSH id, other ids separated by /, name, synonyms
C567755|613097||Tooth Agenesis, Selective, 6      a MeSH id with its OMIM ids
145250||HYPERPIGMENTATION, FAMILIAL               an OMIM id
"""

import re
from collections.abc import Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.readers import _tables
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

FLAT = True  # this file has no parents
ID = re.compile(r"C|[CD]\d+|\d{6}")  # C is the branch of diseases itself

EXAMPLE: dict[str, str | bytes] = {
    "medic_06Jul2012.txt": "D012509||Sarcoma|Sarcomas|Soft Tissue Sarcoma\n"
    "C567755|613097||Tooth Agenesis, Selective, 6|STHAG6\n145250||HYPERPIGMENTATION, FAMILIAL\n"
}


def medic(path: Path | None = None) -> Iterator[Entity]:
    """Read MEDIC.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = _tables.named(path, "medic")
    empty = True
    for number, line in io.lines(path):
        if not line.strip():
            continue
        empty = False
        ids, bars, names = line.partition("||")
        codes = [code for code in re.split(r"[|/]", ids) if code]
        if not bars or not codes or not all(map(ID.fullmatch, codes)):
            raise DataError(
                f"{path}:{number}: a MEDIC line must be `id|other ids||name|synonyms`, not {line[:80]!r}"
            )
        name, *synonyms = [name for cell in names.split("|") if (name := cell.strip())] or [""]
        first, *others = map(_curie, codes)
        yield Entity(
            first,
            name,
            "disease",
            (),
            tuple(synonyms),
            "",
            tuple(others),
            _tables.source(path),
            "CTD MEDIC terms (cite CTD)",
        )
    if empty:
        raise DataError(f"{path}: no rows in this file: not MEDIC, or truncated")


def _curie(code: str) -> str:
    return f"OMIM:{code}" if code.isdigit() else f"MESH:{code}"
