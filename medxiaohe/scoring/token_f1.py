"""Shared words, as open VQA benchmarks publish it: a measure of wording, not of medicine.

Precision, recall and F1 over the words of answer and gold, counted as often as both have them, without
articles and punctuation (Rajpurkar et al. 2016, aclanthology.org/D16-1264, evaluation script v1.1); both are
read alike, in NFKC and without "this is" and "the answer is" in front. "No pneumonia" gets 0.67 for
"pneumonia": read it beside `entity`, never instead of it. The best of several golds (one a line of the
target) counts.
"""

import re
import string
from collections import Counter

from medxiaohe.scoring._text import committed, golds, missing, short
from medxiaohe.types import Message, Sample, Score, Trace

PUNCTUATION = str.maketrans("", "", string.punctuation)
CJK = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")


def token_f1(sample: Sample, trace: Trace) -> Score:
    """F1 over the words of answer and gold, as SQuAD v1.1 computes it.

    Args:
        sample: its target is one accepted answer a line; the best counts.
        trace: its answer is scored.

    Returns:
        from 0 to 1; `unparsed` or `refused` without an answer
    """
    return _score("token_f1", sample, trace, 2)


def precision(sample: Sample, trace: Trace) -> Score:
    """Precision: share of the answer's words that are in the gold.

    Args:
        sample: its target is one accepted answer a line; the best counts.
        trace: its answer is scored.

    Returns:
        From 0 to 1; `unparsed` or `refused` without an answer
    """
    return _score("token_f1.precision", sample, trace, 0)


def recall(sample: Sample, trace: Trace) -> Score:
    """Recall: share of the gold's words that are in the answer.

    Args:
        sample: its target is one accepted answer a line; the best counts.
        trace: its answer is scored.

    Returns:
        From 0 to 1; `unparsed` or `refused` without an answer
    """
    return _score("token_f1.recall", sample, trace, 1)


def _score(name: str, sample: Sample, trace: Trace, which: int) -> Score:
    accepted = golds(sample)
    parsed = short(trace.answer, accepted)
    if not words(parsed):
        return missing(name, trace)
    value, gold = max((overlap(parsed, committed(gold) or gold)[which], gold) for gold in accepted)
    return Score(name, value, parsed=parsed, why=f"shares words with {gold!r}")


def overlap(answer: str, gold: str) -> tuple[float, float, float]:
    """Compute precision, recall and F1 of the words of two texts.

    Args:
        answer: text of the reply.
        gold: the reference.

    Returns:
        three numbers from 0 to 1
    """
    # bags of words: a word counts as often as both texts have it
    a, b = Counter(words(answer)), Counter(words(gold))
    common = (a & b).total()
    if not common:
        return 0.0, 0.0, 0.0
    p, r = common / a.total(), common / b.total()
    return p, r, 2 * p * r / (p + r)


def words(text: str) -> list[str]:
    """Tokenise as the SQuAD v1.1 script does: lower case, without punctuation and articles.

    Args:
        text: an answer.

    Returns:
        Words in order; a Chinese or Japanese character is one word.
    """
    bare = CJK.sub(r" \1 ", text.lower().translate(PUNCTUATION))
    return [word for word in bare.split() if word not in ("a", "an", "the")]


EXAMPLE = Sample(
    "token_f1/example",
    (
        Message("user", ("What is seen in the left lung?",)),
        Message("assistant", ("A small pleural effusion",)),
    ),
    target="small pleural effusion",
)
