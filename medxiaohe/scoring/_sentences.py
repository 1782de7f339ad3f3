"""The sentences of a reply or report as texts, and the short statements they are made of."""

import re
from bisect import bisect_right
from itertools import pairwise

from medxiaohe.entity.linking.sentences import sentence_ends

ITEM = re.compile(r"\s*(?:[-*•·–#]+|\(?\d{1,2}[.)]|\([a-z]\))\s+")
GLUED = re.compile(r"(?<=[a-z]{2})\.(?=[A-Z][a-z])")  # "apex.There are", as reports are written


def sentences(text: str) -> list[str]:
    """Split a text into sentences, without list markers; pieces without a letter are dropped.

    Args:
        text: a reply or report.

    Returns:
        Sentences in order, whitespace collapsed.
    """
    return [" ".join(text[start:end].split()) for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Locate the sentences of a text, without surrounding blanks and list markers; pieces without a letter
    are dropped.

    Args:
        text: a reply or report.

    Returns:
        (start, end) of each in code points of `text`, in order.
    """
    # a blank is inserted behind each glued full stop, so an offset moves by the number of those before it
    inserted = [match.end() + n for n, match in enumerate(GLUED.finditer(text))]
    spaced = GLUED.sub(". ", text)
    spans = []
    for start, end in pairwise([0, *sentence_ends(spaced)]):
        piece = spaced[start:end]
        first = start + len(piece) - len(piece.lstrip())
        last = start + len(piece.rstrip())
        if item := ITEM.match(f"{spaced[first:last]} "):
            first = min(last, first + item.end())
        if any(letter.isalpha() for letter in spaced[first:last]):
            # offsets in the original: minus the blanks inserted before them
            a, b = (n - bisect_right(inserted, n - 1) for n in (first, last))
            spans.append((a, b))
    return spans


def phrases(text: str) -> list[str]:
    """Split a text into distinct sentences: the units compared where no model splits it into claims.

    Args:
        text: a reply or report.

    Returns:
        Each sentence once, in order.
    """
    return list(dict.fromkeys(sentences(text)))
