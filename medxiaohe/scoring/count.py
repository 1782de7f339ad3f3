"""How many: a whole number in digits or words. "About 12" is 12; "10 to 12", "several" and "1.5" are no
count."""

import re

from medxiaohe.errors import DataError
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._numbers import NAMES
from medxiaohe.scoring._text import missing
from medxiaohe.scoring._units import unit
from medxiaohe.scoring.numeric import parse as number
from medxiaohe.types import Message, Sample, Score, Trace

COUNTS = re.compile(rf"\b({'|'.join(name for name in NAMES if name.isascii())})\b", re.IGNORECASE)
NONE = re.compile(
    r"^\W*(?:answer\s*:\s*)?(?:(?:there (?:are|is)|i (?:see|count))\s+)?(?:none|zero|no(?!\.)(?:\s"
    r"+(?!idea|answer|way|clear)\w+){1,3}?(?:\s+(?:is|are|was|were)?\s*(?:seen|visible|present|found"
    r"|detected|identified|there|here))?)\W*$|^\W*(?:没有|无)\W*$",
    re.IGNORECASE,
)
SINGLE = re.compile(r"^\W*(?:answer\s*:\s*)?(?:there is |i see |i count )?(?:a|one) single\b", re.IGNORECASE)
SEVERAL = re.compile(
    r"\b(?:or|several|many|few|multiple|numerous|unknown|unclear)\b|[a-z]\s?[–—-]\s?(?:one|two|three"
    r"|four|five|six|seven|eight|nine|ten)\b",
    re.IGNORECASE,
)
# "I count 3 lesions: 2 in the left lobe and 1 in the right"
TOTAL = re.compile(
    r"^\W*(?:answer\s*:\s*)?(?:i (?:see|count)|there are)\s+(\d{1,4})\s+[^\d:(]{0,40}[:(](?!\s*or\b)",
    re.IGNORECASE,
)
COUNTED = unit("cells")  # no dimension, and not per cent


def count(sample: Sample, trace: Trace, *, within: int = 0) -> Score:
    """Accuracy of a count: 1 where it differs from the target by no more than `within`.

    Args:
        sample: its target is a whole number in digits.
        trace: its answer is scored.
        within: tolerance, in items.

    Returns:
        1 or 0; `unparsed` without one clear count

    Raises:
        DataError: the target is not a whole number.
    """
    if not sample.target.strip().lstrip("-").isdigit():
        raise DataError(f"the target of `count` must be a whole number, not {sample.target!r}")
    counted = parse(trace.answer)
    if counted is None:
        return missing("count", trace, "no single clear count")
    right = abs(counted - int(sample.target)) <= within
    return Score("count", float(right), parsed=str(counted), why=f"counted {counted}, gold {sample.target}")


def parse(answer: str) -> int | None:
    """Parse the one count of a reply; "none" and "no nodules" are 0, two counts in words or a range are no
    count.

    Args:
        answer: text of a reply, its thinking included.

    Returns:
        the count, at least 0, or None
    """
    text = final(answer)
    if not re.search(r"\d", text):
        if NONE.match(text) and not SEVERAL.search(text):
            return 0
        words = [word.lower() for word in COUNTS.findall(text)]
        if len(set(words)) > 1 or SEVERAL.search(text):
            return None
        if SINGLE.match(text):
            return 1
    elif total := TOTAL.match(text):
        return int(total[1])
    quantity = number(answer)
    if quantity is None or quantity.pair is not None or (quantity.unit and unit(quantity.unit) != COUNTED):
        return None
    return int(quantity.value) if quantity.value >= 0 and quantity.value == int(quantity.value) else None


EXAMPLE = Sample(
    "count/example",
    (
        Message("user", ("How many white blood cells are in the picture?",)),
        Message("assistant", ("There are 3 white blood cells.",)),
    ),
    target="3",
)
