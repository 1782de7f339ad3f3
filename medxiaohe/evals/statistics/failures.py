"""Why an answer behind a search is wrong: the labels of Med-RwR (arXiv 2510.18303), read off traces.

    retrieval      what was found does not say the right answer, and a query that looked for it was made, or
                   there is no image that could have been misread
    integration    what was found says the right answer in one passage, and the answer is another
    perception     the item has an image, and no query names anything of the right answer: it looked for
                   something that the image does not show
    no answer      the reply has no answer that can be read
    not labelled   the right answer is yes, no or a number, which no passage says or fails to say

These are rules over words, not the judgement of a reader: a passage that says the right answer in other words
counts as one that does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from medxiaohe.evidence.answer_words import gold_words, words_of
from medxiaohe.types import Sample, Score, Trace

LABELS = ("retrieval", "integration", "perception", "no answer", "not labelled")
RIGHT = 0.5  # a score of at least this is right


def labels(rows: Iterable[tuple[Sample, Trace, Score]]) -> dict[str, int]:
    """How many wrong answers behind a search there are of each label; {} where nothing was searched."""
    found = Counter(filter(None, (label(*row) for row in rows)))
    return {name: found[name] for name in LABELS} if found else {}


def label(sample: Sample, trace: Trace, score: Score) -> str:
    """The label of an item; "" where it is right, unjudged, or nothing was searched for."""
    searched = [step for step in trace.steps if step.kind == "use"]
    if not searched or score.value is None or score.value >= RIGHT:
        return ""
    if score.status != "judged":
        return "no answer"
    wanted = gold_words(sample)
    if not wanted:
        return "not labelled"
    if any(wanted <= words_of(one.text) for one in trace.evidence):
        return "integration"
    asked = words_of(" ".join(_texts(step.given) for step in searched))
    if sample.images and not wanted & asked:
        return "perception"
    return "retrieval"


def _texts(given: Any) -> str:
    arguments = given.get("arguments", {}) if isinstance(given, Mapping) else {}
    return " ".join(str(value) for value in arguments.values())
