"""Word overlap: ROUGE (Lin 2004) and BLEU (Papineni 2002), as the packages rouge-score and sacrebleu compute
them.

They measure lexical overlap, not whether a statement is true: "no effusion" and "effusion" differ by one
word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

WORD = re.compile(r"[a-z0-9]+")
MAX_N = 4  # longest n-gram of BLEU, in tokens
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def words(text: str) -> list[str]:
    """Tokenise as rouge-score does without stemming: runs of a-z and 0-9 in lower case.

    Args:
        text: any text.

    Returns:
        Tokens in order; each Chinese or Japanese character is one, too.
    """
    return WORD.findall(CJK.sub(lambda c: f" u{ord(c[0]):x} ", text.lower()))


def rouge_n(candidate: str, reference: str, n: int) -> float:
    """ROUGE-N F1: common n-grams of words, counted with multiplicity (Lin 2004).

    Args:
        candidate: the reply.
        reference: the gold text.
        n: length of an n-gram in words.

    Returns:
        From 0 to 1; 0 without a common n-gram.
    """
    a, b = _runs(words(candidate), n), _runs(words(reference), n)
    return _f1((a & b).total(), a.total(), b.total())


def rouge_l(candidate: str, reference: str) -> float:
    """ROUGE-L F1: longest common subsequence of words (Lin 2004).

    Args:
        candidate: the reply.
        reference: the gold text.

    Returns:
        From 0 to 1; 0 without a common word.
    """
    a, b = words(candidate), words(reference)
    return _f1(_common(a, b), len(a), len(b))


def bleu(candidate: str, reference: str) -> float:
    """Sentence BLEU of one reference (Papineni 2002): sacrebleu's sentence_bleu / 100 with 13a tokens,
    exponential smoothing and effective order.

    Args:
        candidate: the reply.
        reference: the gold text.

    Returns:
        From 0 to 1; 0 without a common word.
    """
    a, b = _tokens_13a(candidate), _tokens_13a(reference)
    logs, invented = [], 1.0
    for n in range(1, MAX_N + 1):
        # modified precision p_n: n-grams of the candidate, clipped to their count in the reference
        mine, theirs = _runs(a, n), _runs(b, n)
        if not mine:
            break  # effective order
        right = (mine & theirs).total()
        if n == 1 and not right:
            return 0.0
        if not right:
            invented *= 2  # exponential smoothing: the k-th zero counts as 1 / 2**k matches
        logs.append(math.log(right / mine.total() if right else 1 / (invented * mine.total())))
    if not logs:
        return 0.0
    # BLEU = BP * exp(mean_n log p_n), with brevity penalty BP = exp(1 - r / c) for a short candidate
    brevity = 1.0 if len(a) >= len(b) else math.exp(1 - len(b) / len(a))
    return brevity * math.exp(math.fsum(logs) / len(logs))


def _tokens_13a(text: str) -> list[str]:
    """The tokens of mteval-v13a."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in text:
        for entity, plain in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
            text = text.replace(entity, plain)
    text = f" {text} "
    text = re.sub(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])", r" \1 ", text)
    text = re.sub(r"([^0-9])([\.,])", r"\1 \2 ", text)
    text = re.sub(r"([\.,])([^0-9])", r" \1 \2", text)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", text).split()


def _runs(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table in one integer (Hyyro 2004, "Bit-parallel
    LCS-length computation revisited"): a bit is 0 where the row of the table goes up."""
    # match masks: bit i of positions[token] is set where a[i] is the token
    positions: dict[str, int] = {}
    for i, token_a in enumerate(a):
        positions[token_a] = positions.get(token_a, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full
    for token_b in b:
        hits = row & positions.get(token_b, 0)
        row = ((row + hits) | (row - hits)) & full  # V' = (V + (V & M)) | (V - (V & M)), Hyyro's recurrence
    return len(a) - row.bit_count()  # each 0 bit is one step up, so their number is the length


def _f1(common: int, mine: int, theirs: int) -> float:
    return 2 * common / (mine + theirs) if common else 0.0
