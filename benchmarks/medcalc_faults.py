"""Where the gold of MedCalc-Bench differs from the publication, and by what: the reference of this version
of the data made again, fault by fault, to tell its faults from ours.

An item whose gold is what `gold_of` makes, to the point, is one whose gold is wrong in the way that its fault
says. Each fault can be read in the explanations of the data ("34.0 degrees fahrenheit" for 34 degrees
celsius).
Nothing here is medicine, so none of it is in the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from math import exp, log
from typing import Any

from medcalc_inputs import entities, inputs

from medxiaohe.errors import ToolError
from medxiaohe.tools.calculation.declare import values_of
from medxiaohe.tools.calculation.pregnancy import shown
from medxiaohe.tools.calculation.registry import find
from medxiaohe.tools.calculation.severity import band

FAULTS: dict[int, tuple[str, Callable[[Mapping[str, str], dict[str, Any]], Any]]] = {}


def fault(number: int, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def kept(made: Callable[..., Any]) -> Callable[..., Any]:
        FAULTS[number] = (what, made)
        return made

    return kept


def gold_of(row: Mapping[str, str]) -> tuple[str, Any]:
    """The fault of an item's calculator in the data, and the gold it makes, or ("", None)."""
    number = int(row["Calculator ID"])
    if number not in FAULTS:
        return "", None
    what, made = FAULTS[number]
    name, given = inputs(row)
    try:
        return what, made(row, values_of(find(name), given))
    except ToolError:
        return "", None


@fault(3, "men at a creatinine up to 0.9 mg/dL: constant 0.7 instead of 0.9")
def ckd_epi(row: Mapping[str, str], v: dict[str, Any]) -> float:
    if v["sex"] == "male" and v["creatinine"] <= 0.9:
        return 142 * (v["creatinine"] / 0.7) ** -0.302 * 0.9938 ** v["age"]
    return float(find("gfr_ckd_epi").run(**v))


@fault(13, "the difference of the cycle from 28 days is added where it is to be subtracted")
def due(row: Mapping[str, str], v: dict[str, Any]) -> str:
    return shown(v["last_period"] + timedelta(days=280 + abs(round(v["cycle"]) - 28)))


@fault(68, "the length of the cycle is not used")
def conceived(row: Mapping[str, str], v: dict[str, Any]) -> str:
    return shown(v["last_period"] + timedelta(days=14))


@fault(
    15,
    "ascites is not counted, nor a bilirubin of exactly 2 mg/dL; an albumin of exactly 2.8 g/dL has 3 points",
)
def pugh(row: Mapping[str, str], v: dict[str, Any]) -> int:
    total = int(find("child_pugh").run(**v)) - v["ascites"]
    return total - 2 * (v["bilirubin"] == 2) + (v["albumin"] == 2.8)


@fault(17, "a history of cerebrovascular disease is not counted")
def lee(row: Mapping[str, str], v: dict[str, Any]) -> int:
    return int(find("cardiac_risk_index").run(**{**v, "cerebrovascular_disease": False}))


@fault(21, "the verbal response is counted twice; a response that cannot be tested has 4 points")
def glasgow(row: Mapping[str, str], v: dict[str, Any]) -> int:
    verbal = 4 if v["verbal"] is None else v["verbal"]
    return int((4 if v["eye"] is None else v["eye"]) + 2 * verbal + v["motor"])


@fault(23, "MELD(i) is rounded to whole numbers before it is multiplied by 10")
def meld(row: Mapping[str, str], v: dict[str, Any]) -> int:
    cr = min(max(v["creatinine"], 1), 4)
    first = 0.957 * log(cr) + 0.378 * log(max(v["bilirubin"], 1)) + 1.12 * log(max(v["inr"], 1)) + 0.643
    lack = 137 - min(max(v["sodium"], 125), 137)
    score = round(first) * 10
    return round(min(score + 1.32 * lack - 0.033 * first * lack if score > 11 else score, 40))


@fault(27, "haemoglobin of exactly 12 g/dL in women has a point")
def bleeding(row: Mapping[str, str], v: dict[str, Any]) -> int:
    more = v["sex"] == "female" and v["haemoglobin"] == 12
    return int(find("blatchford").run(**v)) + more


@fault(29, "the temperature spelt 'degrees celsisus' is taken for fahrenheit")
def pneumonia(row: Mapping[str, str], v: dict[str, Any]) -> int:
    return int(find("pneumonia_severity").run(**{**v, "temperature": _misread(row, v["temperature"])}))


@fault(32, "every liver disease, diabetes and tumour has one point")
def comorbidity(row: Mapping[str, str], v: dict[str, Any]) -> int:
    given = entities(row)
    diabetes = "Diabetes mellitus criteria for CCI rule"
    one = {
        "liver": int(bool(given.get("Liver disease severity"))),
        "tumor": int(bool(given.get("Solid tumor"))),
        "diabetes": int(diabetes in given),
    }
    return int(find("charlson").run(**{**v, **one}))


@fault(36, "only age, kind of surgery and mobility reach the total")
def thrombosis(row: Mapping[str, str], v: dict[str, Any]) -> int:
    age = 3 if v["age"] >= 75 else 2 if v["age"] >= 61 else int(v["age"] >= 41)
    return int(age + v["surgery"] + v["mobility"])


@fault(46, "cholesterol is in mmol/L where the formula takes mg/dL")
def framingham(row: Mapping[str, str], v: dict[str, Any]) -> float:
    total, hdl = log(v["total_cholesterol"] / 38.665), log(v["hdl_cholesterol"] / 38.665)
    years = log(v["age"])
    risk = 52.00961 * years + 20.014077 * total - 0.905964 * hdl + 1.305784 * log(v["systolic"])
    risk += 0.241549 * v["treated"] + 12.096316 * v["smoker"] - 4.605038 * years * total
    risk += -2.84367 * log(min(v["age"], 70)) * v["smoker"] - 2.93323 * years**2 - 172.300168
    return round(1 - 0.9402 ** exp(risk), 1)


@fault(
    51,
    "white cells are compared with 12,000 per cubic metre, so they always count, and so does any heart rate",
)
def inflammation(row: Mapping[str, str], v: dict[str, Any]) -> int:
    return int(find("sirs").run(**{**v, "white_cells": 100.0, "heart_rate": 100.0}))


@fault(49, "micrograms an hour of a fentanyl patch are called mg and multiplied by doses a day")
def opioids(row: Mapping[str, str], v: dict[str, Any]) -> float:
    return float(find("morphine_equivalents").run(**v))


@fault(
    28,
    "15 - Glasgow is Glasgow, white cells have 4 points, 'celsisus' is taken for fahrenheit, a pH of 7.25"
    " to 7.32, a creatinine of 1.5 to 1.9 and chronic illness but before elective surgery are not counted",
)
def apache(row: Mapping[str, str], v: dict[str, Any]) -> int:
    ph = 7.4 if 7.25 <= v["ph"] < 7.33 else v["ph"]
    unread = not v["acute_renal_failure"] and 1.5 <= v["creatinine"] < 2
    v = {**v, "temperature": _misread(row, v["temperature"]), "white_cells": 100.0, "ph": ph}
    v["creatinine"] = 1.0 if unread else v["creatinine"]
    glasgow_points = round(v["glasgow"]) - (15 - round(v["glasgow"]))
    elective = v["admission"] == 2
    chronic = v["admission"] if v["chronic_illness"] and not elective else 0
    return int(find("apache_ii").run(**v)) + glasgow_points - chronic


@fault(
    43,
    "the oxygen fraction in per cent is not divided by 100; the circulation has 3 points for dopamine without"
    " dobutamine and 2 for anything else; where urine is stated creatinine is not counted",
)
def organs(row: Mapping[str, str], v: dict[str, Any]) -> int:
    plain = {"dopamine": 0.0, "dobutamine": 0.0, "epinephrine": 0.0, "norepinephrine": 0.0}
    low = {"mean_pressure": None, "urine": None, "pao2": 1.0, "fio2": 100.0}
    heart = 3 if v["dopamine"] > 5 and not v["dobutamine"] else 2
    total = int(find("sofa").run(**{**v, **plain, **low})) + heart
    if v["urine"] is not None:
        total += 3 * (v["urine"] < 500) - band(v["creatinine"], ((1.2, 0), (2, 1), (3.5, 2), (5, 3)), 4)
    return total


def _misread(row: Mapping[str, str], celsius: float) -> float:
    spelt = entities(row)["Temperature"][1]
    return max((celsius - 32) * 5 / 9, -20.0) if "celsisus" in spelt else celsius
