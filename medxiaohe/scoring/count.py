"""How many: a whole number in digits or words. "About 12" is 12; "10 to 12", "several" and "1.5" are no
count."""

from medxiaohe.errors import DataError
from medxiaohe.scoring._text import missing
from medxiaohe.scoring._units import unit
from medxiaohe.scoring.numeric import parse as number
from medxiaohe.types import Message, Sample, Score, Trace

COUNTED = unit("cells")  # no dimension, and not per cent


def count(sample: Sample, trace: Trace, *, within: int = 0) -> Score:
    """1 where the count differs from the target by no more than `within`."""
    if not sample.target.strip().lstrip("-").isdigit():
        raise DataError(f"the target of `count` must be a whole number, not {sample.target!r}")
    found = parse(trace.answer)
    if found is None:
        return missing("count", trace, "no single clear count")
    right = abs(found - int(sample.target)) <= within
    return Score("count", float(right), parsed=str(found), why=f"counted {found}, gold {sample.target}")


def parse(answer: str) -> int | None:
    found = number(answer)
    if found is None or found.pair is not None or (found.unit and unit(found.unit) != COUNTED):
        return None
    return int(found.value) if found.value >= 0 and found.value == int(found.value) else None


EXAMPLE = Sample(
    "count/example",
    (
        Message("user", ("How many white blood cells are in the picture?",)),
        Message("assistant", ("There are 3 white blood cells.",)),
    ),
    target="3",
)
