"""The gold answer word for word, after lower-casing and dropping articles and punctuation around words."""

import re

from medxiaohe.scoring._text import final, plain, refuses, verdict
from medxiaohe.types import Sample, Score, Trace


def exact(sample: Sample, trace: Trace) -> Score:
    return verdict("exact", parse(trace.answer), plain(sample.target), trace)


def parse(answer: str) -> str:
    """The answer as compared, or "" for an empty one or a refusal."""
    text = final(answer)
    return "" if refuses(text) else plain(re.sub(r"^\W*(?:the )?answer\s*(?:is|[:=])\s*", "", text, flags=re.IGNORECASE))
