"""Error analysis of answers behind a search: the labels of Med-RwR (arXiv 2510.18303), read from traces.

    retrieval      no passage states the right answer, and a query named it, or there is no image that could
                   have been misread
    integration    one passage states the right answer, and the answer is another
    perception     the item has an image, and no query names anything of the right answer: it searched for
                   something that the image does not show
    no answer      the reply has no answer that can be read
    not labelled   the right answer is yes, no or a number, which no passage states by its words

These are rules over words, not the judgement of a reader: a passage that states the right answer in other
words counts as one that does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from medxiaohe.evidence.answer_words import gold_words, words_of
from medxiaohe.types import Sample, Score, Trace

LABELS = ("retrieval", "integration", "perception", "no answer", "not labelled")
RIGHT = 0.5  # score from which an answer counts as right


def labels(rows: Iterable[tuple[Sample, Trace, Score]]) -> dict[str, int]:
    """Count wrong answers behind a search by label.

    Args:
        rows: (item, trace, score of its first scorer).

    Returns:
        label -> number, for all of LABELS; {} without a wrong answer behind a search
    """
    counts = Counter(filter(None, (label(*row) for row in rows)))
    return {name: counts[name] for name in LABELS} if counts else {}


def label(sample: Sample, trace: Trace, score: Score) -> str:
    """Label a wrong answer behind a search.

    Args:
        sample: the item.
        trace: its trace; steps of kind "use" are searches.
        score: of the answer.

    Returns:
        one of LABELS; "" if it is right or unjudged, or nothing was searched
    """
    searched = [step for step in trace.steps if step.kind == "use"]
    if not searched or score.value is None or score.value >= RIGHT:
        return ""
    if score.status != "judged":
        return "no answer"
    gold = gold_words(sample)
    if not gold:
        return "not labelled"
    if any(gold <= words_of(passage.text) for passage in trace.evidence):
        return "integration"
    # words of all arguments of the searches
    queried = words_of(" ".join(_texts(step.given) for step in searched))
    if sample.images and not gold & queried:
        return "perception"
    return "retrieval"


def _texts(request: Any) -> str:
    arguments = request.get("arguments", {}) if isinstance(request, Mapping) else {}
    return " ".join(str(value) for value in arguments.values())
