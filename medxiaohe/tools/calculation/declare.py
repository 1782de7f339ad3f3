"""Declare a calculator: its inputs with units and limits, and the publication of its formula.

A calculator is a pure function of keyword arguments in the units that it declares. `evaluate` is the way in:
it reads values with units ("183 umol/L", "5 ft", "yes"), converts them, refuses what lies outside the
limits, and calls the function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from medxiaohe.errors import ToolError
from medxiaohe.plugins import nearest
from medxiaohe.scoring._dates import dates
from medxiaohe.scoring._units import convert, unit

Kind = Literal["number", "flag", "choice", "date"]
YES = ("yes", "true", "present", "1", "y")
NO = ("no", "false", "absent", "0", "n", "none", "not mentioned", "unknown")
NUMBER = re.compile(r"([-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(.*)", re.DOTALL)
# spellings that the parser of units does not know
SPELT = (
    (re.compile(r"^\s*(?:beats|breaths)\s*(?:per|/)\s*min(?:ute)?\s*$|^\s*bpm\s*$", re.IGNORECASE), "/min"),
    (re.compile(r"degrees?\s+cel\w+", re.IGNORECASE), "celsius"),
    (re.compile(r"degrees?\s+fahr\w+", re.IGNORECASE), "fahrenheit"),
    (re.compile(r"^mc/", re.IGNORECASE), "mcg/"),
)
PER_VOLUME = re.compile(r"^(?:(?:cells?|count|platelets?)\s*/\s*)?(?:[µμu]?L|mm\^?3|m\^?3)$")


@dataclass(frozen=True, slots=True)
class Input:
    """Declaration of an input of a calculator.

    Args:
        kind: "number", "flag" (yes or no), "choice" or "date".
        words: what it is, for the model.
        unit: of the number as the function gets it; "" where it has none.
        low, high: limits, in that unit, outside which the value is refused: no living patient has it, or it
            is in another unit.
        choices: the words of a choice, each with what the function gets.
        default: where the input may be left out; a flag that is not given is "no".
        analyte: for conversion between mass and amount, as in `scoring._units.ANALYTES`.
    """

    kind: Kind
    words: str
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    choices: Mapping[str, Any] | None = None
    default: Any = ...
    analyte: str = ""


def number(words: str, unit: str, low: float, high: float, *, analyte: str = "", default: Any = ...) -> Input:
    """Declare a numeric input.

    Args:
        words: what it is, for the model.
        unit: in which the function gets it; "" for none.
        low: smallest value that is accepted, in that unit.
        high: largest value that is accepted, in that unit.
        analyte: name for the conversion between mass and amount of substance.
        default: value where the input may be left out; `...` makes it required.

    Returns:
        the input.
    """
    return Input("number", words, unit, low, high, analyte=analyte, default=default)


def flag(words: str) -> Input:
    """Declare a yes-or-no input, "no" where it is left out.

    Args:
        words: the finding, for the model.

    Returns:
        the input.
    """
    return Input("flag", words, default=False)


def choice(words: str, choices: Mapping[str, Any], *, default: Any = ...) -> Input:
    """Declare an input that is one of several words.

    Args:
        words: what it is, for the model.
        choices: word -> value that the function gets.
        default: value where the input may be left out; `...` makes it required.

    Returns:
        the input.
    """
    return Input("choice", words, choices=choices, default=default)


def day(words: str) -> Input:
    """Declare a required date input.

    Args:
        words: what it is, for the model.

    Returns:
        the input.
    """
    return Input("date", words)


# inputs that many calculators share
SEX = choice("sex", {"male": "male", "female": "female"})
AGE = number("age", "years", 18, 120)
ANY_AGE = number("age", "years", 0, 120)
WEIGHT = number("body weight", "kg", 0.3, 500)
HEIGHT = number("height", "cm", 30, 260)
CREATININE = number("serum creatinine", "mg/dL", 0.1, 40, analyte="creatinine")
SODIUM = number("serum sodium", "mEq/L", 90, 200, analyte="sodium")
POTASSIUM = number("serum potassium", "mEq/L", 1, 12, analyte="potassium")
CHLORIDE = number("serum chloride", "mEq/L", 50, 160, analyte="chloride")
BICARBONATE = number("serum bicarbonate", "mEq/L", 1, 60, analyte="bicarbonate")
ALBUMIN = number("serum albumin", "g/dL", 0.5, 8)
BILIRUBIN = number("total bilirubin", "mg/dL", 0.05, 80, analyte="bilirubin")
GLUCOSE = number("blood glucose", "mg/dL", 10, 2500, analyte="glucose")
BUN = number("blood urea nitrogen", "mg/dL", 1, 300, analyte="urea nitrogen")
SYSTOLIC = number("systolic blood pressure", "mmHg", 20, 320)
DIASTOLIC = number("diastolic blood pressure", "mmHg", 5, 220)
HEART_RATE = number("heart rate", "/min", 10, 350)
BREATHS = number("respiratory rate", "/min", 1, 120)
TEMPERATURE = number("body temperature", "celsius", 20, 46)
PLATELETS = number("platelet count", "10^9/L", 1, 3000)
INR = number("international normalized ratio", "", 0.5, 25)
PH = number("arterial pH", "", 6.5, 8)
PAO2 = number("arterial partial pressure of oxygen", "mmHg", 15, 700)
FIO2 = number("fraction of inspired oxygen", "%", 21, 100)
GLASGOW = number("Glasgow Coma Scale", "", 3, 15)


@dataclass(frozen=True, slots=True)
class Calculator:
    """A published formula or score."""

    name: str
    title: str
    unit: str  # of the result; "points" for a score, "date"
    source: str  # citation
    inputs: Mapping[str, Input]
    run: Callable[..., Any]
    limits: str = ""  # where the formula holds, in words
    digits: int = 3  # decimal places of the result

    def signature(self) -> str:
        """Describe all inputs in one line, for the model.

        Returns:
            "name: description; ..." in the order of the declaration.
        """
        return "; ".join(f"{name}: {described(declared)}" for name, declared in self.inputs.items())


def calculator(
    title: str, unit: str, source: str, *, limits: str = "", digits: int = 3, **inputs: Input
) -> Callable[[Callable[..., Any]], Calculator]:
    """Declare a calculator: `@calculator("Anion gap", "mEq/L", "Emmett 1977", sodium=SODIUM, ...)`.

    Args:
        title: what it is called in the clinic.
        unit: of the result.
        source: authors, year and DOI of the publication the formula is of.
        limits: where it holds.
        digits: decimal places of the result.
        inputs: by the names of the function's parameters.

    Returns:
        a decorator that turns the function into a Calculator.
    """

    def declared(run: Callable[..., Any]) -> Calculator:
        return Calculator(run.__name__, title, unit, source, inputs, run, limits, digits)

    return declared


def evaluate(calculator: Calculator, values_by_name: Mapping[str, Any]) -> Any:
    """Evaluate a calculator.

    Args:
        calculator: which formula.
        values_by_name: values of its inputs: texts with units ("183 umol/L") or numbers in its own units.

    Returns:
        the result in the unit of the calculator; floats are rounded to its `digits`.

    Raises:
        ToolError: an input is unknown, missing, of a unit that does not convert, or outside its limits.
    """
    values = values_of(calculator, values_by_name)
    try:
        result = calculator.run(**values)
    except (ZeroDivisionError, OverflowError) as error:
        raise ToolError(f"{calculator.name} is not defined for these values ({error})") from error
    return round(result, calculator.digits) if isinstance(result, float) else result


def values_of(calculator: Calculator, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Convert all inputs of a calculator: units, limits, and defaults of those left out.

    Args:
        calculator: which formula.
        stated: values by the names of its inputs; None counts as left out.

    Returns:
        keyword arguments of the function.

    Raises:
        ToolError: as `evaluate`.
    """
    if unknown := next((name for name in stated if name not in calculator.inputs), None):
        hint = nearest(str(unknown), calculator.inputs)
        raise ToolError(f"{calculator.name} takes no {unknown!r}{hint}: it takes {calculator.signature()}")
    values: dict[str, Any] = {}
    missing = []
    for name, declared_input in calculator.inputs.items():
        if name in stated and stated[name] is not None:
            values[name] = read(f"{calculator.name}: {name}", declared_input, stated[name])
        elif declared_input.default is not ...:
            values[name] = declared_input.default
        else:
            missing.append(f"{name} ({described(declared_input)})")
    if missing:
        raise ToolError(f"{calculator.name} also needs {', '.join(missing)}")
    return values


def read(label: str, declared: Input, stated_value: Any) -> Any:
    """Convert a value to what the function of a calculator gets.

    Args:
        label: "calculator: input", for messages.
        declared: declaration of the input.
        stated_value: text such as "183 umol/L" or "yes", a number in the unit of the input, a pair (number,
            unit), or a date.

    Returns:
        bool, the value of a choice, a date, or a float in the unit of the input.

    Raises:
        ToolError: the value cannot be read or converted, or is outside its limits.
    """
    if declared.kind == "flag":
        return _flag(label, stated_value)
    if declared.kind == "choice":
        return _choice(label, declared, stated_value)
    if declared.kind == "date":
        return _date(label, stated_value)
    return _number(label, declared, stated_value)


def _flag(label: str, value: Any) -> bool:
    answer = str(value).strip().lower()
    if answer in YES or answer in NO:
        return answer in YES
    raise ToolError(f"{label} is yes or no, not {value!r}")


def _choice(label: str, declared: Input, value: Any) -> Any:
    choices = declared.choices or {}
    answer = " ".join(str(value).lower().split())
    if answer in choices:
        return choices[answer]
    raise ToolError(f"{label} is one of {', '.join(map(repr, choices))}, not {value!r}")


def _date(label: str, value: Any) -> date:
    if isinstance(value, date):
        return value
    days = dates(str(value))
    if len(days) != 1:
        raise ToolError(f"{label} is a date as month/day/year, such as 03/31/2006, not {value!r}")
    return days[0]


def _number(label: str, declared: Input, stated_value: Any) -> float:
    value, stated_unit = _parted(label, stated_value)
    if stated_unit:
        value = _converted(label, declared, value, stated_unit)
    if not declared.low <= value <= declared.high:
        span = f"{declared.low:g} to {declared.high:g} {declared.unit}".rstrip()
        stated = (
            ""
            if stated_unit or not declared.unit
            else f"; no unit was given, so it was taken as {declared.unit}"
        )
        raise ToolError(f"{label} {value:.6g} is outside {span}{stated}")
    return value


def _parted(label: str, stated_value: Any) -> tuple[float, str]:
    """Number and unit."""
    if isinstance(stated_value, (int, float)) and not isinstance(stated_value, bool):
        return float(stated_value), ""
    if isinstance(stated_value, (tuple, list)) and len(stated_value) == 2:
        return float(stated_value[0]), str(stated_value[1]).strip()
    match = NUMBER.fullmatch(str(stated_value).strip())
    if not match:
        raise ToolError(f"{label} is a number with its unit, such as '1.2 mg/dL', not {stated_value!r}")
    return float(match[1].replace(",", "")), match[2].strip()


def _converted(label: str, declared: Input, value: float, stated_unit: str) -> float:
    for pattern, spelt in SPELT:
        stated_unit = pattern.sub(spelt, stated_unit)
    if stated_unit.strip() == declared.unit:
        return value
    # "244,000 µL" is a count per µL
    if declared.unit == "10^9/L" and PER_VOLUME.fullmatch(stated_unit.strip()):
        stated_unit = f"/{stated_unit.rpartition('/')[2]}"
    stated, target = unit(stated_unit), unit(declared.unit) if declared.unit else None
    if stated is None:
        raise ToolError(
            f"{label}: {stated_unit!r} is no unit that is known; give it in {declared.unit or 'no unit'}"
        )
    # a fraction and its percentage are one dimension: "0.6" without a unit was not converted
    if target is None:
        if not stated.powers:
            return value * stated.factor
        raise ToolError(f"{label} has no unit, not {stated_unit!r}")
    converted = convert(value, stated, target, declared.analyte)
    if converted is None:
        raise ToolError(f"{label} cannot be converted from {stated_unit!r} to {declared.unit}")
    return converted


def described(declared: Input) -> str:
    """Describe an input: what it is, its unit or choices, and whether it may be left out.

    Returns:
        one phrase, for the model.
    """
    if declared.kind == "flag":
        return f"{declared.words}? yes or no (no)"
    if declared.kind == "choice":
        description = f"{declared.words}, one of {', '.join(declared.choices or ())}"
    elif declared.kind == "date":
        description = f"{declared.words} as month/day/year"
    else:
        description = f"{declared.words}" + (f" in {declared.unit}" if declared.unit else "")
    return description if declared.default is ... else f"{description} (may be left out)"
