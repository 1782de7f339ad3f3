"""Venous thrombosis and pulmonary embolism."""

from medxiaohe.tools.calculation.declare import AGE, HEART_RATE, calculator, choice, flag, number


@calculator(
    "Wells score for pulmonary embolism",
    "points",
    "Wells et al. 2000 (Thromb Haemost 83:416-420)",
    digits=1,
    heart_rate=HEART_RATE,
    signs=flag("clinical signs of deep vein thrombosis"),
    likeliest=flag("pulmonary embolism is the likeliest diagnosis, or equally likely"),
    immobilisation=flag("immobilisation for 3 days and more"),
    surgery=flag("surgery in the previous 4 weeks"),
    previous_embolism=flag("pulmonary embolism before"),
    previous_thrombosis=flag("deep vein thrombosis before"),
    haemoptysis=flag("haemoptysis"),
    malignancy=flag("malignancy, treated within 6 months or palliative"),
)
def wells_embolism(
    *,
    heart_rate: float,
    signs: bool,
    likeliest: bool,
    immobilisation: bool,
    surgery: bool,
    previous_embolism: bool,
    previous_thrombosis: bool,
    haemoptysis: bool,
    malignancy: bool,
) -> float:
    """Sum the Wells score of pulmonary embolism: 3 points for signs and for the likeliest diagnosis, 1.5 for
    over 100/min, for immobilisation or surgery and for previous events, 1 for the others.

    Args:
        heart_rate: in /min.

    Returns:
        0 to 12.5 points.
    """
    points = 3.0 * signs + 3.0 * likeliest + 1.5 * (heart_rate > 100) + 1.5 * (immobilisation or surgery)
    return points + 1.5 * (previous_embolism or previous_thrombosis) + haemoptysis + malignancy


@calculator(
    "Wells score for deep vein thrombosis",
    "points",
    "Wells et al. 2003, doi:10.1056/NEJMoa023153",
    active_cancer=flag("active cancer"),
    bedridden=flag("bedridden for 3 days"),
    surgery=flag("major surgery within 12 weeks"),
    calf=flag("calf swelling of more than 3 cm"),
    collaterals=flag("collateral superficial veins"),
    leg_swollen=flag("entire leg swollen"),
    tenderness=flag("tenderness along the deep veins"),
    pitting=flag("pitting oedema of the leg"),
    paralysis=flag("paralysis, paresis or plaster of the leg"),
    previous=flag("deep vein thrombosis before"),
    alternative=flag("an alternative diagnosis at least as likely"),
)
def wells_thrombosis(
    *,
    active_cancer: bool,
    bedridden: bool,
    surgery: bool,
    calf: bool,
    collaterals: bool,
    leg_swollen: bool,
    tenderness: bool,
    pitting: bool,
    paralysis: bool,
    previous: bool,
    alternative: bool,
) -> int:
    """Sum the Wells score of deep vein thrombosis: one point each, 2 less for an alternative diagnosis.

    Returns:
        -2 to 9 points.
    """
    points = active_cancer + (bedridden or surgery) + calf + collaterals + leg_swollen + tenderness
    return points + pitting + paralysis + previous - 2 * alternative


@calculator(
    "PERC rule",
    "criteria",
    "Kline et al. 2004, doi:10.1111/j.1538-7836.2004.00790.x",
    limits="low pretest probability; 0 criteria rule out pulmonary embolism",
    age=AGE,
    heart_rate=HEART_RATE,
    saturation=number("oxygen saturation in room air", "%", 30, 100),
    leg_swelling=flag("unilateral leg swelling"),
    haemoptysis=flag("haemoptysis"),
    surgery=flag("recent surgery or trauma"),
    previous_embolism=flag("pulmonary embolism before"),
    previous_thrombosis=flag("deep vein thrombosis before"),
    hormones=flag("use of oestrogens"),
)
def perc(
    *,
    age: float,
    heart_rate: float,
    saturation: float,
    leg_swelling: bool,
    haemoptysis: bool,
    surgery: bool,
    previous_embolism: bool,
    previous_thrombosis: bool,
    hormones: bool,
) -> int:
    """Count the PERC criteria that are positive: 50 years, 100/min, saturation below 95 %, and five findings.

    Args:
        age: in years.
        heart_rate: in /min.
        saturation: oxygen saturation in room air, %.

    Returns:
        0 to 8 criteria.
    """
    return (
        (age >= 50)
        + (heart_rate >= 100)
        + (saturation < 95)
        + leg_swelling
        + haemoptysis
        + surgery
        + (previous_embolism or previous_thrombosis)
        + hormones
    )


@calculator(
    "Caprini score (2005)",
    "points",
    "Caprini 2005, doi:10.1016/j.disamonth.2005.02.003",
    limits="surgical adults",
    age=AGE,
    surgery=choice(
        "kind of surgery",
        {
            "none": 0,
            "minor": 1,
            "major": 2,
            "laparoscopic": 2,
            "arthroscopic": 2,
            "elective major lower extremity arthroplasty": 5,
        },
        default=0,
    ),
    mobility=choice("mobility", {"normal": 0, "on bed rest": 1, "confined to bed >72 hours": 2}, default=0),
    body_mass_index=number("body mass index", "kg/m^2", 8, 120, default=None),
    recent_surgery=flag("major surgery in the last month"),
    heart_failure=flag("congestive heart failure in the last month"),
    sepsis=flag("sepsis in the last month"),
    pneumonia=flag("pneumonia in the last month"),
    plaster=flag("immobilising plaster in the last month"),
    fracture=flag("hip, pelvis or leg fracture in the last month"),
    stroke=flag("stroke in the last month"),
    trauma=flag("multiple trauma in the last month"),
    spinal_injury=flag("acute spinal cord injury with paralysis in the last month"),
    hormones=flag("oral contraceptives or hormone replacement"),
    pregnancy=flag("pregnancy, or birth in the last month"),
    varicose_veins=flag("varicose veins"),
    swollen_legs=flag("swollen legs now"),
    central_line=flag("central venous access now"),
    thrombosis=flag("deep vein thrombosis before"),
    embolism=flag("pulmonary embolism before"),
    family=flag("thrombosis in the family"),
    factor_v=flag("factor V Leiden"),
    prothrombin=flag("prothrombin 20210A"),
    homocysteine=flag("elevated homocysteine"),
    lupus=flag("lupus anticoagulant"),
    anticardiolipin=flag("anticardiolipin antibody"),
    heparin=flag("heparin-induced thrombocytopenia"),
    thrombophilia=flag("other thrombophilia"),
    bowel_disease=flag("inflammatory bowel disease"),
    infarction=flag("acute myocardial infarction"),
    lung_disease=flag("chronic obstructive lung disease"),
    malignancy=flag("malignancy, present or previous"),
)
def caprini(
    *, age: float, surgery: int, mobility: int, body_mass_index: float | None, **present: bool
) -> int:
    """Sum the Caprini score: age 41, 61 and 75 (1 to 3), surgery, mobility, body mass index over 25 (1), and
    1, 2, 3 or 5 for each condition.

    Args:
        age: in years.
        body_mass_index: in kg/m^2. None where it is unknown.

    Returns:
        points, at least 0.
    """
    three = (
        "thrombosis",
        "embolism",
        "family",
        "factor_v",
        "prothrombin",
        "homocysteine",
        "lupus",
        "anticardiolipin",
        "heparin",
        "thrombophilia",
    )
    weights = dict.fromkeys(three, 3) | dict.fromkeys(("fracture", "stroke", "trauma", "spinal_injury"), 5)
    weights |= dict.fromkeys(("plaster", "central_line", "malignancy"), 2)
    points = 3 if age >= 75 else 2 if age >= 61 else int(age >= 41)
    points += surgery + mobility + (body_mass_index is not None and body_mass_index > 25)
    return points + sum(weights.get(name, 1) for name, here in present.items() if here)
