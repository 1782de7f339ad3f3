"""The scorer for rows of one's own: which strict parser applies follows from what the row states.

`choices` and a letter as target: `choice`. `choices` and one of them as target: `one_of`. Target yes, no or
maybe: `yes_no`. Anything else: `exact`. Case and blanks of the target do not matter. The prompt never sees
any of this.
"""

from dataclasses import replace

from medxiaohe.scoring._text import plain
from medxiaohe.scoring.choice import EXAMPLE as CHOICE
from medxiaohe.scoring.choice import LETTERS, choice, letter_of
from medxiaohe.scoring.exact import exact
from medxiaohe.scoring.one_of import one_of
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.types import Sample, Score, Trace


def stated(sample: Sample, trace: Trace) -> Score:
    """Score with the parser that fits the row: choice, one_of, yes_no or exact.

    Args:
        sample: its choices and its target decide.
        trace: its answer is scored.

    Returns:
        the score of that parser
    """
    if sample.choices:
        named = plain(sample.target) in map(plain, sample.choices)
        lettered = letter_of(sample) in tuple(LETTERS[: len(sample.choices)]) and not named
        return (choice if lettered else one_of)(sample, trace)
    return (yes_no if plain(sample.target) in ("yes", "no", "maybe") else exact)(sample, trace)


EXAMPLE = replace(CHOICE, id="stated/example")
