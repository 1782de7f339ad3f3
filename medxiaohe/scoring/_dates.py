"""Dates and durations in weeks and days, as calculators of pregnancy give them."""

import re
from collections.abc import Iterator
from datetime import date

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)\.?"
)
NUMERIC = re.compile(r"(?<![\d/.\-])(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})(?![\d/])")
ISO = re.compile(
    r"(?<![\d/.\-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?![\d/])|(\d{4})\s?年\s?(\d{1,2})\s?月\s?(\d{1,2})\s?日"
)
MONTH_FIRST = re.compile(rf"\b{MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE)
DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH},?\s+(\d{{4}})\b", re.IGNORECASE)
SEVENTHS = re.compile(
    r"(?<![\w.])(\d{1,2})\s*(?:(weeks?|wks?)\s*)?(?:and\s+)?\+?\s*([0-6])\s?/\s?7\s*(weeks?|wks?|周)?",
    re.IGNORECASE,
)
DURATION = re.compile(
    r"(?<![\w.])(\d{1,3})['\"]?\s?(?:weeks?|wks?|w)\b['\"]?(?:\s*(?:,|and|\+|plus|&)?\s*['\"]?(\d)['\"]?\s?(?:days?|d)\b)?"
    r"|(?<![\w.])(\d{1,3})w(\d)d\b|(?<![\w.])(\d{1,3})\s?\+\s?(\d)\s?(?:(?:weeks?|wks?)\b|周)|(?<![\w.])(\d{1,3})\s?周\s?(?:(\d)\s?天)?"
    r"|(?<![\w.])(\d{1,4})['\"]?\s?(?:days?|天)",
    re.IGNORECASE,
)


def dates(text: str, day_first: bool = False) -> list[date]:
    """Parse the calendar dates of a text; impossible ones (13/32/2020) are dropped.

    Args:
        text: a reply or a reference.
        day_first: read 03/04/2020 as 3 April instead of 4 March.

    Returns:
        Dates by format (numeric, ISO, month first, day first), not by position.
    """
    return list(filter(None, (_date(*parts) for parts in _parts(text, day_first))))


def _parts(text: str, day_first: bool) -> Iterator[tuple[int, int, int]]:
    for match in NUMERIC.finditer(text):
        first, second = int(match[1]), int(match[2])
        yield int(match[3]), *((second, first) if day_first else (first, second))
    for match in ISO.finditer(text):
        year, month, day = (int(group) for group in match.groups() if group)
        yield year, month, day
    for match in MONTH_FIRST.finditer(text):
        yield int(match[3]), MONTHS.index(match[1][:3].lower()) + 1, int(match[2])
    for match in DAY_FIRST.finditer(text):
        yield int(match[3]), MONTHS.index(match[2][:3].lower()) + 1, int(match[1])


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def durations(text: str) -> list[int]:
    """Parse the durations of a text that are in weeks and days: "('4 weeks', '3 days')" is 31.

    Args:
        text: a reply or a reference.

    Returns:
        Durations in days, in the order of the text.
    """
    results = []
    # 39 2/7 weeks is 39 weeks and 2 days
    text = SEVENTHS.sub(lambda m: f"{m[1]} weeks {m[3]} days" if m[2] or m[4] else m[0], text)
    for match in DURATION.finditer(text):
        weeks, days = next(
            ((w, d) for w, d in zip(match.groups()[:8:2], match.groups()[1:8:2], strict=True) if w),
            ("0", match[9]),
        )
        results.append(7 * int(weeks) + int(days or 0))
    return results
