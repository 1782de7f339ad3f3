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
# how units are spelt that the reader of units does not know
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
        return "; ".join(f"{name}: {described(one)}" for name, one in self.inputs.items())


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


def evaluate(calculator: Calculator, given: Mapping[str, Any]) -> Any:
    """Evaluate a calculator.

    Args:
        calculator: which formula.
        given: values by the names of its inputs: texts with units ("183 umol/L") or numbers in its own
            units.

    Returns:
        the result in the unit of the calculator; floats are rounded to its `digits`.

    Raises:
        ToolError: an input is unknown, missing, of a unit that does not convert, or outside its limits.
    """
    values = values_of(calculator, given)
    try:
        result = calculator.run(**values)
    except (ZeroDivisionError, OverflowError) as error:
        raise ToolError(f"{calculator.name} is not defined for these values ({error})") from error
    return round(result, calculator.digits) if isinstance(result, float) else result


def values_of(calculator: Calculator, given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert all inputs of a calculator: units, limits, and defaults of those left out.

    Args:
        calculator: which formula.
        given: values by the names of its inputs; None counts as left out.

    Returns:
        keyword arguments of the function.

    Raises:
        ToolError: as `evaluate`.
    """
    if unknown := next((name for name in given if name not in calculator.inputs), None):
        hint = nearest(str(unknown), calculator.inputs)
        raise ToolError(f"{calculator.name} takes no {unknown!r}{hint}: it takes {calculator.signature()}")
    values: dict[str, Any] = {}
    missing = []
    for name, one in calculator.inputs.items():
        if name in given and given[name] is not None:
            values[name] = read(f"{calculator.name}: {name}", one, given[name])
        elif one.default is not ...:
            values[name] = one.default
        else:
            missing.append(f"{name} ({described(one)})")
    if missing:
        raise ToolError(f"{calculator.name} also needs {', '.join(missing)}")
    return values


def read(where: str, one: Input, given: Any) -> Any:
    """Convert a value to what the function of a calculator gets.

    Args:
        where: "calculator: input", for messages.
        one: declaration of the input.
        given: text such as "183 umol/L" or "yes", a number in the unit of the input, a pair (number,
            unit), or a date.

    Returns:
        bool, the value of a choice, a date, or a float in the unit of the input.

    Raises:
        ToolError: the value cannot be read or converted, or is outside its limits.
    """
    if one.kind == "flag":
        return _flag(where, given)
    if one.kind == "choice":
        return _choice(where, one, given)
    if one.kind == "date":
        return _date(where, given)
    return _number(where, one, given)


def _flag(where: str, given: Any) -> bool:
    said = str(given).strip().lower()
    if said in YES or said in NO:
        return said in YES
    raise ToolError(f"{where} is yes or no, not {given!r}")


def _choice(where: str, one: Input, given: Any) -> Any:
    choices = one.choices or {}
    said = " ".join(str(given).lower().split())
    if said in choices:
        return choices[said]
    raise ToolError(f"{where} is one of {', '.join(map(repr, choices))}, not {given!r}")


def _date(where: str, given: Any) -> date:
    if isinstance(given, date):
        return given
    found = dates(str(given))
    if len(found) != 1:
        raise ToolError(f"{where} is a date as month/day/year, such as 03/31/2006, not {given!r}")
    return found[0]


def _number(where: str, one: Input, given: Any) -> float:
    value, said = _parted(where, given)
    if said:
        value = _converted(where, one, value, said)
    if not one.low <= value <= one.high:
        span = f"{one.low:g} to {one.high:g} {one.unit}".rstrip()
        stated = "" if said or not one.unit else f"; no unit was given, so it was taken as {one.unit}"
        raise ToolError(f"{where} {value:.6g} is outside {span}{stated}")
    return value


def _parted(where: str, given: Any) -> tuple[float, str]:
    """Number and unit."""
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return float(given), ""
    if isinstance(given, (tuple, list)) and len(given) == 2:
        return float(given[0]), str(given[1]).strip()
    match = NUMBER.fullmatch(str(given).strip())
    if not match:
        raise ToolError(f"{where} is a number with its unit, such as '1.2 mg/dL', not {given!r}")
    return float(match[1].replace(",", "")), match[2].strip()


def _converted(where: str, one: Input, value: float, said: str) -> float:
    for pattern, spelt in SPELT:
        said = pattern.sub(spelt, said)
    if said.strip() == one.unit:
        return value
    if one.unit == "10^9/L" and PER_VOLUME.fullmatch(said.strip()):  # "244,000 µL" is a count per µL
        said = f"/{said.rpartition('/')[2]}"
    got, wanted = unit(said), unit(one.unit) if one.unit else None
    if got is None:
        raise ToolError(f"{where}: {said!r} is no unit that is known; give it in {one.unit or 'no unit'}")
    # a fraction and its percentage are one dimension: "0.6" without a unit was taken as it is
    if wanted is None:
        if not got.powers:
            return value * got.factor
        raise ToolError(f"{where} has no unit, not {said!r}")
    converted = convert(value, got, wanted, one.analyte)
    if converted is None:
        raise ToolError(f"{where} cannot be converted from {said!r} to {one.unit}")
    return converted


def described(one: Input) -> str:
    """Describe an input: what it is, its unit or choices, and whether it may be left out.

    Returns:
        one phrase, for the model.
    """
    if one.kind == "flag":
        return f"{one.words}? yes or no (no)"
    if one.kind == "choice":
        said = f"{one.words}, one of {', '.join(one.choices or ())}"
    elif one.kind == "date":
        said = f"{one.words} as month/day/year"
    else:
        said = f"{one.words}" + (f" in {one.unit}" if one.unit else "")
    return said if one.default is ... else f"{said} (may be left out)"
