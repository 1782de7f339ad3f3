"""Equivalent doses of corticosteroids and of opioids."""

from medxiaohe.errors import ToolError
from medxiaohe.tools.calculation.declare import Input, calculator, choice, number

# mg of each that equal 20 mg of hydrocortisone by mouth or vein (Liu et al. 2013, table 1)
STEROIDS = {
    "betamethasone": 0.75,
    "cortisone": 25.0,
    "dexamethasone": 0.75,
    "hydrocortisone": 20.0,
    "methylprednisolone": 4.0,
    "prednisolone": 5.0,
    "prednisone": 5.0,
    "triamcinolone": 4.0,
}
# morphine milligram equivalents of 1 mg by mouth (of fentanyl: 1 ug); CDC 2022, table 1
OPIOIDS = {
    "codeine": 0.15,
    "hydrocodone": 1.0,
    "hydromorphone": 5.0,
    "methadone": 4.7,
    "morphine": 1.0,
    "oxycodone": 1.5,
    "oxymorphone": 3.0,
    "tapentadol": 0.4,
    "tramadol": 0.2,
}
FENTANYL_BUCCAL = 0.13  # for 1 ug of buccal or sublingual tablets; CDC file of 2020
FENTANYL_PATCH = 2.4  # for 1 ug/h; CDC 2022
DOSE = number("dose", "mg", 0.001, 5000)


def a_day(opioid: str) -> Input:
    """Declare the daily oral dose of an opioid as an input.

    Returns:
        a number in mg, 0 where it is left out.
    """
    return number(f"{opioid} by mouth a day", "mg", 0, 5000, default=0.0)


@calculator(
    "Equivalent dose of a corticosteroid",
    "mg",
    "Liu et al. 2013, doi:10.1186/1710-1492-9-30",
    limits="by mouth or vein; glucocorticoid effect only",
    steroid=choice("the steroid that is given", {k: k for k in STEROIDS}),
    dose=DOSE,
    to=choice("the steroid to convert to", {k: k for k in STEROIDS}),
)
def steroid_dose(*, steroid: str, dose: float, to: str) -> float:
    """Convert a dose between corticosteroids, by the doses equal to 20 mg of hydrocortisone.

    Args:
        dose: in mg.

    Returns:
        mg of the corticosteroid `to`.
    """
    return dose * STEROIDS[to] / STEROIDS[steroid]


@calculator(
    "Morphine milligram equivalents a day",
    "mg/day",
    "Dowell et al. 2022 (CDC guideline), doi:10.15585/mmwr.rr7103a1",
    limits="adults; not for switching from one opioid to another",
    codeine=a_day("codeine"),
    hydrocodone=a_day("hydrocodone"),
    hydromorphone=a_day("hydromorphone"),
    methadone=a_day("methadone"),
    morphine=a_day("morphine"),
    oxycodone=a_day("oxycodone"),
    oxymorphone=a_day("oxymorphone"),
    tapentadol=a_day("tapentadol"),
    tramadol=a_day("tramadol"),
    fentanyl_buccal=number("buccal fentanyl a day", "μg", 0, 10000, default=0.0),
    fentanyl_patch=number("fentanyl patch, an hour", "μg", 0, 400, default=0.0),
)
def morphine_equivalents(**doses: float) -> float:
    """Sum daily opioid doses times their factors: mg of oral morphine with the same effect.

    Returns:
        mg/day.

    Raises:
        ToolError: every dose is 0.
    """
    buccal, patch = doses.pop("fentanyl_buccal"), doses.pop("fentanyl_patch")
    total = sum(OPIOIDS[name] * dose for name, dose in doses.items())
    if not total + buccal + patch:
        raise ToolError("morphine_equivalents needs the daily dose of an opioid at least")
    return total + FENTANYL_BUCCAL * buccal + FENTANYL_PATCH * patch
