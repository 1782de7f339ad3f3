"""A number with its unit, within a tolerance; also 118/77, a date, and weeks with days (MedCalc-Bench).

The target is "VALUE[ UNIT][ (LOW to HIGH)]", such as "7.4 mmol/L" or "25.017 mL/min (23.766 to 26.268)", a
pair, a date (09/23/2014) or a duration (0 weeks, 6 days). A reply without a unit is in the unit asked for.
Ranges and bounds are no answer; of several different numbers only an announced, last "=" or concluding one
is.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from medxiaohe.errors import DataError
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._dates import dates, durations
from medxiaohe.scoring._numbers import EQUATION, NEAR, Quantity, quantities, readable, same, spelt
from medxiaohe.scoring._text import missing
from medxiaohe.scoring._units import convert, unit
from medxiaohe.types import Message, Sample, Score, Trace

T = TypeVar("T")
ANNOUNCED = re.compile(
    r"(?:\banswer|\bresult|答案|结果)[\"'*]?\s*(?:(?:is|would be|should be|equals)\b|[:=≈]|是|为)+\s*",
    re.IGNORECASE,
)
CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|in conclusion|overall|in total|total|altogether)\b|因此|所以|故|总分|共",
    re.IGNORECASE,
)
STATES = re.compile(
    r"(?:\b(?:is|are|was|be|equals|equ\w+ to|(?:total|score) (?:at|to|of))\b|[:=≈]|是|为|é|es|ist|est)\s*",
    re.IGNORECASE,
)
LEADING = re.compile(
    r"(?:answer\s*:)?\s*[*\"'(]*(?=[-+~≈]?\s?\d|(?:about|approximately|roughly|around|i count|there are)\b)",
    re.IGNORECASE,
)
ABOUT = re.compile(
    r"^[\s:*\"'(~≈]*(?:(?:about|approximately|approx\.?|roughly|around|nearly|estimated at"
    r"|rounded to|i count|there are|now|then|约|大约|cerca de|environ|etwa|ca\.)\s*)*",
    re.IGNORECASE,
)
# behind the value: the end, a bracket, punctuation, or words that comment on it
COMMENT = re.compile(
    r"\s*(?:$|[.,;:)(\]*\"'”。，；（\n—–]|(?:points?|score|units?|lesions?|nodules?|criteria|cells?)\b"
    r"|(?:which|indicating|so|for|in|at|and (?:indicates|means)|because|since|as|"
    r"based|with|using|when|suggesting|corresponding|meaning|per|on|by|from|rounded|according|this"
    r"|that|because|under|among)\b|(?:of\s+)?[^\W\d]\w*(?:\s+[^\W\d]\w*){0,3}\s*(?:[.,;:(]|$)|分|点)",
    re.IGNORECASE,
)
ALTERNATIVE = re.compile(
    r"[\s,;(]*(?:or|maybe|perhaps|possibly|but|versus|vs|and (?:maybe|possibly)|或|/)\b|\s*/\s*\d|[\s"
    r",]*(?:to|until|and)\s+-?\d|\s*,\s*-?\d",
    re.IGNORECASE,
)
LIMITS = re.compile(r"^(.*?)\s*\((\S+) to (\S+)\)$")
PERCENT = re.compile(r"%|\bper ?cent(?:age)?s?\b", re.IGNORECASE)
ASIDE = re.compile(r"\([^()]*\)")


def numeric(
    sample: Sample,
    trace: Trace,
    *,
    absolute: float = 0.0,
    relative: float = 0.0,
    analyte: str = "",
    day_first: bool = False,
) -> Score:
    """Accuracy of a number: 1 where it is within the limits of the target, or within `absolute` or `relative`
    of it.

    `analyte` (a key of _units.ANALYTES) lets mg/dL and mmol/L compare. `day_first` reads 03/04/2020 as 3
    April.

    Args:
        sample: its target is "VALUE[ UNIT][ (LOW to HIGH)]", a pair, a date or a duration.
        trace: its answer is scored.
        absolute: tolerance in the unit of the target.
        relative: tolerance as a share of the target's value; 0.05 is 5 %.
        analyte: a key of `_units.ANALYTES`, for conversion between mass and amount of substance.
        day_first: read 03/04/2020 as 3 April.

    Returns:
        1 or 0; `unparsed` without one number

    Raises:
        DataError: the target has no such form.
    """
    target = sample.target.strip()
    text = final(readable(trace.answer))
    if gold_dates := dates(target, day_first):
        return _one_of(
            "numeric",
            {d.isoformat() for d in _last(text, lambda t: dates(t, day_first))},
            gold_dates[0].isoformat(),
            trace,
        )
    if re.search(r"\bweeks?\b", target) and (lengths := durations(target)):
        return _one_of("numeric", {f"{n} days" for n in _last(text, durations)}, f"{lengths[0]} days", trace)
    quantity = parse(trace.answer, analyte)
    if quantity is None:
        return missing("numeric", trace, "no single clear number")
    gold, low, high = limits(target)
    if quantity.pair is not None and gold.pair is None:
        return missing("numeric", trace, "two numbers and a stroke, for one number,")
    normalised = quantity if quantity.unit or not gold.unit else replace(quantity, unit=gold.unit)
    if (
        not gold.unit
        and quantity.unit in ("%", "percent")
        and (
            abs(gold.value) >= 1
            or PERCENT.search(sample.prompt.messages[-1].text if sample.prompt.messages else "")
        )
    ):
        # the question asks for per cent, or the gold can be no fraction
        normalised = replace(quantity, unit="")
    pair = f"/{quantity.pair:g}" if quantity.pair is not None else ""
    shown = f"{quantity.value:g}{pair} {quantity.unit}".strip()
    value = _in_unit(normalised, gold.unit, analyte)
    if value is None:
        return Score(
            "numeric",
            0.0,
            parsed=shown,
            why=f"said {shown!r}, which is no {gold.unit!r}: another unit than the gold {target!r}",
        )
    # tolerance: the widest of absolute, relative and rounding of floats (1e-9)
    slack = max(absolute, relative * abs(gold.value), 1e-9 * abs(gold.value))
    right = gold.pair == quantity.pair and (
        min(low, gold.value - slack) <= value <= max(high, gold.value + slack)
    )
    return Score("numeric", float(right), parsed=shown, why=f"said {shown!r}, gold {target!r}")


def limits(target: str) -> tuple[Quantity, float, float]:
    """Parse the target: the gold quantity and the lowest and highest value that count, in its unit.

    Args:
        target: such as "7.4 mmol/L (7.0 to 7.8)".

    Returns:
        the quantity, the lowest and the highest accepted value in its unit

    Raises:
        DataError: the target is not one number.
    """
    match = LIMITS.match(readable(target))
    parsed = quantities(match[1] if match else readable(target))
    if len(parsed) != 1:
        raise DataError(
            f"the target of `numeric` must be one number, such as '7.4 mmol/L (7.0 to 7.8)', not {target!r}"
        )
    low, high = (float(match[2]), float(match[3])) if match else (parsed[0].value, parsed[0].value)
    return parsed[0], low, high


def parse(answer: str, analyte: str = "") -> Quantity | None:
    """Parse the one quantity that an answer commits to; None for none, several, a range or a bound.

    Args:
        answer: text of a reply, its thinking included.
        analyte: as in `numeric`.

    Returns:
        a value with its unit, or None
    """
    text = spelt(final(readable(answer)))
    # announced values first; several announcements must agree
    segments = [segment for segment in announced(text) if quantities(segment)]
    if segments:
        values = [_committed(segment, analyte) for segment in segments]
        first = values[0]
        if len(values) > 1 and first is not None and all(value is not None for value in values):
            return (
                first if all(value is not None and same(first, value, analyte) for value in values) else None
            )
        return first if len(values) == 1 else None
    # else the only value of the reply, the value that opens it, or that of a concluding sentence
    if (value := _single(text, analyte)) is not None:
        return value
    if (leading := LEADING.match(text)) and (value := _value(text[leading.end() :], analyte)) is not None:
        return value
    return _concluded(text, analyte)


def _concluded(text: str, analyte: str) -> Quantity | None:
    """The quantity of a last sentence that concludes: "Hence, the clearance is 25 mL/min.", "Final
    score: 97"."""
    lines = [line for line in text.splitlines() if line.strip()]
    sentences = [piece for piece in re.split(r"(?<=[.!?。])\s+", lines[-1]) if piece.strip()] if lines else []
    if not sentences:
        return None
    last = sentences[-1]
    if EQUATION.search(last) or CONCLUDES.search(last):
        value = _single(last, analyte)
        return value if value is not None else _stated(last, analyte)
    return _stated(last, analyte)


def _stated(sentence: str, analyte: str) -> Quantity | None:
    """The quantity that the last "is" or colon of a sentence gives, where it is the only one behind a
    verb."""
    marks = list(STATES.finditer(sentence))
    starts = [mark.end() for mark in marks if _begins(sentence[mark.end() : mark.end() + NEAR])]
    return _value(sentence[starts[0] :], analyte) if len(starts) == 1 else None


def _begins(text: str) -> bool:
    """Whether a passage begins with a number."""
    text = ABOUT.sub("", text)
    parsed = quantities(text)
    return bool(parsed) and not text[: parsed[0].start].strip(" ($*\"'“")


def _committed(segment: str, analyte: str) -> Quantity | None:
    """The quantity that an announcement gives: the first, with a comment behind it, or the only one."""
    value = _single(segment, analyte)
    return value if value is not None else _value(segment, analyte)


def _value(text: str, analyte: str) -> Quantity | None:
    """The quantity that a passage begins with, where what follows is a comment and leaves nothing open."""
    text = ABOUT.sub("", text)
    head = re.split(r"(?<=[.;。；])\s|\n", text)[0]
    if steps := list(EQUATION.finditer(head.split(",")[0])):
        text = text[steps[-1].end() :]
    parsed = quantities(text)
    if not parsed or text[: parsed[0].start].strip(" ($*\"'“") or parsed[0].open:
        return None
    rest = text[parsed[0].end :]
    if ALTERNATIVE.match(rest) or not COMMENT.match(rest):
        return None
    aside = ASIDE.match(rest.lstrip())
    beside = quantities(aside[0]) if aside else []
    if (
        beside
        and beside[0].start <= 2
        and not beside[0].open
        and beside[0].unit
        and not same(parsed[0], beside[0], analyte)
    ):
        return None  # "7.4 mmol/L (200 mg/dL)"
    return parsed[0]


def announced(text: str) -> list[str]:
    """Extract what follows each "the answer is".

    Args:
        text: the final answer of a reply.

    Returns:
        One text for each announcement, to the end of its line or the next announcement.
    """
    marks = list(ANNOUNCED.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)] if marks else []
    return [text[mark.end() : end].split("\n")[0] for mark, end in zip(marks, ends, strict=True)]


def _single(text: str, analyte: str) -> Quantity | None:
    """The one quantity of a passage: what follows the last "=", else all of it; an aside may repeat it in
    another unit."""
    if steps := list(EQUATION.finditer(text)):
        text = text[steps[-1].end() :]
    outside = quantities(ASIDE.sub(lambda m: " " * len(m[0]), text))
    aside = [q for m in ASIDE.finditer(text) for q in quantities(m[0])]
    candidates = [q for q in (outside or aside) if q.open != "denied"]
    if not candidates or any(q.open in ("range", "bound") for q in candidates):
        return None
    beside = [q for q in aside if outside and q.open != "range"]  # an interval may stand beside its value
    return candidates[0] if all(same(candidates[0], q, analyte) for q in (*candidates, *beside)) else None


def _in_unit(quantity: Quantity, gold_unit: str, analyte: str) -> float | None:
    """The value in the unit of the gold; a percentage without a unit in the gold is a fraction."""
    source, gold = unit(quantity.unit), unit(gold_unit)
    if gold is None:
        return quantity.value * 0.01 if quantity.unit == "%" else quantity.value
    return convert(quantity.value, source, gold, analyte) if source is not None else quantity.value


def _last(text: str, read: Callable[[str], list[T]]) -> list[T]:
    """What the announced part says, where there is one, else the whole text."""
    results = [values for segment in announced(text) if (values := read(segment))]
    if results:
        return results[-1]
    lines = [line for line in text.splitlines() if line.strip()]
    last = re.split(r"(?<=[.!?。])\s+", lines[-1].strip())[-1] if lines else ""
    concluded = read(last)
    return (
        concluded if len(concluded) == 1 and (CONCLUDES.search(last) or STATES.search(last)) else read(text)
    )


def _one_of(name: str, values: set[str], gold: str, trace: Trace) -> Score:
    if len(values) != 1:
        return missing(name, trace, f"{len(values) or 'no'} dates or durations")
    value = values.pop()
    return Score(name, float(value == gold), parsed=value, why=f"said {value!r}, gold {gold!r}")


CASE_SENSITIVE = True  # units: mg and Mg
EXAMPLE = Sample(
    "numeric/example",
    (Message("user", ("What is 90 mg/dL of glucose in mmol/L?",)), Message("assistant", ("5.0 mmol/L",))),
    target="5.0 mmol/L (4.9 to 5.1)",
)
