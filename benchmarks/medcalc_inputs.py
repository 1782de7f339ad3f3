"""The gold inputs of MedCalc-Bench as inputs of the calculators, and what its reference computes otherwise.

The data set has for each item the values that a reader should find in the note ("Relevant Entities").
`inputs` renames them; it changes no value and no unit.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

# calculator id of the data set -> (our calculator, name in the data -> name of the input)
SAME = {"sex": "sex", "age": "age", "weight": "weight", "height": "height", "creatinine": "creatinine"}
GAP = {"Sodium": "sodium", "Chloride": "chloride", "Bicarbonate": "bicarbonate", "Albumin": "albumin"}
PRESSURE = {"Systolic Blood Pressure": "systolic", "Diastolic Blood Pressure": "diastolic"}
QT = {"Heart Rate or Pulse": "heart_rate", "QT interval": "qt"}
PREGNANCY = {"cycle length": "cycle", "Last menstrual date": "last_period", "Current Date": "today"}
BREATHS = {"respiratory rate": "respiratory_rate"}
HEAT = {"Temperature": "temperature", "Heart Rate or Pulse": "heart_rate", **BREATHS}
BLOOD_GAS = {"pH": "ph", "Partial pressure of oxygen (PaO₂) for Apache II": "pao2", "FiO₂": "fio2"}
DVT, PE = "Previously documented Deep Vein Thrombosis", "Previously Documented Pulmonary Embolism"
NAMES: dict[int, tuple[str, dict[str, str]]] = {
    2: ("creatinine_clearance", SAME),
    3: ("gfr_ckd_epi", SAME),
    4: (
        "cha2ds2_vasc",
        {
            **SAME,
            "Thromboembolism history": "thromboembolism",
            "Hypertension history": "hypertension",
            "Diabetes history": "diabetes",
            "Vascular disease history": "vascular_disease",
            "Congestive Heart Faliure": "heart_failure",
            "Stroke": "stroke",
            "Transient Ischemic Attacks History": "transient_ischaemic_attack",
        },
    ),
    5: ("mean_arterial_pressure", PRESSURE),
    6: ("body_mass_index", SAME),
    7: ("corrected_calcium", {"Calcium": "calcium", **GAP}),
    8: (
        "wells_embolism",
        {
            "Heart Rate or Pulse": "heart_rate",
            PE: "previous_embolism",
            DVT: "previous_thrombosis",
            "Immobilization for at least 3 days": "immobilisation",
            "Malignancy with treatment within 6 months or palliative": "malignancy",
            "Pulmonary Embolism is #1 diagnosis OR equally likely": "likeliest",
            "Surgery in the previous 4 weeks": "surgery",
            "Hemoptysis": "haemoptysis",
            "Clinical signs and symptoms of Deep Vein Thrombosis": "signs",
        },
    ),
    9: ("gfr_mdrd", {**SAME, "Race": "race"}),
    10: ("ideal_weight", SAME),
    11: ("qtc_bazett", QT),
    13: ("due_date", PREGNANCY),
    15: (
        "child_pugh",
        {
            "international normalized ratio": "inr",
            "Ascites": "ascites",
            "Encephalopathy": "encephalopathy",
            "Bilirubin": "bilirubin",
            **GAP,
        },
    ),
    16: (
        "wells_thrombosis",
        {
            "Active cancer": "active_cancer",
            "Bedridden recently >3 days or major surgery within 12 weeks": "bedridden",
            "Major surgery within 12 weeks": "surgery",
            "Entire Leg Swollen": "leg_swollen",
            "Localized tenderness along the deep venous system": "tenderness",
            "Pitting edema, confined to symptomatic leg": "pitting",
            "Paralysis, paresis, or recent plaster immobilization of the lower extremity": "paralysis",
            DVT: "previous",
            "Alternative diagnosis to Deep Vein Thrombosis as likely or more likely": "alternative",
            "Calf swelling >3 centimeters compared to the other leg": "calf",
            "Collateral (nonvaricose) superficial veins present": "collaterals",
        },
    ),
    17: (
        "cardiac_risk_index",
        {
            "History of cerebrovascular disease": "cerebrovascular_disease",
            "Pre-operative treatment with insulin": "insulin",
            "Congestive Heart Failure criteria for the Cardiac Risk Index rule": "heart_failure",
            "Pre-operative creatinine": "creatinine",
            "History of ischemic heart disease": "ischaemic_heart_disease",
            "Elevated-risk surgery": "elevated_risk_surgery",
        },
    ),
    18: (
        "heart_score",
        {
            **SAME,
            "Hypertension history": "hypertension",
            "Suspicion History": "history",
            "Electrocardiogram Test": "ecg",
            "Diabetes mellitus criteria for CCI rule": "diabetes",
            "atherosclerotic disease": "atherosclerosis",
            "Initial troponin": "troponin",
            "hypercholesterolemia": "hypercholesterolaemia",
            "obesity": "obesity",
            "smoking": "smoking",
            "parent or sibling with Cardiovascular disease before age 65": "family_history",
        },
    ),
    19: (
        "fibrosis_4",
        {
            **SAME,
            "Aspartate aminotransferase": "ast",
            "Alanine aminotransferase": "alt",
            "Platelet count": "platelets",
        },
    ),
    20: (
        "centor",
        {
            **SAME,
            "Cough Absent": "no_cough",
            "Temperature": "temperature",
            "Exudate or swelling on tonsils": "exudate",
            "Tender/swollen anterior cervical lymph nodes": "tender_nodes",
        },
    ),
    21: (
        "glasgow_coma_scale",
        {"Best eye response": "eye", "Best verbal response": "verbal", "Best motor response": "motor"},
    ),
    22: ("maintenance_fluids", SAME),
    23: (
        "meld_na",
        {
            **SAME,
            **GAP,
            "Bilirubin": "bilirubin",
            "international normalized ratio": "inr",
            "Continuous veno-venous hemodialysis for ≥24 hours in the past week": "haemofiltration",
            "Dialysis at least twice in the past week": "dialysis",
        },
    ),
    24: ("steroid_dose", {"input steroid": "dose", "target steroid": "to"}),
    25: (
        "has_bled",
        {
            **SAME,
            "Stroke": "stroke",
            "Hypertension history": "hypertension",
            "Medication usage predisposing to bleeding": "drugs",
            "Liver disease criteria for the HAS-BLED rule": "liver",
            "Number of Alcoholic Drinks Per Week": "drinks_a_week",
            "Labile international normalized ratio": "labile_inr",
            "Renal disease criteria for the HAS-BLED rule": "renal",
            "Prior major bleeding or predisposition to bleeding": "bleeding",
        },
    ),
    26: ("corrected_sodium", {"Glucose": "glucose", **GAP}),
    27: (
        "blatchford",
        {
            **SAME,
            "Hepatic disease history": "hepatic_disease",
            "Blood Urea Nitrogen (BUN)": "urea_nitrogen",
            "Recent syncope": "syncope",
            "Heart Rate or Pulse": "heart_rate",
            "Hemoglobin": "haemoglobin",
            "Cardiac failure present": "cardiac_failure",
            "Melena present": "melena",
            **PRESSURE,
        },
    ),
    28: (
        "apache_ii",
        {
            **SAME,
            **GAP,
            **HEAT,
            **BLOOD_GAS,
            **PRESSURE,
            "Acute renal failure": "acute_renal_failure",
            "Hematocrit": "haematocrit",
            "Glasgow Coma Score": "glasgow",
            "White blood cell count": "white_cells",
            "Potassium": "potassium",
            "A-a gradient": "gradient",
            "Surgery Type": "admission",
            "History of severe organ failure or immunocompromise": "chronic_illness",
        },
    ),
    29: (
        "pneumonia_severity",
        {
            **SAME,
            **GAP,
            **HEAT,
            **BLOOD_GAS,
            **PRESSURE,
            "Hematocrit": "haematocrit",
            "Glucose": "glucose",
            "Congestive Heart Faliure": "heart_failure",
            "Renal disease": "renal",
            "Cerebrovascular disease history": "cerebrovascular",
            "Liver disease severity": "liver",
            "Neoplastic disease": "neoplasm",
            "Blood Urea Nitrogen (BUN)": "urea_nitrogen",
            "Altered mental status": "altered_mental_status",
            "Pleural effusion on x-ray": "effusion",
            "Nursing home resident": "nursing_home",
        },
    ),
    30: ("osmolality", {**GAP, "Glucose": "glucose", "Blood Urea Nitrogen (BUN)": "urea_nitrogen"}),
    31: ("homa_ir", {"Glucose": "glucose", "Insulin": "insulin"}),
    32: (
        "charlson",
        {
            **SAME,
            "Transient Ischemic Attacks History": "transient_ischaemic_attack",
            "Lymphoma": "lymphoma",
            "Solid tumor": "tumor",
            "Dementia": "dementia",
            "Leukemia": "leukemia",
            "Myocardial infarction": "infarction",
            "Congestive Heart Faliure": "heart_failure",
            "Hemiplegia": "hemiplegia",
            "Chronic Obstructive Pulmonary Disease": "lung_disease",
            "Moderate to severe Chronic Kidney Disease": "kidney",
            "Cerebrovascular Accident": "stroke",
            "Diabetes mellitus criteria for CCI rule": "diabetes",
            "AIDS": "aids",
            "Connective tissue disease": "connective_tissue",
            "Peptic ulcer disease": "peptic_ulcer",
            "Liver disease severity": "liver",
            "Peripheral vascular disease": "peripheral_vascular",
        },
    ),
    33: (
        "fever_pain",
        {
            "Symptom onset ≤3 days": "early",
            "Purulent tonsils": "purulence",
            "Fever in past 24 hours": "fever",
            "Severe tonsil inflammation": "inflamed",
            "Absence of cough or coryza": "no_cough",
        },
    ),
    36: (
        "caprini",
        {
            **SAME,
            "Surgery Type": "surgery",
            "Major Surgery in the last month": "recent_surgery",
            "Congestive Heart Failure in the last month": "heart_failure",
            "Sepsis in the last month": "sepsis",
            "Pneumonia in the last month": "pneumonia",
            "Stroke in the last month": "stroke",
            "Hip, pelvis, or leg fracture in the last month": "fracture",
            "Multiple trauma in the last month": "trauma",
            "Varicose veins": "varicose_veins",
            "Acute spinal cord injury causing paralysis in the last month": "spinal_injury",
            "Current swollen legs": "swollen_legs",
            DVT: "thrombosis",
            PE: "embolism",
            "Family history of thrombosis": "family",
            "Positive Factor V Leiden": "factor_v",
            "Positive prothrombin 20210A": "prothrombin",
            "Elevated serum homocysteine": "homocysteine",
            "Positive lupus anticoagulant": "lupus",
            "Elevated anticardiolipin antibody": "anticardiolipin",
            "Heparin-induced thrombocytopenia": "heparin",
            "Mobility": "mobility",
            "Other congenital or acquired thrombophilia": "thrombophilia",
            "History of inflammatory bowel disease": "bowel_disease",
            "Body Mass Index (BMI)": "body_mass_index",
            "Acute Myocardial infarction": "infarction",
            "Chronic Obstructive Pulmonary Disease": "lung_disease",
            "Present or previous malignancy": "malignancy",
            "Immobilizing plaster cast in the last month": "plaster",
            "Current central venous access": "central_line",
        },
    ),
    38: ("free_water_deficit", {**SAME, **GAP}),
    39: ("anion_gap", GAP),
    43: (
        "sofa",
        {
            **SAME,
            **BLOOD_GAS,
            "On mechanical ventilation": "ventilated",
            "Continous positive airway pressure": "cpap",
            "Glasgow Coma Score": "glasgow",
            "Bilirubin": "bilirubin",
            "Platelet count": "platelets",
            "norEPINEPHrine": "norepinephrine",
            "EPINEPHrine": "epinephrine",
            "DOPamine": "dopamine",
            "DOBUTamine": "dobutamine",
            "Urine Output": "urine",
            **PRESSURE,
        },
    ),
    44: (
        "ldl_cholesterol",
        {
            "Total cholesterol": "total_cholesterol",
            "high-density lipoprotein cholesterol": "hdl_cholesterol",
            "Triglycerides": "triglycerides",
        },
    ),
    45: (
        "curb_65",
        {
            **SAME,
            **PRESSURE,
            **BREATHS,
            "Blood Urea Nitrogen (BUN)": "urea_nitrogen",
            "Confusion": "confusion",
        },
    ),
    46: (
        "framingham_risk",
        {
            **SAME,
            **PRESSURE,
            "high-density lipoprotein cholesterol": "hdl_cholesterol",
            "Total cholesterol": "total_cholesterol",
            "Smoker": "smoker",
            "Blood pressure being treated with medicines": "treated",
        },
    ),
    48: (
        "perc",
        {
            **SAME,
            "Heart Rate or Pulse": "heart_rate",
            "O₂ saturation percentage": "saturation",
            "Hormone use": "hormones",
            PE: "previous_embolism",
            DVT: "previous_thrombosis",
            "Recent surgery or trauma": "surgery",
            "Unilateral Leg Swelling": "leg_swelling",
            "Hemoptysis": "haemoptysis",
        },
    ),
    49: ("morphine_equivalents", {}),
    51: ("sirs", {**HEAT, "White blood cell count": "white_cells", "PaCO₂": "paco2"}),
    56: ("qtc_fridericia", QT),
    57: ("qtc_framingham", QT),
    58: ("qtc_hodges", QT),
    59: ("qtc_rautaharju", QT),
    60: ("body_surface_area", SAME),
    61: ("target_weight", {**SAME, "Body Mass Index (BMI)": "body_mass_index"}),
    62: ("adjusted_weight", SAME),
    63: ("delta_gap", GAP),
    64: ("delta_ratio", GAP),
    65: ("corrected_anion_gap", GAP),
    66: ("corrected_delta_gap", GAP),
    67: ("corrected_delta_ratio", GAP),
    68: ("conception_date", PREGNANCY),
    69: ("gestational_age", PREGNANCY),
}
WORDS = {
    "No Encephalopathy": "none",
    "Grade 0": "none",
    "Nonoperative ": "nonoperative",
    "Black": "black",
    "less than or equal to normal limit": "up to 1",
    "between the normal limit or up to three times the normal limit": "1 to 3",
    "greater than three times normal limit": "over 3",
}
MMHG = ("mm hg", "mmhg")


def entities(row: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = ast.literal_eval(row["Relevant Entities"])
    return found


def inputs(row: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The calculator of an item and its inputs."""
    number = int(row["Calculator ID"])
    name, names = NAMES[number]
    given = entities(row)
    if number == 49:
        return name, _opioids(given)
    if number == 24:
        steroid, dose, unit = given["input steroid"]
        return name, {
            "steroid": _drug(steroid),
            "dose": [dose, unit],
            "to": _drug(given["target steroid"]),
        }
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key in names and names[key] not in found:
            found[names[key]] = _value(names[key], value)
    if change := CHANGES.get(number):
        change(given, found)
    wanted = _taken(name)
    return name, {key: value for key, value in found.items() if key in wanted}


def _taken(name: str) -> set[str]:
    from medxiaohe.tools.calculation.registry import find

    return set(find(name).inputs)


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        number, unit = value
        if unit.lower() in MMHG:
            unit = "mmHg"
        if name in ("dopamine", "dobutamine", "epinephrine", "norepinephrine"):
            unit = "mcg/kg/min"
        return [number, unit]
    if isinstance(value, str):
        return WORDS.get(value, value.strip())
    return value


def _drug(name: str) -> str:
    return name.rpartition(" ")[0].lower()


def _opioids(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key.endswith(" Dose"):
            drug = key.removesuffix(" Dose").lower().replace(" ", "_")
            times = given[f"{key} Per Day"][0]
            # a patch is one dose of so many micrograms an hour
            found[drug] = [value[0] * (1 if drug == "fentanyl_patch" else times), value[1].split("/")[0]]
    return found


def _tumor(given: Mapping[str, Any], found: dict[str, Any]) -> None:
    for name, yes in (("tumor", "localized"), ("liver", "mild")):
        if isinstance(found.get(name), bool):
            found[name] = yes if found[name] else "none"
    if not isinstance(found.get("kidney", False), bool):
        found["kidney"] = True


def _apache(given: Mapping[str, Any], found: dict[str, Any]) -> None:
    # acute renal failure doubles the points of creatinine; the data also has a chronic one
    found["acute_renal_failure"] = given.get("Acute renal failure", False)


def _sofa(given: Mapping[str, Any], found: dict[str, Any]) -> None:
    found["ventilated"] = bool(given.get("On mechanical ventilation")) or bool(
        given.get("Continous positive airway pressure")
    )
    if "systolic" in found and "diastolic" in found:
        found["mean_pressure"] = (found["systolic"][0] + 2 * found["diastolic"][0]) / 3
    elif given.get("Hypotension"):
        found["mean_pressure"] = 65.0  # the data has "hypotension" and no number
    if "urine" in found:
        found["urine"] = [found["urine"][0], "mL"]


CHANGES: dict[int, Callable[[Mapping[str, Any], dict[str, Any]], None]] = {32: _tumor, 28: _apache, 43: _sofa}
