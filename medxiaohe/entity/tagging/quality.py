"""Evaluate mentions and concepts: precision, recall and F1 over documents, with a bootstrap over documents.

strict    same start, same end, same kind
relaxed   same kind, and they overlap; precision counts predicted spans, recall gold ones
concept   the set of ids of a document and kind, once each, as BioCreative V CDR scores them (Wei et al. 2016)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from medxiaohe.entity.tagging.gold import Document, Span

RESAMPLES = 1000  # of the bootstrap


class Counts(NamedTuple):
    """Counts of one document: predicted spans that are right, predicted spans, gold spans that were
    predicted, gold spans.
    """

    right: int
    found: int
    covered: int
    marked: int


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1 over documents, with the bootstrap interval of F1 and the counts."""

    precision: float
    recall: float
    f1: float
    low: float  # 95 % of resamples of the documents have an F1 from low to high
    high: float
    marked: int
    found: int
    documents: int


def strict(marked: Iterable[Span], predicted: Iterable[Span], kind: str) -> Counts:
    """Count the spans of one document that agree in start, end and kind.

    Args:
        marked: gold spans.
        predicted: spans of the tagger.
        kind: that is counted; other spans are ignored.
    """
    a, b = ({(span.start, span.end) for span in spans if span.kind == kind} for spans in (marked, predicted))
    return Counts(len(a & b), len(b), len(a & b), len(a))


def relaxed(marked: Iterable[Span], predicted: Iterable[Span], kind: str) -> Counts:
    """Count the spans of one document that overlap a span of the same kind.

    Args:
        marked: gold spans.
        predicted: spans of the tagger.
        kind: that is counted; other spans are ignored.
    """
    a, b = ({(span.start, span.end) for span in spans if span.kind == kind} for spans in (marked, predicted))
    return Counts(_touching(b, a), len(b), _touching(a, b), len(a))


def _touching(ones: Iterable[tuple[int, int]], others: Iterable[tuple[int, int]]) -> int:
    """Number of `ones` that overlap any of `others`."""
    others = list(others)
    return sum(any(start < end2 and start2 < end for start2, end2 in others) for start, end in ones)


def concepts(marked: Iterable[Span], predicted: Iterable[Span], kind: str) -> Counts:
    """Count the distinct concept ids of one document that agree.

    Args:
        marked: gold spans.
        predicted: spans with ids.
        kind: that is counted; other spans are ignored.
    """
    a, b = ({id for span in spans if span.kind == kind for id in span.ids} for spans in (marked, predicted))
    return Counts(len(a & b), len(b), len(a & b), len(a))


WAYS: dict[str, Callable[[Iterable[Span], Iterable[Span], str], Counts]] = {
    "strict": strict,
    "relaxed": relaxed,
    "concept": concepts,
}


def score(
    documents: Sequence[Document], predicted: Sequence[Sequence[Span]], kind: str, way: str, *, seed: int = 0
) -> Score:
    """Precision, recall and F1 over documents (micro average), with a bootstrap interval.

    Args:
        documents: with gold spans.
        predicted: for each document the predicted spans.
        kind: that is scored.
        way: "strict", "relaxed" or "concept".
        seed: of the bootstrap, which resamples documents RESAMPLES times.

    Returns:
        scores in [0, 1], with the 95 % percentile interval of F1

    Raises:
        ValueError: `predicted` has another length than `documents`.
        KeyError: there is no such way.
    """
    rows = [
        WAYS[way](document.spans, spans, kind) for document, spans in zip(documents, predicted, strict=True)
    ]
    precision, recall, f1 = ratios(rows)
    # percentile bootstrap (Efron 1979) over documents, whose mentions are not independent of each other
    rng = random.Random(seed)
    drawn = sorted(ratios(rng.choices(rows, k=len(rows)))[2] for _ in range(RESAMPLES)) if rows else [0.0]
    low, high = drawn[int(0.025 * len(drawn))], drawn[min(len(drawn) - 1, int(0.975 * len(drawn)))]
    return Score(
        precision,
        recall,
        f1,
        low,
        high,
        sum(row.marked for row in rows),
        sum(row.found for row in rows),
        len(rows),
    )


def ratios(rows: Iterable[Counts]) -> tuple[float, float, float]:
    """Precision, recall and F1 of summed counts.

    Returns:
        (precision, recall, F1) in [0, 1]; 0 where a denominator is 0
    """
    num_right = num_found = num_covered = num_marked = 0
    for row in rows:
        num_right, num_found, num_covered, num_marked = (
            num_right + row.right,
            num_found + row.found,
            num_covered + row.covered,
            num_marked + row.marked,
        )
    precision, recall = (
        num_right / num_found if num_found else 0.0,
        num_covered / num_marked if num_marked else 0.0,
    )
    # F1 is the harmonic mean of precision and recall
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0
