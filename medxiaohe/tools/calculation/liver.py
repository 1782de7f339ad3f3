"""Liver and gastrointestinal bleeding."""

from math import log, sqrt

from medxiaohe.tools.calculation.declare import (
    AGE,
    ALBUMIN,
    BILIRUBIN,
    BUN,
    CREATININE,
    HEART_RATE,
    INR,
    PLATELETS,
    SEX,
    SODIUM,
    SYSTOLIC,
    calculator,
    choice,
    flag,
    number,
)


@calculator(
    "Child-Pugh score",
    "points",
    "Pugh et al. 1973, doi:10.1002/bjs.1800600817",
    limits="cirrhosis",
    bilirubin=BILIRUBIN,
    albumin=ALBUMIN,
    inr=INR,
    ascites=choice("ascites", {"absent": 1, "slight": 2, "moderate": 3}, default=1),
    encephalopathy=choice("encephalopathy", {"none": 1, "grade 1-2": 2, "grade 3-4": 3}, default=1),
)
def child_pugh(*, bilirubin: float, albumin: float, inr: float, ascites: int, encephalopathy: int) -> int:
    """Sum the Child-Pugh score, 1 to 3 points each; limits are bilirubin 2 and 3 mg/dL, albumin 3.5 and 2.8
    g/dL, INR 1.7 and 2.3.

    Args:
        bilirubin: total bilirubin, mg/dL.
        albumin: serum albumin, g/dL.
        inr: international normalized ratio.

    Returns:
        5 to 15 points.
    """
    points = 1 if bilirubin < 2 else 2 if bilirubin <= 3 else 3
    points += 1 if albumin > 3.5 else 2 if albumin >= 2.8 else 3
    points += 1 if inr < 1.7 else 2 if inr <= 2.3 else 3
    return points + ascites + encephalopathy


@calculator(
    "MELD-Na (UNOS 2016)",
    "points",
    "Kim et al. 2008, doi:10.1056/NEJMoa0801209; OPTN policy 9.1.D of 2016",
    limits="12 years and older",
    bilirubin=BILIRUBIN,
    creatinine=CREATININE,
    inr=INR,
    sodium=SODIUM,
    dialysis=flag("dialysis at least twice in the past week"),
    haemofiltration=flag("continuous veno-venous haemodialysis for 24 hours in the past week"),
)
def meld_na(
    *, bilirubin: float, creatinine: float, inr: float, sodium: float, dialysis: bool, haemofiltration: bool
) -> int:
    """Compute MELD-Na: MELD(i) = 0.957 ln Cr + 0.378 ln bilirubin + 1.120 ln INR + 0.643, rounded to tenths,
    times 10; over 11 MELD + 1.32 (137 - Na) - 0.033 MELD (137 - Na). Values below 1 count as 1, creatinine at
    most 4 (4 under dialysis), sodium 125 to 137.

    Args:
        bilirubin: total bilirubin, mg/dL.
        creatinine: serum creatinine, mg/dL.
        inr: international normalized ratio.
        sodium: serum sodium, mEq/L.

    Returns:
        6 to 40 points, rounded to an integer.
    """
    cr = 4.0 if dialysis or haemofiltration else min(max(creatinine, 1), 4)
    initial = 0.957 * log(cr) + 0.378 * log(max(bilirubin, 1)) + 1.12 * log(max(inr, 1)) + 0.643
    score = round(initial, 1) * 10
    if score > 11:
        # MELD-Na corrects for sodium below 137 mEq/L
        lack = 137 - min(max(sodium, 125), 137)
        score = score + 1.32 * lack - 0.033 * score * lack
    return round(min(max(score, 6), 40))


@calculator(
    "Fibrosis-4",
    "",
    "Sterling et al. 2006, doi:10.1002/hep.21178",
    limits="35 to 65 years",
    age=AGE,
    ast=number("aspartate aminotransferase", "U/L", 1, 20000),
    alt=number("alanine aminotransferase", "U/L", 1, 20000),
    platelets=PLATELETS,
)
def fibrosis_4(*, age: float, ast: float, alt: float, platelets: float) -> float:
    """Compute the FIB-4 index: age x AST / (platelets x sqrt(ALT)).

    Args:
        age: in years.
        ast: aspartate aminotransferase, U/L.
        alt: alanine aminotransferase, U/L.
        platelets: platelet count, 10^9/L.

    Returns:
        an index without unit.
    """
    return age * ast / (platelets * sqrt(alt))


@calculator(
    "Glasgow-Blatchford score",
    "points",
    "Blatchford et al. 2000, doi:10.1016/S0140-6736(00)02816-6",
    limits="upper gastrointestinal bleeding",
    sex=SEX,
    urea_nitrogen=BUN,
    haemoglobin=number("haemoglobin", "g/dL", 1, 25),
    systolic=SYSTOLIC,
    heart_rate=HEART_RATE,
    melena=flag("melena"),
    syncope=flag("syncope"),
    hepatic_disease=flag("hepatic disease"),
    cardiac_failure=flag("cardiac failure"),
)
def blatchford(
    *,
    sex: str,
    urea_nitrogen: float,
    haemoglobin: float,
    systolic: float,
    heart_rate: float,
    melena: bool,
    syncope: bool,
    hepatic_disease: bool,
    cardiac_failure: bool,
) -> int:
    """Sum the Glasgow-Blatchford score by bands: urea nitrogen 18.2, 22.4, 28 and 70 mg/dL; haemoglobin 13,
    12 and 10 g/dL for men, 12 and 10 for women; systolic pressure 110, 100 and 90 mmHg; heart rate 100/min;
    melena 1; the other three findings 2 each.

    Args:
        urea_nitrogen: blood urea nitrogen, mg/dL.
        haemoglobin: in g/dL.
        systolic: systolic blood pressure, mmHg.
        heart_rate: in /min.

    Returns:
        0 to 23 points.
    """
    # each threshold that is reached adds its points: 2, 3, 4 and 6 for the four bands
    points = sum(p * (urea_nitrogen >= t) for t, p in ((18.2, 2), (22.4, 1), (28, 1), (70, 2)))
    if sex == "male":
        points += 0 if haemoglobin >= 13 else 1 if haemoglobin >= 12 else 3 if haemoglobin >= 10 else 6
    else:
        points += 0 if haemoglobin >= 12 else 1 if haemoglobin >= 10 else 6
    points += 0 if systolic >= 110 else 1 if systolic >= 100 else 2 if systolic >= 90 else 3
    return points + (heart_rate >= 100) + melena + 2 * (syncope + hepatic_disease + cardiac_failure)
