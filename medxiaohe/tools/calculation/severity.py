"""Severity of acute illness."""

from medxiaohe.errors import ToolError
from medxiaohe.tools.calculation.declare import (
    AGE,
    BILIRUBIN,
    BREATHS,
    CREATININE,
    DIASTOLIC,
    FIO2,
    GLASGOW,
    HEART_RATE,
    PAO2,
    PH,
    PLATELETS,
    POTASSIUM,
    SODIUM,
    SYSTOLIC,
    TEMPERATURE,
    calculator,
    choice,
    flag,
    number,
)

WHITE_CELLS = number("white cell count", "10^9/L", 0.01, 600)
AMINE = "10^-6 g/kg/min"


def band(value: float, steps: tuple[tuple[float, int], ...], above: int) -> int:
    """Look up the points of a value in a table of upper limits.

    Args:
        value: the measured value.
        steps: (upper limit, exclusive; points), in ascending order.
        above: points of a value that is below no limit.

    Returns:
        points.
    """
    return next((points for limit, points in steps if value < limit), above)


@calculator(
    "Glasgow Coma Scale",
    "points",
    "Teasdale and Jennett 1974, doi:10.1016/S0140-6736(74)91639-0",
    eye=choice(
        "best eye response",
        {
            "eyes open spontaneously": 4,
            "eye opening to verbal command": 3,
            "eye opening to pain": 2,
            "no eye opening": 1,
            "not testable": None,
        },
    ),
    verbal=choice(
        "best verbal response",
        {
            "oriented": 5,
            "confused": 4,
            "inappropriate words": 3,
            "incomprehensible sounds": 2,
            "no verbal response": 1,
            "not testable": None,
        },
    ),
    motor=choice(
        "best motor response",
        {
            "obeys commands": 6,
            "localizes pain": 5,
            "withdrawal from pain": 4,
            "flexion to pain": 3,
            "extension to pain": 2,
            "no motor response": 1,
        },
    ),
)
def glasgow_coma_scale(*, eye: int | None, verbal: int | None, motor: int) -> int:
    """Sum the Glasgow Coma Scale; it has no total where a response cannot be tested (Teasdale et al. 2014).

    Returns:
        3 to 15 points.

    Raises:
        ToolError: the response of the eyes or the verbal one is None (not testable).
    """
    if eye is None or verbal is None:
        raise ToolError("glasgow_coma_scale has no total where a response cannot be tested: state the others")
    return eye + verbal + motor


@calculator(
    "SIRS criteria",
    "criteria",
    "Bone et al. 1992, doi:10.1378/chest.101.6.1644",
    temperature=TEMPERATURE,
    heart_rate=HEART_RATE,
    respiratory_rate=BREATHS,
    white_cells=WHITE_CELLS,
    paco2=number("arterial partial pressure of carbon dioxide", "mmHg", 5, 200, default=None),
    bands=number("immature neutrophils", "%", 0, 100, default=0.0),
)
def sirs(
    *,
    temperature: float,
    heart_rate: float,
    respiratory_rate: float,
    white_cells: float,
    paco2: float | None,
    bands: float,
) -> int:
    """Count the SIRS criteria: temperature over 38 or under 36 C, heart rate over 90/min, over 20 breaths/min
    or PaCO2 under 32 mmHg, white cells over 12 or under 4 x 10^9/L or over 10 % bands.

    Args:
        temperature: body temperature, degrees Celsius.
        heart_rate: in /min.
        respiratory_rate: in /min.
        white_cells: white cell count, 10^9/L.
        paco2: arterial partial pressure of carbon dioxide, mmHg. None where it is unknown.
        bands: immature neutrophils, %. 0 where it is left out.

    Returns:
        0 to 4 criteria.
    """
    return (
        (temperature > 38 or temperature < 36)
        + (heart_rate > 90)
        + (respiratory_rate > 20 or (paco2 is not None and paco2 < 32))
        + (white_cells > 12 or white_cells < 4 or bands > 10)
    )


@calculator(
    "SOFA score",
    "points",
    "Vincent et al. 1996, doi:10.1007/BF01709751",
    pao2=PAO2,
    fio2=FIO2,
    platelets=PLATELETS,
    bilirubin=BILIRUBIN,
    creatinine=CREATININE,
    glasgow=number("Glasgow Coma Scale", "", 3, 15, default=15.0),
    ventilated=flag("mechanical ventilation, CPAP included"),
    mean_pressure=number("mean arterial pressure", "mmHg", 10, 250, default=None),
    dopamine=number("dopamine", AMINE, 0, 100, default=0.0),
    dobutamine=number("dobutamine", AMINE, 0, 100, default=0.0),
    epinephrine=number("epinephrine", AMINE, 0, 10, default=0.0),
    norepinephrine=number("norepinephrine", AMINE, 0, 10, default=0.0),
    urine=number("urine output a day", "mL", 0, 20000, default=None),
)
def sofa(
    *,
    pao2: float,
    fio2: float,
    platelets: float,
    bilirubin: float,
    creatinine: float,
    glasgow: float,
    ventilated: bool,
    mean_pressure: float | None,
    dopamine: float,
    dobutamine: float,
    epinephrine: float,
    norepinephrine: float,
    urine: float | None,
) -> int:
    """Sum the SOFA score: 0 to 4 points for each of six organs; catecholamines in ug/kg/min.

    Args:
        pao2: arterial partial pressure of oxygen, mmHg.
        fio2: fraction of inspired oxygen, %.
        platelets: platelet count, 10^9/L.
        bilirubin: total bilirubin, mg/dL.
        creatinine: serum creatinine, mg/dL.
        glasgow: Glasgow Coma Scale. 15 where it is left out.
        mean_pressure: mean arterial pressure, mmHg. None where it is unknown.
        dopamine: in ug/kg/min. 0 where it is left out.
        dobutamine: in ug/kg/min. 0 where it is left out.
        epinephrine: in ug/kg/min. 0 where it is left out.
        norepinephrine: in ug/kg/min. 0 where it is left out.
        urine: urine output a day, mL. None where it is unknown.

    Returns:
        0 to 24 points.
    """
    # PaO2 / FiO2 in mmHg, FiO2 as a fraction; the two worst bands need ventilation
    ratio = 100 * pao2 / fio2
    lung = band(ratio, ((100, 4 if ventilated else 2), (200, 3 if ventilated else 2), (300, 2), (400, 1)), 0)
    blood = band(platelets, ((20, 4), (50, 3), (100, 2), (150, 1)), 0)
    liver = band(bilirubin, ((1.2, 0), (2, 1), (6, 2), (12, 3)), 4)
    # the worst of the vasopressor bands, or 1 point for a low mean pressure without vasopressors
    amine = max(epinephrine, norepinephrine)
    if dopamine > 15 or amine > 0.1:
        heart = 4
    elif dopamine > 5 or amine > 0:
        heart = 3
    elif dopamine > 0 or dobutamine > 0:
        heart = 2
    else:
        heart = int(mean_pressure is not None and mean_pressure < 70)
    brain = band(glasgow, ((6, 4), (10, 3), (13, 2), (15, 1)), 0)
    kidney = band(creatinine, ((1.2, 0), (2, 1), (3.5, 2), (5, 3)), 4)
    # little urine raises the points of the kidney, never lowers them
    if urine is not None and urine < 500:
        kidney = max(kidney, 4 if urine < 200 else 3)
    return lung + blood + liver + heart + brain + kidney


@calculator(
    "APACHE II score",
    "points",
    "Knaus et al. 1985, doi:10.1097/00003246-198510000-00009",
    limits="adults in intensive care, worst values of the first 24 hours",
    age=AGE,
    temperature=TEMPERATURE,
    systolic=SYSTOLIC,
    diastolic=DIASTOLIC,
    heart_rate=HEART_RATE,
    respiratory_rate=BREATHS,
    fio2=FIO2,
    ph=PH,
    sodium=SODIUM,
    potassium=POTASSIUM,
    creatinine=CREATININE,
    haematocrit=number("haematocrit", "%", 5, 80),
    white_cells=WHITE_CELLS,
    glasgow=GLASGOW,
    pao2=number("arterial partial pressure of oxygen, for an FiO2 below 50 %", "mmHg", 15, 700, default=None),
    gradient=number("alveolar-arterial gradient, for an FiO2 from 50 %", "mmHg", 0, 700, default=None),
    acute_renal_failure=flag("acute renal failure"),
    chronic_illness=flag("severe organ failure or immunocompromise before"),
    admission=choice("kind of admission", {"nonoperative": 5, "emergency": 5, "elective": 2}, default=5),
)
def apache_ii(
    *,
    age: float,
    temperature: float,
    systolic: float,
    diastolic: float,
    heart_rate: float,
    respiratory_rate: float,
    fio2: float,
    ph: float,
    sodium: float,
    potassium: float,
    creatinine: float,
    haematocrit: float,
    white_cells: float,
    glasgow: float,
    pao2: float | None,
    gradient: float | None,
    acute_renal_failure: bool,
    chronic_illness: bool,
    admission: int,
) -> int:
    """Sum APACHE II: twelve physiological values of 0 to 4 points (creatinine doubled in acute renal failure;
    15 - Glasgow), age of 0 to 6, chronic illness of 2 (elective surgery) or 5.

    Args:
        age: in years.
        temperature: body temperature, degrees Celsius.
        systolic: systolic blood pressure, mmHg.
        diastolic: diastolic blood pressure, mmHg.
        heart_rate: in /min.
        respiratory_rate: in /min.
        fio2: fraction of inspired oxygen, %.
        ph: arterial pH.
        sodium: serum sodium, mEq/L.
        potassium: serum potassium, mEq/L.
        creatinine: serum creatinine, mg/dL.
        haematocrit: in %.
        white_cells: white cell count, 10^9/L.
        glasgow: Glasgow Coma Scale.
        pao2: arterial partial pressure of oxygen, for an FiO2 below 50 %, mmHg. None where it is unknown.
        gradient: alveolar-arterial gradient, for an FiO2 from 50 %, mmHg. None where it is unknown.

    Returns:
        0 to 71 points.
    """
    pressure = systolic / 3 + 2 * diastolic / 3
    # each band as (upper limit, points), from low to high values
    points = band(
        round(temperature, 1),
        ((30, 4), (32, 3), (34, 2), (36, 1), (38.5, 0), (39, 1), (41, 3)),
        4,
    )
    points += band(round(pressure), ((50, 4), (70, 2), (110, 0), (130, 2), (160, 3)), 4)
    points += band(heart_rate, ((40, 4), (55, 3), (70, 2), (110, 0), (140, 2), (180, 3)), 4)
    points += band(respiratory_rate, ((6, 4), (10, 2), (12, 1), (25, 0), (35, 1), (50, 3)), 4)
    points += _oxygen(fio2, pao2, gradient)
    points += band(ph, ((7.15, 4), (7.25, 3), (7.33, 2), (7.5, 0), (7.6, 1), (7.7, 3)), 4)
    points += band(sodium, ((111, 4), (120, 3), (130, 2), (150, 0), (155, 1), (160, 2), (180, 3)), 4)
    points += band(potassium, ((2.5, 4), (3, 2), (3.5, 1), (5.5, 0), (6, 1), (7, 3)), 4)
    renal = band(creatinine, ((0.6, 2), (1.5, 0), (2, 2), (3.5, 3)), 4)
    points += renal * (2 if acute_renal_failure else 1)
    points += band(haematocrit, ((20, 4), (30, 2), (46, 0), (50, 1), (60, 2)), 4)
    points += band(white_cells, ((1, 4), (3, 2), (15, 0), (20, 1), (40, 2)), 4)
    points += 15 - round(glasgow)
    points += band(age, ((45, 0), (55, 2), (65, 3), (75, 5)), 6)
    return points + (admission if chronic_illness else 0)


def _oxygen(fio2: float, pao2: float | None, gradient: float | None) -> int:
    if fio2 >= 50:
        if gradient is None:
            raise ToolError("apache_ii needs the alveolar-arterial gradient at an FiO2 from 50 %")
        return band(gradient, ((200, 0), (350, 2), (500, 3)), 4)
    if pao2 is None:
        raise ToolError("apache_ii needs the arterial partial pressure of oxygen at an FiO2 below 50 %")
    return band(pao2, ((55, 4), (61, 3), (71, 1)), 0)
