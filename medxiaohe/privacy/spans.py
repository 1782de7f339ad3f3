"""Spans of identifiers in a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """A span text[start:end] of a kind: NAME, DATE, AGE, PHONE, EMAIL, URL, ADDRESS, PLACE, ID."""

    start: int
    end: int
    kind: str


def merged(spans: Iterable[Span], text: str) -> list[Span]:
    """Merge spans that overlap, or that are of one kind with at most two separators between (space, dot,
    comma, hyphen, apostrophe).

    Args:
        spans: in any order.
        text: that they are in.

    Returns:
        Spans in order, without overlaps; of overlapping ones the kind of the first stays.
    """
    out: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        last = out[-1] if out else None
        between = text[last.end : span.start] if last else ""
        near = (
            last is not None
            and last.kind == span.kind
            and span.start - last.end <= 2
            and not between.strip(" .,-'’")
        )
        if last is not None and (span.start < last.end or near):
            out[-1] = Span(last.start, max(last.end, span.end), last.kind)
        else:
            out.append(span)
    return out
