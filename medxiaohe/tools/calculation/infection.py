"""Sore throat and pneumonia."""

from medxiaohe.tools.calculation.declare import (
    AGE,
    BREATHS,
    BUN,
    DIASTOLIC,
    GLUCOSE,
    HEART_RATE,
    PAO2,
    PH,
    SEX,
    SODIUM,
    SYSTOLIC,
    TEMPERATURE,
    calculator,
    flag,
    number,
)


@calculator(
    "Centor score, modified by McIsaac",
    "points",
    "McIsaac et al. 1998 (CMAJ 158:75-83)",
    limits="from 3 years",
    age=number("age", "years", 3, 120),
    temperature=TEMPERATURE,
    no_cough=flag("absence of cough"),
    tender_nodes=flag("tender or swollen anterior cervical nodes"),
    exudate=flag("exudate or swelling on tonsils"),
)
def centor(*, age: float, temperature: float, no_cough: bool, tender_nodes: bool, exudate: bool) -> int:
    """Sum the Centor score: one point each, also for a temperature over 38 C; one more under 15 years, one
    less from 45.

    Args:
        age: in years.
        temperature: body temperature, degrees Celsius.

    Returns:
        -1 to 5 points.
    """
    points = (temperature > 38) + no_cough + tender_nodes + exudate
    return points + (1 if age < 15 else -1 if age >= 45 else 0)


@calculator(
    "FeverPAIN score",
    "points",
    "Little et al. 2013, doi:10.1136/bmjopen-2013-003943",
    limits="from 3 years",
    fever=flag("fever in the past 24 hours"),
    purulence=flag("purulent tonsils"),
    early=flag("onset within 3 days"),
    inflamed=flag("severely inflamed tonsils"),
    no_cough=flag("no cough or coryza"),
)
def fever_pain(*, fever: bool, purulence: bool, early: bool, inflamed: bool, no_cough: bool) -> int:
    """Sum the FeverPAIN score: one point each.

    Returns:
        0 to 5 points.
    """
    return fever + purulence + early + inflamed + no_cough


@calculator(
    "CURB-65",
    "points",
    "Lim et al. 2003, doi:10.1136/thorax.58.5.377",
    limits="community-acquired pneumonia",
    age=AGE,
    confusion=flag("new confusion"),
    urea_nitrogen=BUN,
    respiratory_rate=BREATHS,
    systolic=SYSTOLIC,
    diastolic=DIASTOLIC,
)
def curb_65(
    *,
    age: float,
    confusion: bool,
    urea_nitrogen: float,
    respiratory_rate: float,
    systolic: float,
    diastolic: float,
) -> int:
    """Sum CURB-65: one point each for confusion, urea over 7 mmol/L (nitrogen over 19 mg/dL), 30 breaths/min,
    pressure under 90 or up to 60 mmHg, and 65 years.

    Args:
        age: in years.
        urea_nitrogen: blood urea nitrogen, mg/dL.
        respiratory_rate: in /min.
        systolic: systolic blood pressure, mmHg.
        diastolic: diastolic blood pressure, mmHg.

    Returns:
        0 to 5 points.
    """
    return (
        confusion
        + (urea_nitrogen > 19)
        + (respiratory_rate >= 30)
        + (systolic < 90 or diastolic <= 60)
        + (age >= 65)
    )


@calculator(
    "Pneumonia Severity Index",
    "points",
    "Fine et al. 1997, doi:10.1056/NEJM199701233360402",
    limits="adults with community-acquired pneumonia",
    age=AGE,
    sex=SEX,
    nursing_home=flag("nursing home resident"),
    neoplasm=flag("neoplastic disease"),
    liver=flag("liver disease"),
    heart_failure=flag("congestive heart failure"),
    cerebrovascular=flag("cerebrovascular disease"),
    renal=flag("renal disease"),
    altered_mental_status=flag("altered mental status"),
    respiratory_rate=BREATHS,
    systolic=SYSTOLIC,
    temperature=TEMPERATURE,
    heart_rate=HEART_RATE,
    ph=PH,
    urea_nitrogen=BUN,
    sodium=SODIUM,
    glucose=GLUCOSE,
    haematocrit=number("haematocrit", "%", 5, 80),
    pao2=PAO2,
    effusion=flag("pleural effusion on X-ray"),
)
def pneumonia_severity(
    *,
    age: float,
    sex: str,
    nursing_home: bool,
    neoplasm: bool,
    liver: bool,
    heart_failure: bool,
    cerebrovascular: bool,
    renal: bool,
    altered_mental_status: bool,
    respiratory_rate: float,
    systolic: float,
    temperature: float,
    heart_rate: float,
    ph: float,
    urea_nitrogen: float,
    sodium: float,
    glucose: float,
    haematocrit: float,
    pao2: float,
    effusion: bool,
) -> int:
    """Sum the Pneumonia Severity Index: age (10 less for women) and points of 19 findings.

    Args:
        age: in years.
        respiratory_rate: in /min.
        systolic: systolic blood pressure, mmHg.
        temperature: body temperature, degrees Celsius.
        heart_rate: in /min.
        ph: arterial pH.
        urea_nitrogen: blood urea nitrogen, mg/dL.
        sodium: serum sodium, mEq/L.
        glucose: blood glucose, mg/dL.
        haematocrit: in %.
        pao2: arterial partial pressure of oxygen, mmHg.

    Returns:
        points.
    """
    points = int(age) - (10 if sex == "female" else 0)
    points += 10 * nursing_home + 30 * neoplasm + 20 * liver + 10 * heart_failure
    points += 10 * cerebrovascular + 10 * renal + 20 * altered_mental_status
    points += 20 * (respiratory_rate >= 30) + 20 * (systolic < 90)
    points += 15 * (temperature < 35 or temperature >= 40) + 10 * (heart_rate >= 125)
    points += 30 * (ph < 7.35) + 20 * (urea_nitrogen >= 30) + 20 * (sodium < 130)
    return points + 10 * (glucose >= 250) + 10 * (haematocrit < 30) + 10 * (pao2 < 60) + 10 * effusion
