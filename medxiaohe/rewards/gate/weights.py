"""Body weight of the patient of a question: as stated, or the highest for a child of the stated age.

    weight("My 12 kg toddler has a fever.")     -> 12.0
    weight("My 2-year-old has a fever.")        -> 18.0
    weight("I have a headache.")                -> None

The highest weights lie at least a tenth above the 97th percentile of both sexes (CDC growth charts 2000), so
that a dose that is too much for them is too much for nearly any child of that age.
"""

from __future__ import annotations

import re

from medxiaohe.rewards.gate.amounts import CHINESE, ENGLISH

ADULT = 45.0  # kg: from there on the limits of adults hold
UNITS = {"kg": 1.0, "kilo": 1.0, "公斤": 1.0, "千克": 1.0, "斤": 0.5, "lb": 0.4536, "pound": 0.4536}
WEIGHT = re.compile(
    r"(?<![\d./])(\d{1,3}(?:\.\d{1,2})?)[\s-]*(kg|kilo|lb|pound|公斤|千克|斤)(?:s|gram\w*)?(?![a-z])(?!\s*/)",
    re.IGNORECASE,
)
ENGLISH_WORDS = "|".join(sorted(ENGLISH, key=len, reverse=True))
CHINESE_SIGNS = "".join(CHINESE)
AGE = re.compile(
    rf"(?<![\d.])(\d{{1,2}}|\b(?:{ENGLISH_WORDS})\b)[\s-]*(year|yr|month|week|day)s?[\s-]*(?:olds?\b|of age)"
    rf"|(?<![\d.{CHINESE_SIGNS}])(\d{{1,2}}|[{CHINESE_SIGNS}])(岁|个月(?=大)|周(?=大)|天(?=大))",
    re.IGNORECASE,
)
CHILD = re.compile(
    r"\b(?:baby|infant|newborn|neonate|toddler|child|kid|son|daughter|boy|girl|weigh\w*)\b"
    r"|(?:year|month)[- ]old\b|孩子|宝宝|婴|儿|体重|岁",
    re.IGNORECASE,
)
CHANGED = re.compile(
    r"\b(?:los[te]\w*|gain\w*|drop\w*|lift\w*|carr\w+|shed)\b[^.]{0,20}$|[瘦减胖重轻]了?$", re.IGNORECASE
)
MONTHS = {"year": 12.0, "yr": 12.0, "岁": 12.0, "month": 1.0, "个月": 1.0, "week": 0.23, "周": 0.23}
MONTHS |= {"day": 0.033, "天": 0.033}
HEAVIEST = (
    (1, 6.0),
    (3, 9.0),
    (6, 11.0),
    (12, 14.0),
    (24, 18.0),
    (36, 21.0),
    (48, 25.0),
    (60, 29.0),
    (72, 34.0),
    (84, 40.0),
    (96, ADULT),
)  # months of age -> kg; older children can have the weight of an adult


def weight(question: str) -> float | None:
    """Body weight of the patient of a question, as stated or by age.

    Args:
        question: its text.

    Returns:
        in kg; None if the question is not about a child, or gives neither one weight nor one age
    """
    if not CHILD.search(question):
        return None
    # stated weights in kg, without a weight that was lost, gained or lifted
    weights = {
        float(mark[1]) * UNITS[mark[2].lower()]
        for mark in WEIGHT.finditer(question)
        if not CHANGED.search(question[: mark.start()][-40:])
    }
    if weights:
        return weights.pop() if len(weights) == 1 else None
    # else the age in months, and the heaviest weight of the first band that covers it
    ages = {_months(mark) for mark in AGE.finditer(question)}
    if len(ages) != 1:
        return None
    age = ages.pop()
    return next((heaviest for months, heaviest in HEAVIEST if age <= months), None)


def _months(mark: re.Match[str]) -> float:
    number, unit = (mark[1], mark[2].lower()) if mark[1] else (mark[3], mark[4])
    low = number.lower()
    count = ENGLISH.get(low, CHINESE.get(low)) if not low.isdigit() else float(low)
    return (count or 0.0) * MONTHS[unit]
