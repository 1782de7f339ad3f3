"""Scorers, shapes of replies and weights that tests of rewards share."""

from hypothesis import settings
from hypothesis import strategies as st

from medxiaohe.rewards.hybrid import PARTS, Reward, Weights, answered, hybrid
from medxiaohe.scoring.choice import EXAMPLE as CHOICE
from medxiaohe.scoring.choice import choice
from medxiaohe.scoring.choices import EXAMPLE as CHOICES
from medxiaohe.scoring.choices import choices
from medxiaohe.scoring.code import EXAMPLE as CODE
from medxiaohe.scoring.code import code
from medxiaohe.scoring.dose import EXAMPLE as DOSE
from medxiaohe.scoring.dose import dose
from medxiaohe.scoring.numeric import EXAMPLE as NUMERIC
from medxiaohe.scoring.numeric import numeric
from medxiaohe.scoring.one_of import EXAMPLE as ONE_OF
from medxiaohe.scoring.one_of import one_of
from medxiaohe.scoring.regex import EXAMPLE as REGEX
from medxiaohe.scoring.regex import regex
from medxiaohe.scoring.string import EXAMPLE as STRING
from medxiaohe.scoring.string import string
from medxiaohe.scoring.yes_no import EXAMPLE as YES_NO
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.types import Sample, Score

QUICK = settings(max_examples=80, deadline=None)
RULES = [
    (CHOICE, choice),
    (CHOICES, choices),
    (YES_NO, yes_no),
    (ONE_OF, one_of),
    (NUMERIC, numeric),
    (STRING, string),
    (REGEX, regex),
]
RULES += [(CODE, code), (DOSE, dose)]
IDS = [scorer.__name__ for _, scorer in RULES]
SHAPES = st.sampled_from(
    [
        "{}",
        "<think>x</think>{}",
        "<think>{}</think><answer>{}</answer>",
        "</think>{}<think>",
        "{}" + " word" * 900,
    ]
)
WEIGHTS = st.builds(
    Weights,
    shaping=st.floats(0, 0.499),
    **{name: st.floats(0, 9) for name in PARTS},
    target_words=st.integers(1, 500),
)


def says(value: float | None, name: str = "choice") -> object:
    """A scorer that always says this value."""
    status = "unjudged" if value is None else "judged"
    return lambda sample, trace: Score(name, value, status, why="said so")


def rewarded(sample: Sample, reply: str, scorer: object, **options: object) -> Reward:
    return hybrid(sample, answered(sample, reply), [(scorer, 1.0)], **options)  # type: ignore[list-item, arg-type]
