"""Exchange generic and brand names of drugs, in question and options alike.

After RABBITS (Gallifant et al. 2024, arXiv:2406.12066). drug_names.tsv has one brand of the United States for
each active ingredient, some no longer sold; only brands of a single ingredient are in it.
"""

import re
from functools import cache
from importlib import resources

from medxiaohe.evals.perturb._question import Around, asked, edit
from medxiaohe.types import Sample

EXPECTS = "right"
EXAMPLE = asked(
    "Which drug lowers LDL cholesterol most?", "Atorvastatin", "Metformin", "Warfarin", target="A"
)


def drug_names(sample: Sample, around: Around) -> Sample | None:
    """Replace generic names of drugs by brand names, or brand names by generic ones.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    to_brand, to_generic = _names()
    return edit(sample, lambda text: _renamed(text, to_brand), options=True) or edit(
        sample, lambda text: _renamed(text, to_generic), options=True
    )


@cache
def _names() -> tuple[dict[str, str], dict[str, str]]:
    text = (resources.files("medxiaohe.evals.perturb") / "drug_names.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return {generic: brand for generic, brand in rows}, {brand.lower(): generic for generic, brand in rows}


@cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})(?![\w-])",
        re.IGNORECASE,
    )


def _renamed(text: str, names: dict[str, str]) -> str:
    return _pattern(tuple(names)).sub(lambda match: names[match[0].lower()], text)
