"""What is put right after tagging: brackets in pairs, the short form of a tagged long form, the same words in
the whole text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from medxiaohe.entity.linking.abbreviations import definitions
from medxiaohe.entity.tagging.features import tokens

SURE = 0.5  # score of the best of its mentions from which on a surface is looked for in the whole text
SHARE = 0.3  # of its places that must be tagged already


class Tagged(NamedTuple):
    start: int
    end: int
    kind: str
    score: float  # the least marginal of its tokens; half of that where only the rules found it


def put_right(text: str, spans: Sequence[Tagged]) -> list[Tagged]:
    return consistent(text, with_short_forms(text, in_pairs(text, spans)))


def in_pairs(text: str, spans: Sequence[Tagged]) -> list[Tagged]:
    """A span with one half of a pair of brackets takes in the other half when it is next to it, or lets go of
    its own."""
    found = []
    for span in spans:
        start, end = span.start, span.end
        for left, right in ("()", "[]"):
            inside = text[start:end]
            if inside.count(left) > inside.count(right):
                if text[end : end + 1] == right:
                    end += 1
                elif inside.startswith(left):
                    start += 1
                else:
                    end = start + len(inside[: inside.rfind(left)].rstrip())
            elif inside.count(right) > inside.count(left):
                if start and text[start - 1] == left:
                    start -= 1
                elif inside.endswith(right):
                    end -= 1
        if start < end:
            found.append(span._replace(start=start, end=end))
    return found


def with_short_forms(text: str, spans: Sequence[Tagged]) -> list[Tagged]:
    """Where a text defines a short form of a tagged span, the short form is tagged too."""
    found = list(spans)
    for one in definitions(text):
        long = next(
            (span for span in spans if (span.start, span.end) == (one.long_start, one.long_end)), None
        ) or next((span for span in spans if span.end == one.long_end and span.start <= one.long_start), None)
        if long and not any(span.start < one.short_end and one.short_start < span.end for span in found):
            found.append(long._replace(start=one.short_start, end=one.short_end))
    return sorted(found)


def consistent(text: str, spans: Sequence[Tagged]) -> list[Tagged]:
    """A surface that is tagged surely and often in a text is tagged everywhere in it; longer surfaces
    first."""
    words, starts, ends, _ = tokens(text)
    words = [word if word.isupper() else word.lower() for word in words]
    first, last = {start: i for i, start in enumerate(starts)}, {end: i for i, end in enumerate(ends)}
    taken, by_surface = set[int](), defaultdict[tuple[str, ...], list[Tagged]](list)
    for span in spans:
        if span.start in first and span.end in last:
            place = range(first[span.start], last[span.end] + 1)
            taken.update(place)
            by_surface[tuple(words[i] for i in place)].append(span)
    found = list(spans)
    for surface, said in sorted(by_surface.items(), key=lambda item: -len(item[0])):
        if len("".join(surface)) < 2 or max(span.score for span in said) < SURE:
            continue
        n = len(surface)
        free = [
            i
            for i in range(len(words) - n + 1)
            if tuple(words[i : i + n]) == surface and taken.isdisjoint(range(i, i + n))
        ]
        if len(said) >= SHARE * (len(said) + len(free)):
            for i in free:
                if taken.isdisjoint(range(i, i + n)):
                    found.append(Tagged(starts[i], ends[i + n - 1], said[0].kind, said[0].score / 2))
                    taken.update(range(i, i + n))
    return sorted(found)
