"""Doses as people write them: 500 mg twice a day, 1 g q8h, 15 mg/kg/day in three divided doses, 10 units at
bedtime."""

import re
from dataclasses import dataclass

from medxiaohe.scoring._numbers import quantities, readable
from medxiaohe.scoring._units import Unit, unit

NUMBERS = {word: n for n, word in enumerate("once twice thrice".split(), 1)}
NUMBERS |= {word: n for n, word in enumerate("one two three four five six".split(), 1)}
# intakes per day
LATIN = {
    "qd": 1.0,
    "od": 1.0,
    "daily": 1.0,
    "qam": 1.0,
    "qpm": 1.0,
    "qhs": 1.0,
    "qday": 1.0,
    "mane": 1.0,
    "nocte": 1.0,
    "qod": 0.5,
    "eod": 0.5,
    "nightly": 1.0,
    "bid": 2.0,
    "bd": 2.0,
    "tid": 3.0,
    "tds": 3.0,
    "qid": 4.0,
    "qds": 4.0,
}
COUNT = rf"(\d{{1,2}}|{'|'.join(NUMBERS)})"
EVERY = re.compile(
    r"(?:every|each|q)\s*(\d{1,2})\s*-?\s*(?:h|hrs?|hours?|hourly)\b|(\d{1,2})\s*-?\s*hourly\b", re.IGNORECASE
)
TIMES = re.compile(
    rf"{COUNT}(?:\s*(?:times?|x|doses?))?\s*(?:a|per|each|every|/)?\s*(day|daily|week|weekly)\b",
    re.IGNORECASE,
)
WORDS = re.compile(
    r"\b(?:(?:every|each|per|a) (?:day|morning|evening|night)|at (?:bedtime|night)|in the (?:morning|evening)"
    r"|once)\b"
    r"|/\s*day\b",
    re.IGNORECASE,
)
OTHER_DAY = re.compile(r"\b(?:every (?:other|second)|alternate) days?\b", re.IGNORECASE)
SHORT = re.compile(rf"\b({'|'.join(LATIN)}|q\.?\s?d|b\.i\.d|t\.i\.d|q\.i\.d)\b", re.IGNORECASE)
WEEKLY = re.compile(r"\b(?:once (?:a|per|every) week|(?:once )?weekly|every week)\b", re.IGNORECASE)
DIVIDED = re.compile(
    rf"\b(?:divided (?:into|in)|in|as)\s+{COUNT}\s+(?:equal\s+)?(?:divided\s+|separate\s+)?doses\b",
    re.IGNORECASE,
)
NEAR = 45  # characters behind an amount in which its frequency stands
PLAIN = ((("mass", 1),), (("activity", 1),), (("volume", 1),))


@dataclass(frozen=True, slots=True)
class Dose:
    """Amount and frequency of one dose in a text."""

    amount: float  # of one intake, in base units: g, IU or L; for each kg of the patient where `per_kg`
    kind: str  # mass, activity, volume
    per_kg: bool
    a_day: float | None  # how often; None where it is not said
    start: int
    end: int  # behind the amount, not behind its frequency
    open: str = ""  # why it is no single dose: "range", "bound", "denied", "ratio"


def doses(text: str) -> list[Dose]:
    """Parse the doses of a text with their frequencies.

    A dose in divided parts is that of one intake; a rate per day without a frequency counts once a day.

    Args:
        text: a reply or a reference.

    Returns:
        Doses in the order of the text, with offsets in `text`; amounts in base units (g, IU, L).
    """
    results = []
    for quantity in quantities(readable(text)):
        unit_name = re.sub(r"\s+in$", "", quantity.unit)  # "mg/day in two doses" has no inches
        end = quantity.end - (len(quantity.unit) - len(unit_name))
        measured = _measured(unit_name)
        if measured is None:
            continue
        kind, factor, per_kg, per_day = measured
        after = re.split(r"[.;]\s|\n", text[end : end + NEAR])[0]
        often, amount = frequency(after), quantity.value * factor
        # "15 mg/kg/day in three divided doses": amount of one intake = amount / count
        if divided := DIVIDED.search(after):
            often = _count(divided[1])
            amount /= often
        elif per_day and often is None:
            often = 1.0
        results.append(Dose(amount, kind, per_kg, often, quantity.start, end, quantity.open))
    return results


def frequency(text: str) -> float | None:
    """Parse how often a dose is taken: "q8h", "twice a day", "bid", "weekly".

    Args:
        text: what follows an amount.

    Returns:
        Intakes per day by the first expression of the text, 1/7 for weekly; None where it states none.
    """
    # (offset, intakes per day) of each kind of expression; the first one of the text counts
    candidates: list[tuple[int, float]] = []
    if OTHER_DAY.search(text):
        return 0.5
    if mark := EVERY.search(text):
        candidates.append((mark.start(), 24 / max(1, int(mark[1] or mark[2]))))
    if mark := WEEKLY.search(text):
        candidates.append((mark.start(), 1 / 7))
    if mark := TIMES.search(text):
        candidates.append((mark.start(), _count(mark[1]) / (7 if mark[2].lower().startswith("week") else 1)))
    if mark := SHORT.search(text):
        candidates.append((mark.start(), LATIN.get(re.sub(r"[.\s]", "", mark[1].lower()), 1.0)))
    if mark := WORDS.search(text):
        candidates.append((mark.start(), 1.0))
    return min(candidates, key=lambda candidate: candidate[0])[1] if candidates else None


def same_amount(a: Dose, b: Dose) -> bool:
    """Compare two amounts of the same kind within a relative tolerance of 1e-6; frequencies are not compared.

    Args:
        a: a dose.
        b: the dose it is compared with.

    Returns:
        Whether kind, per-kg basis and amount agree.
    """
    return (a.kind, a.per_kg) == (b.kind, b.per_kg) and abs(a.amount - b.amount) <= 1e-6 * abs(b.amount)


def _measured(name: str) -> tuple[str, float, bool, bool] | None:
    """(kind, base units in one, for each kg, for a whole day) of the unit of a dose; None for what is no
    dose."""
    bare = re.sub(r"\s*/\s*(?:kg|kilogram)\b", "", name)
    plain = re.sub(r"\s*/\s*(?:d|day)\b", "", bare)
    parsed = unit(plain)
    if not isinstance(parsed, Unit) or parsed.powers not in PLAIN:
        return None
    return parsed.powers[0][0], parsed.factor, bare != name, plain != bare


def _count(word: str) -> float:
    return float(NUMBERS.get(word.lower(), 0) or int(word))
