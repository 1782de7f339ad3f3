"""Renal function and body water."""

from medxiaohe.tools.calculation.body import adjusted_weight, ideal_weight
from medxiaohe.tools.calculation.declare import (
    AGE,
    ANY_AGE,
    CREATININE,
    HEIGHT,
    SEX,
    SODIUM,
    WEIGHT,
    calculator,
    choice,
)


@calculator(
    "Creatinine clearance (Cockcroft-Gault)",
    "mL/min",
    "Cockcroft and Gault 1976, doi:10.1159/000180580; choice of weight after Winter et al. 2012,"
    " doi:10.1002/j.1875-9114.2012.01098.x",
    limits="adults with a stable serum creatinine",
    sex=SEX,
    age=AGE,
    weight=WEIGHT,
    height=HEIGHT,
    creatinine=CREATININE,
)
def creatinine_clearance(*, sex: str, age: float, weight: float, height: float, creatinine: float) -> float:
    """Compute creatinine clearance: (140 - age) weight / (72 creatinine), times 0.85 for women. The weight is
    the actual one below a body mass index of 18.5, the smaller of ideal and actual weight up to 25, the
    adjusted weight from 25.

    Args:
        age: in years.
        weight: body weight, kg.
        height: in cm.
        creatinine: serum creatinine, mg/dL.

    Returns:
        mL/min.
    """
    # the weight in the formula depends on the body mass index (Winter et al. 2012)
    index = weight / (height / 100) ** 2
    ideal = ideal_weight.run(sex=sex, height=height)
    if index < 18.5:
        used = weight
    elif index < 25:
        used = min(ideal, weight)
    else:
        used = adjusted_weight.run(sex=sex, weight=weight, height=height)
    return (140 - age) * used * (0.85 if sex == "female" else 1) / (72 * creatinine)


@calculator(
    "Glomerular filtration rate (CKD-EPI 2021, creatinine)",
    "mL/min/1.73 m2",
    "Inker et al. 2021, doi:10.1056/NEJMoa2102953",
    limits="adults with a stable serum creatinine",
    sex=SEX,
    age=AGE,
    creatinine=CREATININE,
)
def gfr_ckd_epi(*, sex: str, age: float, creatinine: float) -> float:
    """Compute the GFR by CKD-EPI 2021: 142 min(Scr/k, 1)^a max(Scr/k, 1)^-1.200 0.9938^age, times 1.012 for
    women; k = 0.7 and a = -0.241 for women, 0.9 and -0.302 for men.

    Args:
        age: in years.
        creatinine: serum creatinine, mg/dL.

    Returns:
        mL/min/1.73 m2.
    """
    k, a, factor = (0.7, -0.241, 1.012) if sex == "female" else (0.9, -0.302, 1.0)
    ratio = creatinine / k
    return float(142 * min(ratio, 1) ** a * max(ratio, 1) ** -1.2 * 0.9938**age * factor)


@calculator(
    "Glomerular filtration rate (MDRD, 4 variables)",
    "mL/min/1.73 m2",
    "Levey et al. 2006, doi:10.7326/0003-4819-145-4-200608150-00004",
    limits="adults with chronic kidney disease; CKD-EPI 2021, which leaves race out, is recommended today",
    sex=SEX,
    age=AGE,
    creatinine=CREATININE,
    race=choice(
        "race, which the formula of 2006 asks for", {"black": "black", "other": "other"}, default="other"
    ),
)
def gfr_mdrd(*, sex: str, age: float, creatinine: float, race: str) -> float:
    """Compute the GFR by MDRD: 175 Scr^-1.154 age^-0.203, times 0.742 for women and times 1.212 for the race
    that the formula of 2006 names.

    Args:
        age: in years.
        creatinine: serum creatinine, mg/dL.

    Returns:
        mL/min/1.73 m2.
    """
    factor = (0.742 if sex == "female" else 1) * (1.212 if race == "black" else 1)
    return float(175 * creatinine**-1.154 * age**-0.203 * factor)


@calculator(
    "Free water deficit",
    "L",
    "Adrogue and Madias 2000, doi:10.1056/NEJM200005183422006",
    limits="hypernatraemia; a negative value is an excess of free water",
    sex=SEX,
    age=ANY_AGE,
    weight=WEIGHT,
    sodium=SODIUM,
)
def free_water_deficit(*, sex: str, age: float, weight: float, sodium: float) -> float:
    """Compute the free water deficit: total body water (Na / 140 - 1). Water is 0.6 of the weight in children
    and men, 0.5 in women and in men from 65, 0.45 in women from 65.

    Args:
        age: in years.
        weight: body weight, kg.
        sodium: serum sodium, mEq/L.

    Returns:
        L; negative below a sodium of 140 mEq/L.
    """
    if age < 18:
        share = 0.6
    elif age < 65:
        share = 0.6 if sex == "male" else 0.5
    else:
        share = 0.5 if sex == "male" else 0.45
    return share * weight * (sodium / 140 - 1)
