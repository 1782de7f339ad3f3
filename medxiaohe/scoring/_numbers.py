"""Numbers with units as people write them: 1,234.5 · 7,4 · 1.2×10³ · 5-7 · >5 · 118/77 mmHg · 39.0 °C (102
°F)."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from medxiaohe.scoring._units import Unit, convert, unit

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
DIGITS = (
    r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:"
    r" \d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?|\.\d+"
)
POWER = r"(?:\s*[x×*·]\s*10\s*\^?\s*\{?\(?([+-]?\d+)\)?\}?|[eE]([+-]?\d+)(?![\w])|\^([+-]?\d+))?"
NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_.,^])(?<![A-Za-z]-)(?:(minus|negative)\s+)?(?<!\d)([-+]?)\s?({DIGITS}){POWER}"
    rf"(?!\d)(?!(?:st|nd|rd|th)\b)",
    re.IGNORECASE,
)
UNIT = re.compile(
    r"\s?(?:°\s?[CF]\b|%|[A-Za-zμµ°%/][A-Za-z0-9μµ°%/^*·.\- ()]{0,30})|\s?(?:/|\*|×|x)?\s?10\^\d+/[A-Za-zμ]+"
)
RANGE = re.compile(r"^\s*(?:-|–|—|~|to|through|until|至|到)\s*[-+]?\d", re.IGNORECASE)
BETWEEN = re.compile(r"\bbetween\s*$", re.IGNORECASE)
BOUND = re.compile(
    r"(?:[<>≤≥]=?|\b(?:less|more|greater|fewer|lower|higher|larger|smaller) than|\bat (?:least|most)|\bup"
    r" to|\bover|\bunder|\babove|\bbelow"
    r"|\bexceeding|大于|小于|超过|至少|不超过)\s*(?:or equal to\s*)?$",
    re.IGNORECASE,
)
NOT_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|\brather than|\binstead of|\banything but|\bother"
    r" than|\bexcept|不是|并非)\s*(?:be\s|exactly\s|equal to\s)?\s*$",
    re.IGNORECASE,
)
LISTED = re.compile(
    r"(?m)^\s*(?:step\s*)?\d{1,2}[.):]\s+(?=[^\d\s])|^\s*step \d+\s*:?|\[\d{1,3}\]", re.IGNORECASE
)
WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen"
)
NAMES = (
    {word: i for i, word in enumerate([*WORDS.split(), "eighteen", "nineteen", "twenty"])}
    | {word: i for i, word in enumerate("零一二三四五六七八九十")}
    | {"两": 2}
)
SPELT = re.compile(
    r"^(\W*(?:(?:the )?answer\s*(?:is|:)+|there (?:is|are)|i"
    rf" (?:see|count)|共?有?)\s*)({'|'.join(sorted(NAMES, key=len, reverse=True))})"
    r"(?=\W|$|[个处枚条颗])(?!-|\s+(?:or|to|of|can|should|could|would|may|might|must)\b)",
    re.IGNORECASE,
)
SCALES = {
    "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "lakh": 1e5, "crore": 1e7,
    "millions": 1e6, "thousands": 1e3, "millones": 1e6, "milhões": 1e6, "millionen": 1e6, "tausend": 1e3,
    "mil": 1e3, "百": 1e2, "千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "만": 1e4, "억": 1e8,
}  # fmt: skip
SCALE = re.compile(rf"\s?({'|'.join(sorted(SCALES, key=len, reverse=True))})(?![A-Za-z]|分)", re.IGNORECASE)
VULGAR = {
    "½": (1, 2),
    "⅓": (1, 3),
    "⅔": (2, 3),
    "¼": (1, 4),
    "¾": (3, 4),
    "⅛": (1, 8),
    "⅜": (3, 8),
    "⅝": (5, 8),
    "⅞": (7, 8),
}
FRACTION = re.compile(
    r"((?<!\d)\d{1,6})?\s?([½⅓⅔¼¾⅛⅜⅝⅞])|((?<!\d)\d{1,6}\s+)?\\[dt]?frac\s*\{\s*(-?\d+(?:\.\d+)?)\s"
    r"*\}\s*\{\s*(\d+(?:\.\d+)?)\s*\}"
)
NUMBERED = re.compile(
    r"\b(?:question|item|problem|step|case|table|figure|fig\.?|no\.|number|page|stage|grade|class"
    r"|type)\s*#?$",
    re.IGNORECASE,
)
NEAR = 80  # characters around a number that say what it is
EQUATION = re.compile(r"[=≈]\s*(?=[-+−]?\s?[\d.])")


@dataclass(frozen=True, slots=True)
class Quantity:
    """Number of a text with its unit and position."""

    value: float
    unit: str  # as written, "" for none
    start: int
    end: int
    open: str = ""  # why it is no single value: "range", "bound", "denied", "ratio"
    pair: float | None = None  # 77 of 118/77


def readable(text: str) -> str:
    """Normalise superscripts, fractions, minus signs and LaTeX; must precede NFKC, which turns 10³ into 103.

    Args:
        text: a reply or a reference.

    Returns:
        Text with "^3", decimals ("1½" is 1.5) and "-"; offsets may move.
    """
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+", lambda m: "^" + m[0].translate(SUPERSCRIPTS), text)
    text = FRACTION.sub(_fraction, text)
    # a dash of any kind before a number that nothing but a blank or a bracket precedes is its sign
    text = re.sub(r"(?<![^\s(\[=:,{$])(?<!\d\s)[\u2010-\u2015\u2212\ufe63\uff0d](?=\s?[\d.])", "-", text)
    return (
        text.replace("−", "-")
        .replace("\\,", "")
        .replace("\\times", "×")
        .replace("\\%", "%")
        .replace("µ", "μ")
        .replace("$", " ")
    )


def _fraction(match: re.Match[str]) -> str:
    """A fraction in one sign, or a LaTeX one that stands for a number, in decimals: "1½" is 1.5."""
    integer, sign, before, top, bottom = match.groups()
    if sign:
        return f"{int(integer or 0) + VULGAR[sign][0] / VULGAR[sign][1]:.10g}"
    if not float(bottom):
        return match[0]
    return f"{float(before or 0) + float(top) / float(bottom):.10g}"


def spelt(text: str) -> str:
    """Replace the number word that opens a text without digits: "Three lesions" is "3 lesions".

    Args:
        text: a reply.

    Returns:
        The text with digits, or the text unchanged.
    """
    if re.search(r"\d", text) or not (match := SPELT.match(text)):
        return text
    return f"{match[1]}{NAMES[match[2].lower()]} {text[match.end() :]}"


def quantities(text: str) -> list[Quantity]:
    """Parse the numbers of a text with their units; list markers, ordinals and the numbers of names (HbA1c,
    FIB-4) are skipped.

    Args:
        text: by `readable`.

    Returns:
        Quantities in order, with offsets in `text`.
    """
    text = LISTED.sub(lambda m: " " * len(m[0]), text)
    return list(_found(text))


def _found(text: str) -> Iterator[Quantity]:
    skip = 0
    for match in NUMBER.finditer(text):
        if match.start() < skip:
            continue
        if not math.isfinite(value := _value(match)):
            continue
        before, rest = (
            text[max(0, match.start() - NEAR) : match.start()],
            text[match.end() : match.end() + NEAR],
        )
        # "1.2 million": value times scale
        if scale := SCALE.match(rest):
            value *= SCALES[scale[1].lower()]
            rest = " " * scale.end() + rest[scale.end() :]
        if NUMBERED.search(before):
            continue  # "question 5"
        unit_name = " " * scale.end() + _unit(rest[scale.end() :]) if scale else _unit(rest)
        pair = re.match(r"\s?/\s?(\d+(?:\.\d+)?)(?![\d/]|\s?\d)", rest)
        opened, end = "", match.end() + len(unit_name)
        if pair and not re.match(r"\s?/\s?1\.73", rest):
            end = match.end() + pair.end()
            after = _unit(text[end : end + NEAR])
            skip = end = end + len(after)
            yield Quantity(value, after.strip(), match.start(), end, "ratio", float(pair[1]))
            continue
        skip = end
        # ranges ("5-7", "between 5 and 7"), bounds ("> 5") and denied values ("not 5") are open
        between = BETWEEN.search(before) and re.match(r"\s*(?:and|与|和)\s*\d", text[end : end + NEAR])
        if ranged := RANGE.match(text[end : end + NEAR]) or RANGE.match(rest) or between:
            opened, skip = "range", end + len(ranged[0]) + 1
            skip += len(_rest_of_number(text[skip - 1 : skip + NEAR])) - 1
        elif BOUND.search(before):
            opened = "bound"
        elif NOT_BEFORE.search(before):
            opened = "denied"
        elif re.search(r"\bout of\s*$", before):
            continue  # the most a score can be
        yield Quantity(value, unit_name.strip(), match.start(), end, opened)


def _rest_of_number(text: str) -> str:
    match = re.match(r"[\d.,]*\d", text)
    return match[0] if match else " "


def _value(match: re.Match[str]) -> float:
    digits = match[3]
    if re.fullmatch(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?", digits):
        digits = digits.replace(",", "")  # 12,34,567
    elif re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits) and not digits.startswith("0,"):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+", digits):
        digits = digits.replace(".", "").replace(",", ".")
    else:
        digits = digits.replace(" ", "").replace(",", ".")
    # sign * digits * 10**exponent, or digits**power; exponents are bounded; `_found` drops infinities
    sign = -1.0 if match[1] or match[2] == "-" else 1.0
    if match[6]:
        return (
            sign * float(digits) ** max(-99, min(99, int(match[6])))
            if abs(float(digits)) <= 1000 and float(digits)
            else 0.0
        )
    return sign * float(digits) * 10.0 ** max(-300, min(300, int(match[4] or match[5] or 0)))


def _unit(rest: str) -> str:
    """The longest beginning of what follows a number that is a unit; "" when there is none."""
    rest = re.sub(r"^-(?=[A-Za-z])", " ", rest)  # 4-year
    if not (match := UNIT.match(rest)):
        return ""
    candidate = match[0].rstrip(" .()-/*")
    while candidate.strip():
        after = rest[len(candidate) :]
        preposition = candidate.strip() == "in" and re.match(r" \w", after)
        if unit(candidate) is not None and not re.match(r"[A-Za-z0-9]", after) and not preposition:
            return candidate
        candidate = candidate[:-1].rstrip(" .()-/*")
    return ""


def same(first: Quantity, second: Quantity, analyte: str = "") -> bool:
    """Decide whether two quantities of one reply are one value: equal numbers, or 37 °C and 98.6 °F.

    Args:
        first: a quantity.
        second: the quantity it is compared with.
        analyte: substance that mass and amount are converted for, "" for none.

    Returns:
        Equal numbers and pairs where units agree or are missing; within 1 % after conversion of units.
    """
    a, b = unit(first.unit), unit(second.unit)
    if first.pair != second.pair:
        return False
    if isinstance(a, Unit) and isinstance(b, Unit) and first.unit != second.unit:
        turned = convert(first.value, a, b, analyte)
        return turned is not None and abs(turned - second.value) <= 0.01 * abs(second.value)
    return first.value == second.value and (first.unit == second.unit or not first.unit or not second.unit)
