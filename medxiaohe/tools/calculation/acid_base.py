"""Electrolytes, acid-base state and other values of the chemistry laboratory."""

from medxiaohe.tools.calculation.declare import (
    ALBUMIN,
    BICARBONATE,
    BUN,
    CHLORIDE,
    GLUCOSE,
    SODIUM,
    calculator,
    number,
)

EMMETT = "Emmett and Narins 1977, doi:10.1097/00005792-197701000-00002"
FIGGE = "Figge et al. 1998, doi:10.1097/00003246-199811000-00019"
WRENN = "Wrenn 1990, doi:10.1016/S0196-0644(05)82292-9"
NORMAL_GAP, NORMAL_BICARBONATE, NORMAL_ALBUMIN = 12.0, 24.0, 4.0  # mEq/L, mEq/L, g/dL


@calculator("Anion gap", "mEq/L", EMMETT, sodium=SODIUM, chloride=CHLORIDE, bicarbonate=BICARBONATE)
def anion_gap(*, sodium: float, chloride: float, bicarbonate: float) -> float:
    """Compute the anion gap: Na - (Cl + HCO3).

    Args:
        sodium: serum sodium, mEq/L.
        chloride: serum chloride, mEq/L.
        bicarbonate: serum bicarbonate, mEq/L.

    Returns:
        mEq/L.
    """
    return sodium - (chloride + bicarbonate)


@calculator(
    "Anion gap corrected for albumin",
    "mEq/L",
    FIGGE,
    sodium=SODIUM,
    chloride=CHLORIDE,
    bicarbonate=BICARBONATE,
    albumin=ALBUMIN,
)
def corrected_anion_gap(*, sodium: float, chloride: float, bicarbonate: float, albumin: float) -> float:
    """Compute the anion gap corrected for albumin: anion gap + 2.5 (4 - albumin).

    Args:
        sodium: serum sodium, mEq/L.
        chloride: serum chloride, mEq/L.
        bicarbonate: serum bicarbonate, mEq/L.
        albumin: serum albumin, g/dL.

    Returns:
        mEq/L.
    """
    return sodium - (chloride + bicarbonate) + 2.5 * (NORMAL_ALBUMIN - albumin)


@calculator("Delta gap", "mEq/L", WRENN, sodium=SODIUM, chloride=CHLORIDE, bicarbonate=BICARBONATE)
def delta_gap(*, sodium: float, chloride: float, bicarbonate: float) -> float:
    """Compute the delta gap: anion gap - 12.

    Args:
        sodium: serum sodium, mEq/L.
        chloride: serum chloride, mEq/L.
        bicarbonate: serum bicarbonate, mEq/L.

    Returns:
        mEq/L.
    """
    return sodium - (chloride + bicarbonate) - NORMAL_GAP


@calculator(
    "Delta gap corrected for albumin",
    "mEq/L",
    f"{WRENN}; {FIGGE}",
    sodium=SODIUM,
    chloride=CHLORIDE,
    bicarbonate=BICARBONATE,
    albumin=ALBUMIN,
)
def corrected_delta_gap(*, sodium: float, chloride: float, bicarbonate: float, albumin: float) -> float:
    """Compute the delta gap from the anion gap corrected for albumin: corrected gap - 12.

    Args:
        sodium: serum sodium, mEq/L.
        chloride: serum chloride, mEq/L.
        bicarbonate: serum bicarbonate, mEq/L.
        albumin: serum albumin, g/dL.

    Returns:
        mEq/L.
    """
    gap = sodium - (chloride + bicarbonate) + 2.5 * (NORMAL_ALBUMIN - albumin)
    return gap - NORMAL_GAP


@calculator(
    "Delta ratio",
    "",
    WRENN,
    limits="not defined at a bicarbonate of 24 mEq/L",
    sodium=SODIUM,
    chloride=CHLORIDE,
    bicarbonate=BICARBONATE,
)
def delta_ratio(*, sodium: float, chloride: float, bicarbonate: float) -> float:
    """Compute the delta ratio: delta gap / (24 - HCO3).

    Args:
        sodium: serum sodium, mEq/L.
        chloride: serum chloride, mEq/L.
        bicarbonate: serum bicarbonate, mEq/L.

    Returns:
        a ratio without unit.

    Raises:
        ZeroDivisionError: bicarbonate is 24 mEq/L.
    """
    return (sodium - (chloride + bicarbonate) - NORMAL_GAP) / (NORMAL_BICARBONATE - bicarbonate)


@calculator(
    "Delta ratio corrected for albumin",
    "",
    f"{WRENN}; {FIGGE}",
    limits="not defined at a bicarbonate of 24 mEq/L",
    sodium=SODIUM,
    chloride=CHLORIDE,
    bicarbonate=BICARBONATE,
    albumin=ALBUMIN,
)
def corrected_delta_ratio(*, sodium: float, chloride: float, bicarbonate: float, albumin: float) -> float:
    """Compute the delta ratio from the corrected delta gap: corrected delta gap / (24 - HCO3).

    Args:
        sodium: serum sodium, mEq/L.
        chloride: serum chloride, mEq/L.
        bicarbonate: serum bicarbonate, mEq/L.
        albumin: serum albumin, g/dL.

    Returns:
        a ratio without unit.

    Raises:
        ZeroDivisionError: bicarbonate is 24 mEq/L.
    """
    gap = sodium - (chloride + bicarbonate) + 2.5 * (NORMAL_ALBUMIN - albumin)
    return (gap - NORMAL_GAP) / (NORMAL_BICARBONATE - bicarbonate)


@calculator(
    "Calcium corrected for albumin",
    "mg/dL",
    "Payne et al. 1973, doi:10.1136/bmj.4.5893.643",
    limits="an estimate; ionised calcium where it matters",
    calcium=number("total serum calcium", "mg/dL", 2, 25, analyte="calcium"),
    albumin=ALBUMIN,
)
def corrected_calcium(*, calcium: float, albumin: float) -> float:
    """Correct calcium for albumin: Ca + 0.8 (4 - albumin).

    Args:
        calcium: total serum calcium, mg/dL.
        albumin: serum albumin, g/dL.

    Returns:
        mg/dL.
    """
    return calcium + 0.8 * (NORMAL_ALBUMIN - albumin)


@calculator(
    "Sodium corrected for glucose",
    "mEq/L",
    "Hillier et al. 1999, doi:10.1016/S0002-9343(99)00055-8",
    limits="hyperglycaemia",
    sodium=SODIUM,
    glucose=GLUCOSE,
)
def corrected_sodium(*, sodium: float, glucose: float) -> float:
    """Correct sodium for glucose: Na + 0.024 (glucose - 100).

    Args:
        sodium: serum sodium, mEq/L.
        glucose: blood glucose, mg/dL.

    Returns:
        mEq/L.
    """
    return sodium + 0.024 * (glucose - 100)


@calculator(
    "Serum osmolality",
    "mOsm/kg",
    "Dorwart and Chalmers 1975, doi:10.1093/clinchem/21.2.190",
    sodium=SODIUM,
    glucose=GLUCOSE,
    urea_nitrogen=BUN,
)
def osmolality(*, sodium: float, glucose: float, urea_nitrogen: float) -> float:
    """Compute serum osmolality: 2 Na + BUN / 2.8 + glucose / 18.

    Args:
        sodium: serum sodium, mEq/L.
        glucose: blood glucose, mg/dL.
        urea_nitrogen: blood urea nitrogen, mg/dL.

    Returns:
        mOsm/kg.
    """
    return 2 * sodium + urea_nitrogen / 2.8 + glucose / 18


@calculator(
    "LDL cholesterol (Friedewald)",
    "mg/dL",
    "Friedewald et al. 1972, doi:10.1093/clinchem/18.6.499",
    limits="fasting, triglycerides below 400 mg/dL",
    total_cholesterol=number("total cholesterol", "mg/dL", 30, 1500, analyte="cholesterol"),
    hdl_cholesterol=number("HDL cholesterol", "mg/dL", 2, 200, analyte="cholesterol"),
    triglycerides=number("triglycerides", "mg/dL", 10, 4000, analyte="triglycerides"),
)
def ldl_cholesterol(*, total_cholesterol: float, hdl_cholesterol: float, triglycerides: float) -> float:
    """Compute LDL cholesterol: total - HDL - triglycerides / 5.

    Args:
        total_cholesterol: in mg/dL.
        hdl_cholesterol: HDL cholesterol, mg/dL.
        triglycerides: in mg/dL.

    Returns:
        mg/dL.
    """
    return total_cholesterol - hdl_cholesterol - triglycerides / 5


@calculator(
    "HOMA-IR",
    "",
    "Matthews et al. 1985, doi:10.1007/BF00280883",
    limits="fasting, not under insulin",
    glucose=GLUCOSE,
    insulin=number("fasting insulin", "μIU/mL", 0.1, 1000),
)
def homa_ir(*, glucose: float, insulin: float) -> float:
    """Compute HOMA-IR: insulin x glucose / 405.

    Args:
        glucose: blood glucose, mg/dL.
        insulin: fasting insulin, μIU/mL.

    Returns:
        an index without unit.
    """
    return insulin * glucose / 405
