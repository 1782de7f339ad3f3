"""Units of clinical values: what they measure and how many base units they are, so that 70 kg and 154 lb
compare.

A unit is a product of powers ("mL/min/1.73 m^2", "mg/dL", "10^9/L"). Mass and amount of substance convert
into one another only for a named analyte: mg/dL of glucose is 1/18 of mmol/L of glucose, of creatinine it is
another number.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

PREFIX = {
    "k": 1e3,
    "d": 1e-1,
    "c": 1e-2,
    "m": 1e-3,
    "μ": 1e-6,
    "u": 1e-6,
    "mc": 1e-6,
    "n": 1e-9,
    "p": 1e-12,
    "f": 1e-15,
}
DAY = 86400.0  # seconds
# name -> (dimension, factor to the base unit, takes prefixes)
BASE: dict[str, tuple[str, float, bool]] = {
    "g": ("mass", 1, True), "gm": ("mass", 1, False), "gram": ("mass", 1, True), "grams": ("mass", 1, True),
    "lb": ("mass", 453.59237, False), "lbs": ("mass", 453.59237, False), "pound": ("mass", 453.59237, False),
    "pounds": ("mass", 453.59237, False), "oz": ("mass", 28.349523, False), "kilos": ("mass", 1000, False),
    "tonne": ("mass", 1e6, False),
    "l": ("volume", 1, True), "L": ("volume", 1, True), "liter": ("volume", 1, True), "liters": ("volume", 1,
    True),
    "litre": ("volume", 1, True), "litres": ("volume", 1, True), "cc": ("volume", 1e-3, False),
    "m": ("length", 1, True), "meter": ("length", 1, True), "meters": ("length", 1, True), "metre": ("length",
    1, True),
    "metres": ("length", 1, True), "in": ("length", 0.0254, False), "inch": ("length", 0.0254, False),
    "inches": ("length", 0.0254, False), "ft": ("length", 0.3048, False), "feet": ("length", 0.3048, False),
    "foot": ("length", 0.3048, False),
    "s": ("time", 1, True), "sec": ("time", 1, True), "secs": ("time", 1, True), "second": ("time", 1, True),
    "seconds": ("time", 1, True), "min": ("time", 60, False), "mins": ("time", 60, False), "minute": ("time",
    60, False),
    "minutes": ("time", 60, False), "h": ("time", 3600, False), "hr": ("time", 3600, False), "hrs": ("time",
    3600, False),
    "hour": ("time", 3600, False), "hours": ("time", 3600, False), "d": ("time", DAY, False), "day": ("time",
    DAY, False),
    "days": ("time", DAY, False), "week": ("time", 7 * DAY, False), "weeks": ("time", 7 * DAY, False),
    "wk": ("time", 7 * DAY, False),
    "month": ("time", 365.25 / 12 * DAY, False), "months": ("time", 365.25 / 12 * DAY, False),
    "year": ("time", 365.25 * DAY, False), "years": ("time", 365.25 * DAY, False), "yr": ("time",
    365.25 * DAY, False),
    "yrs": ("time", 365.25 * DAY, False), "y": ("time", 365.25 * DAY, False),
    "mol": ("amount", 1, True), "mole": ("amount", 1, True), "moles": ("amount", 1, True), "M": ("molarity",
    1, True),
    "eq": ("charge", 1, True), "Eq": ("charge", 1, True), "osm": ("osmoles", 1, True), "Osm": ("osmoles", 1,
    True),
    "Pa": ("pressure", 1, True), "mmHg": ("pressure", 133.322387, False), "cmH2O": ("pressure", 98.0665,
    False),
    "torr": ("pressure", 133.322368, False), "bar": ("pressure", 1e5, True), "atm": ("pressure", 101325,
    False),
    "IU": ("activity", 1, True), "U": ("activity", 1, True), "unit": ("activity", 1, False),
    "units": ("activity", 1, False),
    "J": ("energy", 1, True), "cal": ("energy", 4.184, True), "kcal": ("energy", 4184, False),
    "kilocalories": ("energy", 4184, False),
    "kat": ("catalysis", 1, True), "Gy": ("dose", 1, True), "Sv": ("dose equivalent", 1, True),
    "Bq": ("decays", 1, True),
    "dB": ("decibel", 1, False), "dioptre": ("dioptre", 1, False), "D": ("dioptre", 1, False),
    "Hz": ("1/time", 1, True),
    "bpm": ("1/time", 1 / 60, False), "%": ("", 0.01, False), "percent": ("", 0.01, False), "cell": ("", 1,
    False),
    "cells": ("", 1, False), "beats": ("", 1, False), "breaths": ("", 1, False), "copies": ("", 1, False),
}  # fmt: skip
# unit -> factor and offset to kelvin
TEMPERATURE = {
    "°c": (1.0, 273.15),
    "celsius": (1.0, 273.15),
    "°f": (5 / 9, 459.67 * 5 / 9),
    "fahrenheit": (5 / 9, 459.67 * 5 / 9),
}
SPELLING = [
    (r"\s*/\s*1\.73(?:\s*m\^?2)?|\s*per 1\.73\s*m\^?2", ""),  # of body surface: named by a clearance
    (r"\b(?:cubic centimet(?:er|re)s?|c\.?cm)\b", "mL"),
    (r"\b(?:cubic millimet(?:er|re)s?|cu\.? ?mm)\b", "μL"),
    (r"(?<![A-Za-z])([mcd]?)m\^?3(?!\d)", r"\1m3"),
    (r"(?<![A-Za-z])mm3", "μL"), (r"(?<![A-Za-z])cm3", "mL"), (r"(?<![A-Za-z])dm3", "L"),
    (r"mm\s+Hg", "mmHg"), (r"cm\s*(?:of )?H2O|cm\s+H20", "cmH2O"),
    (r"\bdeg(?:rees?)?\s*(?=[CF]\b|Celsius|Fahrenheit)", "°"),
    (r"°\s+", "°"), (r"µ", "μ"), (r"\s*\bper\b\s*", "/"), (r"\bK/(?=[μu]L)", "10^3/"), (r"\bmsecs?\b", "ms"),
    (r"°(?=Celsius|Fahrenheit)", ""),
]  # fmt: skip
NAME = re.compile(r"(?:10\^(-?\d+)|(cmH2O|[A-Za-zμ%]+))(?:\^?(-?[1-3])(?![\d.]))?")

# Molar mass in g/mol, charge of the ion. PubChem, https://pubchem.ncbi.nlm.nih.gov
ANALYTES: dict[str, tuple[float, int]] = {
    "glucose": (180.156, 0), "creatinine": (113.118, 0), "urea": (60.056, 0), "urea nitrogen": (28.0134, 0),
    "bilirubin": (584.66, 0),
    "cholesterol": (386.65, 0), "triglycerides": (885.4, 0), "uric acid": (168.11, 0), "calcium": (40.078, 2),
    "magnesium": (24.305, 2),
    "phosphate": (30.974, 0), "sodium": (22.99, 1), "potassium": (39.098, 1), "chloride": (35.453, 1),
    "bicarbonate": (61.017, 1),
    "lactate": (89.07, 1), "iron": (55.845, 0), "ethanol": (46.068, 0), "lithium": (6.94, 1),
    "ammonia": (17.031, 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit as a product of powers of dimensions: value in base units = factor * value + offset."""

    powers: tuple[tuple[str, int], ...]  # dimension -> power, sorted, none 0
    factor: float  # base units in one of this
    offset: float = 0.0  # only of temperatures


@lru_cache(maxsize=4096)
def unit(name: str) -> Unit | None:
    """Parse a unit: a product of powers such as "mL/min/1.73 m^2", "mg/dL" or "10^9/L".

    Args:
        name: as written.

    Returns:
        Dimensions with their powers and the factor to base units (g, L, m, s, ...); None for what is no unit
        ("points", "score").
    """
    text = name.strip()
    for old, new in SPELLING:
        text = re.sub(
            old, new, text, flags=re.IGNORECASE if "per" in old or "deg" in old or "mm" in old else 0
        )
    if (key := f"°{text}".lower() if text in ("C", "F") else text.lower()) in TEMPERATURE:
        return Unit((("temperature", 1),), *TEMPERATURE[key])
    powers: dict[str, int] = {}
    # product of named units and powers of ten; what follows a stroke has a negative power
    factor, sign, here = 1.0, 1, 0
    while here < len(text):
        if text[here] in "/*·. ":
            sign = -1 if text[here] == "/" else sign
            here += 1
            continue
        match = NAME.match(text, here)
        if not match:
            return None
        if match[1]:
            factor *= 10.0 ** (sign * int(match[1]))
        elif parsed := _named(match[2]):
            dimension, size = parsed
            power = sign * int(match[3] or 1)
            factor *= size**power
            for base in filter(None, [dimension.removeprefix("1/")]):
                powers[base] = powers.get(base, 0) + (-power if dimension.startswith("1/") else power)
        else:
            return None
        here = match.end()
    return Unit(tuple(sorted((k, v) for k, v in powers.items() if v)), factor) if text else None


def _named(name: str) -> tuple[str, float] | None:
    for spelt in (
        (name, name.lower())
        if len(name) > 2 or name.lower() in ("kg", "mg", "ml", "cm", "mm", "dl", "hr")
        else (name,)
    ):
        if spelt in BASE:
            return BASE[spelt][:2]
        for prefix in (spelt[:2], spelt[:1]):
            rest = spelt[len(prefix) :]
            if prefix in PREFIX and rest in BASE and BASE[rest][2]:
                return BASE[rest][0], BASE[rest][1] * PREFIX[prefix]
    for long, short in (
        ("kilo", 1e3),
        ("milli", 1e-3),
        ("centi", 1e-2),
        ("micro", 1e-6),
        ("deci", 1e-1),
        ("nano", 1e-9),
    ):
        rest = name.lower().removeprefix(long)
        if rest != name.lower() and rest in BASE and BASE[rest][2]:
            return BASE[rest][0], BASE[rest][1] * short
    return None


def convert(value: float, source: Unit, target: Unit, analyte: str = "") -> float | None:
    """Convert a value from one unit to another; mass, amount and charge of a named analyte by its molar mass.

    Args:
        value: in the unit `source`.
        source: unit of the value.
        target: unit of the result.
        analyte: a key of `ANALYTES`, "" for none.

    Returns:
        The value in `target`; None when the units measure different things.
    """
    # to base units; the offset is that of temperatures: K = factor * value + offset
    base = value * source.factor + source.offset
    if source.powers != target.powers:
        base, powers = _by_analyte(base, dict(source.powers), dict(target.powers), analyte)
        if tuple(sorted((k, v) for k, v in powers.items() if v)) != target.powers:
            return None
    return (base - target.offset) / target.factor


def _by_analyte(
    base: float, source: dict[str, int], target: dict[str, int], analyte: str
) -> tuple[float, dict[str, int]]:
    """Grams, moles and equivalents of one analyte turned into one another, where only that differs."""
    if analyte not in ANALYTES:
        return base, source
    mass, charge = ANALYTES[analyte]
    # amount of substance in mol for one base unit: 1 g, 1 mol, 1 eq
    moles = {"mass": 1 / mass, "amount": 1.0, **({"charge": 1 / charge} if charge else {})}
    for source_kind in moles:
        for target_kind in moles:
            if source_kind != target_kind and source.get(source_kind) == 1 == target.get(target_kind):
                return base * moles[source_kind] / moles[target_kind], {
                    **{k: v for k, v in source.items() if k != source_kind},
                    target_kind: 1,
                }
    return base, source
