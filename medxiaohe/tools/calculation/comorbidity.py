"""Burden of chronic disease."""

from medxiaohe.tools.calculation.declare import AGE, calculator, choice, flag


@calculator(
    "Charlson Comorbidity Index, with age",
    "points",
    "Charlson et al. 1987, doi:10.1016/0021-9681(87)90171-8; age after Charlson et al. 1994,"
    " doi:10.1016/0895-4356(94)90129-5",
    age=AGE,
    infarction=flag("myocardial infarction"),
    heart_failure=flag("congestive heart failure"),
    peripheral_vascular=flag("peripheral vascular disease"),
    stroke=flag("stroke"),
    transient_ischaemic_attack=flag("transient ischaemic attack"),
    dementia=flag("dementia"),
    lung_disease=flag("chronic obstructive lung disease"),
    connective_tissue=flag("connective tissue disease"),
    peptic_ulcer=flag("peptic ulcer disease"),
    liver=choice("liver disease", {"none": 0, "mild": 1, "moderate to severe": 3, "severe": 3}, default=0),
    diabetes=choice(
        "diabetes", {"none or diet-controlled": 0, "uncomplicated": 1, "end-organ damage": 2}, default=0
    ),
    hemiplegia=flag("hemiplegia"),
    kidney=flag("moderate to severe chronic kidney disease"),
    tumor=choice("solid tumour", {"none": 0, "localized": 2, "metastatic": 6}, default=0),
    leukemia=flag("leukaemia"),
    lymphoma=flag("lymphoma"),
    aids=flag("AIDS"),
)
def charlson(
    *,
    age: float,
    stroke: bool,
    transient_ischaemic_attack: bool,
    liver: int,
    diabetes: int,
    hemiplegia: bool,
    kidney: bool,
    tumor: int,
    leukemia: bool,
    lymphoma: bool,
    aids: bool,
    **one_point: bool,
) -> int:
    """Sum the Charlson Comorbidity Index: age from 50 one point a decade, at most 4; conditions of 1, 2, 3
    and 6 points. Conditions of one point are the keyword arguments that are not listed.

    Args:
        age: in years.

    Returns:
        points, at least 0.
    """
    points = min(max(int(age // 10) - 4, 0), 4) + sum(one_point.values())
    points += int(stroke or transient_ischaemic_attack) + liver + diabetes + tumor + 6 * aids
    return points + 2 * (hemiplegia + kidney + leukemia + lymphoma)
