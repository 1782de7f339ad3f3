"""Training examples of a tagger: texts as tokens, their features, and the number of each token's tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from medxiaohe.entity.tagging import features as f
from medxiaohe.entity.tagging.gold import Document
from medxiaohe.entity.tagging.texts import Reading, Text

if TYPE_CHECKING:
    import numpy as np


class Lesson(NamedTuple):
    """Training examples: texts with codes, and the number of the gold tag of each token."""

    kinds: tuple[str, ...]
    tags: list[str]
    reading: Reading
    texts: list[Text]
    gold: np.ndarray  # (tokens of all texts,) int64


def lesson(documents: Sequence[Document], knows: tuple[Any, ...]) -> Lesson:
    """Convert annotated documents to training examples of the tagger.

    Args:
        documents: texts with gold spans.
        knows: what a Reading knows beside the names of the corpus: indexes, classes, uses, annotate.

    Returns:
        texts whose codes leave their own annotations out, with the tags of all tokens
    """
    import numpy as np

    kinds = tuple(sorted({span.kind for document in documents for span in document.spans}))
    tags, marked, gold = tags_of(kinds), [], list[int]()
    for document in documents:
        words, starts, ends, _ = f.tokens(document.text)
        spans = token_spans(starts, ends, document)
        marked.append((document.id, words, spans))
        gold += numbers_of(len(words), spans, tags)
    indexes, *others = knows
    reading = Reading(indexes, f.CorpusNames.of(marked), *others)
    texts = reading.texts([item.text for item in documents], training_ids=[item.id for item in documents])
    return Lesson(kinds, tags, reading, texts, np.array(gold, np.int64))


def tags_of(kinds: Sequence[str]) -> list[str]:
    """Tags of the scheme BIES: begin, inside, end and single for every kind, and O for outside.

    Returns:
        "O" first, then "B kind", "I kind", "E kind", "S kind" in the order of the kinds
    """
    return ["O", *(f"{position} {kind}" for kind in kinds for position in "BIES")]


def token_spans(starts: list[int], ends: list[int], document: Document) -> list[tuple[int, int, str]]:
    """Align gold spans with tokens: each grows to whole tokens; of two that overlap the first stays.

    Args:
        starts: of the tokens, in code points.
        ends: of the tokens.
        document: with spans in code points.

    Returns:
        (first token, last token + 1, kind) in order
    """
    from bisect import bisect_left, bisect_right

    result, free = list[tuple[int, int, str]](), 0
    for span in sorted(document.spans, key=lambda span: (span.start, -span.end)):
        first, last = bisect_right(starts, span.start) - 1, bisect_left(ends, span.end)
        if first >= free and first <= last < len(ends):
            result.append((first, last + 1, span.kind))
            free = last + 1
    return result


def numbers_of(length: int, spans: Sequence[tuple[int, int, str]], tags: list[str]) -> list[int]:
    """Number of the tag of every token.

    Args:
        length: number of tokens.
        spans: (first token, last token + 1, kind), without overlap.
        tags: from `tags_of`.

    Returns:
        `length` indices into `tags`; 0 (O) outside spans
    """
    numbers = {tag: number for number, tag in enumerate(tags)}
    result = [0] * length
    for first, end, kind in spans:
        for i in range(first, end):
            position = "S" if end - first == 1 else "B" if i == first else "E" if i == end - 1 else "I"
            result[i] = numbers[f"{position} {kind}"]
    return result
