"""An answer whose form is a regular expression: the target must match all of it, whatever its case.

For answers with many spellings and one meaning ("^(grade )?(2|ii)$"). The whole answer must match, so nothing
can be hidden beside it; refusals match nothing.
"""

import re

from medxiaohe.errors import DataError
from medxiaohe.scoring._answer import refuses
from medxiaohe.scoring._text import missing, short
from medxiaohe.scoring.string import bare
from medxiaohe.types import Message, Sample, Score, Trace


def regex(sample: Sample, trace: Trace) -> Score:
    """Regular-expression match: 1 where the whole answer matches the pattern of the target, whatever its
    case.

    Args:
        sample: its target is a regular expression.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` or `refused` without an answer

    Raises:
        DataError: the target is not a regular expression.
    """
    try:
        pattern = re.compile(sample.target.strip(), re.IGNORECASE)
    except re.error as error:
        raise DataError(
            f"the target of `regex` must be a regular expression, not {sample.target!r} ({error})"
        ) from error
    parsed = bare(short(trace.answer))
    if not parsed or refuses(parsed):
        return missing("regex", trace)
    return Score(
        "regex",
        float(bool(pattern.fullmatch(parsed))),
        parsed=parsed,
        why=f"said {parsed!r}, gold matches {sample.target!r}",
    )


CASE_SENSITIVE = True  # the target is a pattern
EXAMPLE = Sample(
    "regex/example",
    (Message("user", ("Which grade is the tumour?",)), Message("assistant", ("Grade II",))),
    target="(?:grade )?(?:2|ii)",
)
