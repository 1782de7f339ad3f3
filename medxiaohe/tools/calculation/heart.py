"""Circulation and heart: pressures, QT intervals, risk of stroke, bleeding and coronary events."""

from math import exp, log, sqrt

from medxiaohe.tools.calculation.declare import (
    AGE,
    ANY_AGE,
    CREATININE,
    DIASTOLIC,
    HEART_RATE,
    SEX,
    SYSTOLIC,
    calculator,
    choice,
    flag,
    number,
)

QT = number("QT interval", "ms", 100, 1000)


@calculator(
    "Mean arterial pressure",
    "mmHg",
    "Meaney et al. 2000, doi:10.1136/heart.84.1.64",
    systolic=SYSTOLIC,
    diastolic=DIASTOLIC,
)
def mean_arterial_pressure(*, systolic: float, diastolic: float) -> float:
    """Compute the mean arterial pressure: systolic / 3 + 2 diastolic / 3.

    Args:
        systolic: systolic blood pressure, mmHg.
        diastolic: diastolic blood pressure, mmHg.

    Returns:
        mmHg.
    """
    return systolic / 3 + 2 * diastolic / 3


@calculator("QTc (Bazett)", "ms", "Bazett 1920", limits="60 to 100/min", heart_rate=HEART_RATE, qt=QT)
def qtc_bazett(*, heart_rate: float, qt: float) -> float:
    """Correct the QT interval by Bazett: QT / sqrt(RR), with RR = 60 / heart rate in seconds.

    Args:
        heart_rate: in /min.
        qt: QT interval, ms.

    Returns:
        ms.
    """
    return qt / sqrt(60 / heart_rate)


@calculator("QTc (Fridericia)", "ms", "Fridericia 1920", heart_rate=HEART_RATE, qt=QT)
def qtc_fridericia(*, heart_rate: float, qt: float) -> float:
    """Correct the QT interval by Fridericia: QT / RR^(1/3), with RR = 60 / heart rate in seconds.

    Args:
        heart_rate: in /min.
        qt: QT interval, ms.

    Returns:
        ms.
    """
    return float(qt / (60 / heart_rate) ** (1 / 3))


@calculator(
    "QTc (Framingham)",
    "ms",
    "Sagie et al. 1992, doi:10.1016/0002-9149(92)90562-D",
    heart_rate=HEART_RATE,
    qt=QT,
)
def qtc_framingham(*, heart_rate: float, qt: float) -> float:
    """Correct the QT interval by Framingham: QT + 154 (1 - RR), with RR = 60 / heart rate in seconds.

    Args:
        heart_rate: in /min.
        qt: QT interval, ms.

    Returns:
        ms.
    """
    return qt + 154 * (1 - 60 / heart_rate)


@calculator(
    "QTc (Hodges)",
    "ms",
    "Hodges et al. 1983, doi:10.1016/S0735-1097(83)80295-1",
    heart_rate=HEART_RATE,
    qt=QT,
)
def qtc_hodges(*, heart_rate: float, qt: float) -> float:
    """Correct the QT interval by Hodges: QT + 1.75 (heart rate - 60).

    Args:
        heart_rate: in /min.
        qt: QT interval, ms.

    Returns:
        ms.
    """
    return qt + 1.75 * (heart_rate - 60)


@calculator(
    "QTc (Rautaharju)",
    "ms",
    "Rautaharju et al. 2014, doi:10.1016/j.ijcard.2014.02.033",
    heart_rate=HEART_RATE,
    qt=QT,
)
def qtc_rautaharju(*, heart_rate: float, qt: float) -> float:
    """Correct the QT interval by Rautaharju: QT (120 + heart rate) / 180.

    Args:
        heart_rate: in /min.
        qt: QT interval, ms.

    Returns:
        ms.
    """
    return qt * (120 + heart_rate) / 180


@calculator(
    "CHA2DS2-VASc",
    "points",
    "Lip et al. 2010, doi:10.1378/chest.09-1584",
    limits="atrial fibrillation that is not valvular",
    age=AGE,
    sex=SEX,
    heart_failure=flag("congestive heart failure"),
    hypertension=flag("hypertension"),
    diabetes=flag("diabetes mellitus"),
    stroke=flag("stroke"),
    transient_ischaemic_attack=flag("transient ischaemic attack"),
    thromboembolism=flag("systemic thromboembolism"),
    vascular_disease=flag("myocardial infarction, peripheral artery disease or aortic plaque"),
)
def cha2ds2_vasc(
    *,
    age: float,
    sex: str,
    heart_failure: bool,
    hypertension: bool,
    diabetes: bool,
    stroke: bool,
    transient_ischaemic_attack: bool,
    thromboembolism: bool,
    vascular_disease: bool,
) -> int:
    """Sum CHA2DS2-VASc: one point each; two for age from 75 and for stroke, TIA or thromboembolism.

    Args:
        age: in years.

    Returns:
        0 to 9 points.
    """
    points = 2 if age >= 75 else int(age >= 65)
    points += 2 * (stroke or transient_ischaemic_attack or thromboembolism)
    return points + (sex == "female") + heart_failure + hypertension + diabetes + vascular_disease


@calculator(
    "HAS-BLED",
    "points",
    "Pisters et al. 2010, doi:10.1378/chest.10-0134",
    limits="atrial fibrillation under anticoagulation",
    age=AGE,
    hypertension=flag("uncontrolled hypertension, over 160 mmHg"),
    renal=flag("dialysis, transplant or creatinine over 2.26 mg/dL"),
    liver=flag("cirrhosis, or bilirubin over 2 and transaminases over 3 times normal"),
    stroke=flag("history of stroke"),
    bleeding=flag("major bleeding before, or predisposition"),
    labile_inr=flag("labile INR"),
    drugs=flag("antiplatelet drugs or NSAID"),
    drinks_a_week=number("alcoholic drinks a week", "", 0, 300, default=0.0),
)
def has_bled(
    *,
    age: float,
    hypertension: bool,
    renal: bool,
    liver: bool,
    stroke: bool,
    bleeding: bool,
    labile_inr: bool,
    drugs: bool,
    drinks_a_week: float,
) -> int:
    """Sum HAS-BLED: one point each, also for age over 65 and for 8 drinks a week or more.

    Args:
        age: in years.
        drinks_a_week: alcoholic drinks a week. 0 where it is left out.

    Returns:
        0 to 9 points.
    """
    return (
        (age > 65)
        + hypertension
        + renal
        + liver
        + stroke
        + bleeding
        + labile_inr
        + drugs
        + (drinks_a_week >= 8)
    )


@calculator(
    "HEART score",
    "points",
    "Six et al. 2008, doi:10.1007/BF03086144",
    limits="chest pain in the emergency department",
    age=ANY_AGE,
    history=choice("history", {"slightly suspicious": 0, "moderately suspicious": 1, "highly suspicious": 2}),
    ecg=choice(
        "electrocardiogram",
        {"normal": 0, "non-specific repolarization disturbance": 1, "significant st deviation": 2},
    ),
    troponin=choice("initial troponin in upper limits of normal", {"up to 1": 0, "1 to 3": 1, "over 3": 2}),
    hypertension=flag("hypertension"),
    diabetes=flag("diabetes"),
    hypercholesterolaemia=flag("hypercholesterolaemia"),
    obesity=flag("obesity"),
    smoking=flag("smoking, now or within 3 months"),
    family_history=flag("parent or sibling with cardiovascular disease before 65"),
    atherosclerosis=flag("known atherosclerotic disease, stroke or TIA"),
)
def heart_score(
    *,
    age: float,
    history: int,
    ecg: int,
    troponin: int,
    hypertension: bool,
    diabetes: bool,
    hypercholesterolaemia: bool,
    obesity: bool,
    smoking: bool,
    family_history: bool,
    atherosclerosis: bool,
) -> int:
    """Sum the HEART score: 0 to 2 points each for history, ECG, age (45, 65), risk factors (1, 3 or
    atherosclerosis) and troponin.

    Args:
        age: in years.

    Returns:
        0 to 10 points.
    """
    factors = hypertension + diabetes + hypercholesterolaemia + obesity + smoking + family_history
    risk = 2 if factors >= 3 or atherosclerosis else int(factors >= 1)
    return history + ecg + troponin + risk + (2 if age >= 65 else int(age >= 45))


@calculator(
    "Revised Cardiac Risk Index",
    "points",
    "Lee et al. 1999, doi:10.1161/01.CIR.100.10.1043",
    limits="elective surgery other than of the heart",
    elevated_risk_surgery=flag("intraperitoneal, intrathoracic or suprainguinal vascular surgery"),
    ischaemic_heart_disease=flag("ischaemic heart disease"),
    heart_failure=flag("congestive heart failure"),
    cerebrovascular_disease=flag("stroke or transient ischaemic attack"),
    insulin=flag("insulin before surgery"),
    creatinine=CREATININE,
)
def cardiac_risk_index(
    *,
    elevated_risk_surgery: bool,
    ischaemic_heart_disease: bool,
    heart_failure: bool,
    cerebrovascular_disease: bool,
    insulin: bool,
    creatinine: float,
) -> int:
    """Sum the Revised Cardiac Risk Index: one point each, also for creatinine over 2 mg/dL.

    Args:
        creatinine: serum creatinine, mg/dL.

    Returns:
        0 to 6 points.
    """
    return (
        elevated_risk_surgery
        + ischaemic_heart_disease
        + heart_failure
        + cerebrovascular_disease
        + insulin
        + (creatinine > 2)
    )


@calculator(
    "Framingham risk of hard coronary heart disease in 10 years (ATP III)",
    "%",
    "Wilson et al. 1998, doi:10.1161/01.CIR.97.18.1837; coefficients of the ATP III calculator of NHLBI",
    limits="30 to 79 years, no coronary disease, no diabetes",
    digits=1,
    sex=SEX,
    age=number("age", "years", 30, 79),
    total_cholesterol=number("total cholesterol", "mg/dL", 100, 500, analyte="cholesterol"),
    hdl_cholesterol=number("HDL cholesterol", "mg/dL", 10, 150, analyte="cholesterol"),
    systolic=SYSTOLIC,
    treated=flag("blood pressure treated with medicines"),
    smoker=flag("smoker"),
)
def framingham_risk(
    *,
    sex: str,
    age: float,
    total_cholesterol: float,
    hdl_cholesterol: float,
    systolic: float,
    treated: bool,
    smoker: bool,
) -> float:
    """Compute the 10-year risk 100 (1 - S^exp(sum)): the sum is linear in the logarithms of the inputs minus
    the population mean, S the baseline survival. In the product with smoking the age is at most 70 for men
    and 78 for women.

    Args:
        age: in years.
        total_cholesterol: in mg/dL.
        hdl_cholesterol: HDL cholesterol, mg/dL.
        systolic: systolic blood pressure, mmHg.

    Returns:
        percent.
    """
    # natural logarithms of age, total and HDL cholesterol, and systolic pressure
    years, total, hdl, pressure = map(log, (age, total_cholesterol, hdl_cholesterol, systolic))
    if sex == "male":
        risk = 52.00961 * years + 20.014077 * total - 0.905964 * hdl + 1.305784 * pressure
        risk += 0.241549 * treated + 12.096316 * smoker - 4.605038 * years * total
        risk += -2.84367 * log(min(age, 70)) * smoker - 2.93323 * years**2 - 172.300168
        survival = 0.9402
    else:
        risk = 31.764001 * years + 22.465206 * total - 1.187731 * hdl + 2.552905 * pressure
        risk += 0.420251 * treated + 13.07543 * smoker - 5.060998 * years * total
        risk += -2.996945 * log(min(age, 78)) * smoker - 146.5933061
        survival = 0.98767
    return float(100 * (1 - survival ** exp(risk)))
