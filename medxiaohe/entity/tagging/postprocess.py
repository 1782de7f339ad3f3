"""Postprocess predicted spans: balance brackets, tag the short form of a tagged long form, tag equal words
alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from medxiaohe.entity.linking.abbreviations import definitions
from medxiaohe.entity.tagging.features import tokens

SURE = 0.5  # score in [0, 1] that the best mention of a surface needs before its other occurrences are tagged
SHARE = 0.3  # of the occurrences of a surface that must be tagged already


class Tagged(NamedTuple):
    """A predicted mention, in code points of the text."""

    start: int
    end: int
    kind: str
    score: float  # the least marginal of its tokens; half of it for spans that rules added


def put_right(text: str, spans: Sequence[Tagged]) -> list[Tagged]:
    """Postprocess the spans of a text: brackets, short forms, then the same words elsewhere.

    Args:
        text: that was tagged.
        spans: in order.

    Returns:
        spans in order of start
    """
    return consistent(text, with_short_forms(text, in_pairs(text, spans)))


def in_pairs(text: str, spans: Sequence[Tagged]) -> list[Tagged]:
    """Balance brackets: a span with one bracket of a pair grows by the other when it is adjacent, or else
    shrinks.

    Args:
        text: that was tagged.
        spans: in code points of the text.

    Returns:
        the corrected spans, without those that became empty
    """
    result = []
    for span in spans:
        start, end = span.start, span.end
        for opening, closing in ("()", "[]"):
            inside = text[start:end]
            if inside.count(opening) > inside.count(closing):
                if text[end : end + 1] == closing:
                    end += 1
                elif inside.startswith(opening):
                    start += 1
                else:
                    end = start + len(inside[: inside.rfind(opening)].rstrip())
            elif inside.count(closing) > inside.count(opening):
                if start and text[start - 1] == opening:
                    start -= 1
                elif inside.endswith(closing):
                    end -= 1
        if start < end:
            result.append(span._replace(start=start, end=end))
    return result


def with_short_forms(text: str, spans: Sequence[Tagged]) -> list[Tagged]:
    """Tag the short form of a tagged long form where the text defines it.

    Args:
        text: that was tagged.
        spans: in code points of the text.

    Returns:
        spans in order of start; a short form has the kind and score of its long form, and is not added where
        it overlaps a span
    """
    result = list(spans)
    for definition in definitions(text):
        long = next(
            (
                span
                for span in spans
                if (span.start, span.end) == (definition.long_start, definition.long_end)
            ),
            None,
        ) or next(
            (
                span
                for span in spans
                if span.end == definition.long_end and span.start <= definition.long_start
            ),
            None,
        )
        if long and not any(
            span.start < definition.short_end and definition.short_start < span.end for span in result
        ):
            result.append(long._replace(start=definition.short_start, end=definition.short_end))
    return sorted(result)


def consistent(text: str, spans: Sequence[Tagged]) -> list[Tagged]:
    """Tag a surface everywhere in a text that is tagged surely and often enough in it; longer surfaces first.

    Args:
        text: that was tagged.
        spans: in code points of the text.

    Returns:
        spans in order of start; an added span has half the score of the first with its surface
    """
    words, starts, ends, _ = tokens(text)
    words = [word if word.isupper() else word.lower() for word in words]
    first, last = {start: i for i, start in enumerate(starts)}, {end: i for i, end in enumerate(ends)}
    taken, by_surface = set[int](), defaultdict[tuple[str, ...], list[Tagged]](list)
    for span in spans:
        if span.start in first and span.end in last:
            positions = range(first[span.start], last[span.end] + 1)
            taken.update(positions)
            by_surface[tuple(words[i] for i in positions)].append(span)
    result = list(spans)
    for surface, occurrences in sorted(by_surface.items(), key=lambda item: -len(item[0])):
        if len("".join(surface)) < 2 or max(span.score for span in occurrences) < SURE:
            continue
        n = len(surface)
        free = [
            i
            for i in range(len(words) - n + 1)
            if tuple(words[i : i + n]) == surface and taken.isdisjoint(range(i, i + n))
        ]
        if len(occurrences) >= SHARE * (len(occurrences) + len(free)):
            for i in free:
                if taken.isdisjoint(range(i, i + n)):
                    result.append(
                        Tagged(starts[i], ends[i + n - 1], occurrences[0].kind, occurrences[0].score / 2)
                    )
                    taken.update(range(i, i + n))
    return sorted(result)
