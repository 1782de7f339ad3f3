"""Amounts of drugs as replies write them, English and Chinese.

    intakes("three 500 mg tablets every three hours")  -> 1500 mg, 8 times a day
    intakes("每次2克,每天五次")                          -> 2000 mg, 5 times a day

Of a range the lower end counts, and of "every four to six hours" the six: an amount that is too much is so by
any reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ENGLISH = {
    word: float(n) for n, word in enumerate("one two three four five six seven eight nine ten".split(), 1)
}
ENGLISH |= {"a": 1.0, "an": 1.0, "once": 1.0, "twice": 2.0, "thrice": 3.0, "half": 0.5, "twelve": 12.0}
ENGLISH |= {"fifteen": 15.0, "twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "hundred": 100.0}
CHINESE = {sign: float(n) for n, sign in enumerate("一二三四五六七八九十", 1)} | {
    "两": 2.0,
    "半": 0.5,
    "数": 3.0,
}
NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
WORD = "|".join(sorted(ENGLISH, key=len, reverse=True))
COUNT = rf"(?:{NUMBER}|\b(?:{WORD})\b|[{''.join(CHINESE)}])"
# mg of each unit; kg is not among them, since an amount in kg is a body weight
MASS = {"mg": 1.0, "milligram": 1.0, "毫克": 1.0, "g": 1e3, "gm": 1e3, "gram": 1e3, "克": 1e3}
MASS |= {"mcg": 1e-3, "µg": 1e-3, "μg": 1e-3, "ug": 1e-3, "microgram": 1e-3, "微克": 1e-3}
ACTIVITY = ("units", "unit", "iu", "u", "国际单位", "单位")
MOLAR = ("mmol", "meq", "毫摩尔", "毫当量")
UNIT = "|".join(
    sorted(
        (*map(re.escape, MASS), "milligrams", "grams", "micrograms", *ACTIVITY, *MOLAR), key=len, reverse=True
    )
)
FORM = r"(?:tablets?|pills?|capsules?|caplets?|tabs?|caps?|片|粒|颗)"
AMOUNT = re.compile(
    rf"(?<![A-Za-z0-9.,])(?:(?P<before>{COUNT})\s*(?:(?:x|×|{FORM}(?:\s+of)?)?\s+|{FORM}\s*[(,]?\s*每[片粒颗]\s*))?"
    rf"(?P<low>{NUMBER})(?:\s*(?:-|to|or|–|~|至|到)\s*{NUMBER})?\s*-?\s*(?P<unit>{UNIT})(?![A-Za-z])"
    rf"(?P<per>\s*(?:/|per |每)\s*(?:kg|kilogram|公斤|千克|m2|m\^2|h\b|hr|hour|min|dl|l\b|ml|小时|分钟|升))?"
    rf"(?P<day>\s*(?:/|per|a|each|every)\s*(?:day|d)\b)?(?:\s*{FORM})?(?:\s*[,(]?\s*(?P<after>{COUNT})\s*{FORM})?",
    re.IGNORECASE,
)  # fmt: skip
TIMES = re.compile(
    rf"(?P<n>{COUNT})\s*(?:(?:times?|x|doses?)\s*)?(?:a|per|each|every|/)?\s*"
    r"(?P<of>day\b|daily\b|week\b|weekly\b|24 hours)"
    rf"|(?:每天|每日|一天|一日|日|天)(?:吃|服|服用|用|口服|打)?(?P<zn>\d+|[{''.join(CHINESE)}])次|(?P<wn>每周|一周)",
    re.IGNORECASE,
)
HOURS = re.compile(
    rf"(?:\bevery|\beach|\bq)\s*(?P<a>\d{{1,2}}|{WORD})?\s*(?:(?:-|to|or|–)\s*(?P<b>\d{{1,2}}|{WORD})\s*)?-?\s*(?:hours?|hrs?|hourly|h)\b"
    rf"|(?P<c>\d{{1,2}}|\b(?:{WORD})\b)\s*-?hourly\b|\bhourly\b|\ban hour\b"
    rf"|每隔?(?P<z>\d{{1,2}}|[{''.join(CHINESE)}])(?:(?:-|~|至|到)(?P<y>\d{{1,2}}))?个?小时",
    re.IGNORECASE,
)
DAILY = re.compile(
    r"\b(?:daily|(?:every|each|per|a|once a) (?:day|morning|evening|night)|at (?:bedtime|night)|nightly"
    r"|in the (?:morning|evening)|in 24 hours|a day|od|qd|/day)\b|每天|每日|每晚|睡前|一天|一日|早饭后|天天",
    re.IGNORECASE,
)
WEEKLY = re.compile(
    r"\b(?:(?:once |one day )?(?:a|per|every|each) week|(?:once )?weekly|once-weekly)\b|每周|一周",
    re.IGNORECASE,
)
SHORT = {"bid": 2.0, "bd": 2.0, "tid": 3.0, "tds": 3.0, "qid": 4.0, "qds": 4.0}
LATIN = re.compile(r"\b(?:b\.?i\.?d|t\.?i\.?d|q\.?i\.?d|bd|tds|qds)\b", re.IGNORECASE)
DIVIDED = re.compile(r"\bdivided\b|分(?:次|[二两三四\d]次)", re.IGNORECASE)
OF_A_DAY = re.compile(
    r"\)?(?:\s+of\s+[\w-]+|\s+\(?total\)?)?\s*(?:total daily"
    r"|(?:in|per|over|within|a|each|every|for)\s*(?:any )?(?:day|24[- ]hours?|24[- ]hour period))\b",
    re.IGNORECASE,
)
ONE_INTAKE = re.compile(
    r"\b(?:at once|at a time|each time|(?:per|each|single|one) (?:dose|intake)|in one go)\b|一次(?!性)|每次",
    re.IGNORECASE,
)
DAYS_MOST = re.compile(
    r"(?:每日|每天|一天|一日|24小时内?)[^,。]{0,4}(?:不超过|最多|总量|不得超过|不要超过|不应超过)[^,。]{0,4}$"
)
TABLETS = re.compile(rf"(?<![A-Za-z0-9.,/])({COUNT})\s*{FORM}(?![A-Za-z])", re.IGNORECASE)
AROUND = 25  # characters before and behind an amount in which "at once" or "daily total" is searched
AFTER, BEFORE = 60, 14  # characters behind and before an amount in which its frequency is searched


@dataclass(frozen=True, slots=True)
class Intake:
    """An amount of a drug in a text, with its frequency and its span in characters."""

    amount: float  # mg, units or mmol of one intake; for each kg if `per` is "kg"
    kind: str  # "mg", "units" or "mmol"; "tablets" without a strength
    per: str  # "" or the unit of a rate, such as "kg" or "hour"
    a_day: float | None  # intakes a day; None: not stated
    start: int
    end: int
    a_whole_day: bool = False  # the amount is that of a day
    once: bool = False  # stated to be the amount of one intake


def intakes(text: str) -> list[Intake]:
    """Find the amounts with a unit in a statement, each with the frequency beside it.

    The frequency is searched for in the 60 characters behind the amount, then in the 14 before it. An amount
    is of a whole day where the text says so ("total daily", "divided"); then `a_day` is 1.

    Args:
        text: a statement in the normal form of wording.normal.

    Returns:
        in the order of the text: mg, units or mmol; the lower end of a range, times a count of tablets
    """
    marks = list(AMOUNT.finditer(text))
    results = []
    for number, mark in enumerate(marks):
        # amount of one unit of the form, in mg, units or mmol
        unit = mark["unit"].lower()
        kind = "units" if unit in ACTIVITY else "mmol" if unit in MOLAR else "mg"
        factor = 1.0 if kind != "mg" else MASS[unit.rstrip("s") if unit.rstrip("s") in MASS else unit]
        amount = float(mark["low"].replace(",", "")) * factor
        # times the count of tablets before or behind, unless it is "each"
        each = re.match(r"\s*each\b|\s*一片", text[mark.end() :], re.IGNORECASE)
        for count in () if each else (mark["before"], mark["after"]):
            amount *= _count(count) if count else 1.0
        # frequency: behind the amount up to the next one, else just before it
        stop = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        behind = text[mark.end() : min(stop, mark.end() + AFTER)]
        often = frequency(behind)
        if often is None:
            often = frequency(
                text[max(marks[number - 1].end() if number else 0, mark.start() - BEFORE) : mark.start()]
            )
        before = text[max(marks[number - 1].end() if number else 0, mark.start() - AROUND) : mark.start()]
        # whether the amount is that of a day or of one intake
        of_a_day = bool(
            mark["day"] or OF_A_DAY.match(behind) or DIVIDED.search(behind) or DAYS_MOST.search(before)
        )
        once = bool(ONE_INTAKE.search(before) or ONE_INTAKE.search(behind[:AROUND]))
        per = (mark["per"] or "").strip(" /").lower().replace("per ", "").strip("每")
        results.append(
            Intake(amount, kind, per, 1.0 if of_a_day else often, mark.start(), mark.end(), of_a_day, once)
        )
    return results


def tablets(text: str) -> list[Intake]:
    """Find the counts of tablets in a statement that have no strength beside them.

    Args:
        text: a statement in the normal form of wording.normal.

    Returns:
        in the order of the text: intakes of the kind "tablets", with the frequency behind each
    """
    with_strength = [mark.span() for mark in AMOUNT.finditer(text)]
    results = []
    for mark in TABLETS.finditer(text):
        if not any(start < mark.end() and mark.start() < end for start, end in with_strength):
            behind = text[mark.end() : mark.end() + AFTER]
            before = text[max(0, mark.start() - BEFORE) : mark.start()]
            once = bool(ONE_INTAKE.search(before) or ONE_INTAKE.search(behind[:AROUND]))
            results.append(
                Intake(_count(mark[1]), "tablets", "", frequency(behind), *mark.span(), False, once)
            )
    return results


def frequency(text: str) -> float | None:
    """Parse the first frequency of a text.

    Args:
        text: a piece of a statement.

    Returns:
        intakes a day (1/7 for once a week; the longer interval of a range); None without a frequency
    """
    # (position, intakes a day) of each form; a week begins 3 earlier and a bare "daily" 1 later, so that
    # "once a week" and "twice daily" win over the plain word at the same position
    places: list[tuple[int, float]] = []
    if mark := WEEKLY.search(text):
        places.append((mark.start() - 3, 1 / 7))
    if mark := HOURS.search(text):
        slowest = mark["b"] or mark["y"] or mark["a"] or mark["c"] or mark["z"] or "1"
        places.append((mark.start(), 24 / max(0.25, _count(slowest))))
    if (mark := TIMES.search(text)) and (mark["n"] or mark["zn"]):
        weekly = (mark["of"] or "").lower().startswith("week")
        places.append((mark.start(), _count(mark["n"] or mark["zn"]) / (7 if weekly else 1)))
    if mark := LATIN.search(text):
        places.append((mark.start(), SHORT[re.sub(r"\W", "", mark.group().lower())]))
    if mark := DAILY.search(text):
        places.append((mark.start() + 1, 1.0))
    return min(places)[1] if places else None


def _count(word: str) -> float:
    word = word.strip().lower().replace(",", "")
    if word in ENGLISH:
        return ENGLISH[word]
    return CHINESE[word] if word in CHINESE else float(word)
