"""Convert units in the question, not in the options: 500 mg is 0.5 g, 98.6 °F is 37.0 °C."""

import re

from medxiaohe.evals.perturb._question import Around, asked, edit
from medxiaohe.types import Sample

EXPECTS = "right"
EXAMPLE = asked(
    "A man of 80 kg takes 500 mg of a drug. Is that more than 5 mg per kg? Answer yes or no.", target="yes"
)
FACTORS = {  # unit -> (other unit, factor by which the number is multiplied)
    "mg": ("g", 1e-3), "g": ("mg", 1e3), "kg": ("g", 1e3), "mcg": ("mg", 1e-3), "µg": ("mg", 1e-3),
    "μg": ("mg", 1e-3),
    "cm": ("mm", 10.0), "mm": ("cm", 0.1), "m": ("cm", 100.0), "mL": ("L", 1e-3), "ml": ("L", 1e-3),
    "L": ("mL", 1e3),
}  # fmt: skip
NUMBER = r"(?<![\w.,/-])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
ALONE = r"(?![\w²³^]|\s*/|\s*(?:per|x|×)\b|-\w|\.\d)"  # not mg/dL, mm Hg, cm x cm, mg per kg
QUANTITY = re.compile(rf"{NUMBER}( ?)({'|'.join(sorted(FACTORS, key=len, reverse=True))}){ALONE}(?!\s*Hg)")
FEVER = re.compile(rf"{NUMBER}( ?)°( ?)([CF])\b(?!\s*[(/])")


def units(sample: Sample, around: Around) -> Sample | None:
    """Write quantities of the question in other units.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    return edit(sample, lambda text: FEVER.sub(_degrees, QUANTITY.sub(_other, text)))


def _other(match: re.Match[str]) -> str:
    unit, factor = FACTORS[match[3]]
    return f"{_short(float(match[1].replace(',', '')) * factor)}{match[2] or ' '}{unit}"


def _degrees(match: re.Match[str]) -> str:
    value = float(match[1].replace(",", ""))
    degrees, unit = ((value - 32) / 1.8, "C") if match[4] == "F" else (value * 1.8 + 32, "F")
    return f"{degrees:.1f}{match[2]}°{match[3]}{unit}"


def _short(value: float) -> str:
    """Up to six significant digits, never in powers of ten."""
    return (
        f"{value:,.{max(0, 6 - len(str(int(value))))}f}".rstrip("0").rstrip(".")
        if value % 1
        else f"{value:,.0f}"
    )
