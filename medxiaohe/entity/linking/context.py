"""What a text says about a finding besides naming it: is it there, is it certain, whose is it, and when.

    contexts("No pneumothorax. Mother had breast cancer.", [(3, 15), (28, 41)])
        -> negated; experiencer "family"

Rules of the family of NegEx (Chapman et al., A simple algorithm for identifying negated findings and diseases
in discharge summaries, 2001) and ConText (Harkema et al. 2009): a trigger reaches from where it stands to the
end of its clause or sentence, unless a word that ends scopes comes before; words that only look like triggers
are taken out first, the longest match counts. The triggers, English and Chinese, are in context_triggers.tsv;
nothing here knows a word of its own but the verbs of a clause.

Beyond the two: the heading a line stands under; a list goes on after a comma but a new statement ("No
effusion, heart size is normal") does not; a family member who only speaks ("mother reports fever") is not the
one who has it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from medxiaohe.entity.linking.link import TOKEN, plain
from medxiaohe.entity.linking.sentences import sentence_ends, sentence_of

FILE = Path(__file__).with_name("context_triggers.tsv")
AXES = ("negated", "uncertain", "historical", "hypothetical", "family", "other")
HEADING = re.compile(r"[^\W_][^:：\n.;。，,]{0,45}[:：]")
CAPITALS = re.compile(r"^[ \t]*([A-Z][A-Z/&,\- ]{1,45}[A-Z])[ \t]*$", re.MULTILINE)
# A part of a list has no verb of its own; "X and Y are not seen" and "no X is seen" have, but say nothing new
# with it.
VERBS = frozenset(
    "is are was were has have had shows show remains remain appears appear measures reports noted developed"
    " will".split()
)
SEEN = frozenset(
    """seen noted identified present evident appreciated demonstrated detected visualized visualised observed
    found apparent
    not absent ruled excluded unlikely possible suspected likely negative been be denied reported
    considered""".split()
)
PARTS = frozenset(", and with but".split())
NEAR = 3  # words between "in" and "his mother"


@dataclass(frozen=True, slots=True)
class Context:
    negated: bool = False
    uncertain: bool = False
    experiencer: str = "patient"  # patient, family, other
    temporality: str = "current"  # current, historical, hypothetical
    because: tuple[str, ...] = ()  # the triggers and headings that say so, as written


PLAIN = Context()
Words = list[tuple[str, int, int]]  # in lower case, and where
Section = tuple[int, int, str, str]  # start, end, axis, heading


class Effect(NamedTuple):
    axes: tuple[str, ...]  # of AXES, or one of nothing, stop, person, reporting, bystander
    direction: str  # before, after, none
    scope: str  # clause, sentence, or a number of words


class Hit(NamedTuple):
    first: int  # words[first:last] are the trigger
    last: int
    effects: tuple[Effect, ...]


class Triggers(NamedTuple):
    # first word -> lengths of the triggers that begin with it, longest first
    starting: dict[str, tuple[int, ...]]
    effects: dict[tuple[str, ...], tuple[Effect, ...]]
    # words of which every trigger that says something has one: without any, a sentence says nothing
    telling: frozenset[str]
    headings: dict[str, str]  # heading -> axis or "nothing"


def contexts(text: str, spans: Sequence[tuple[int, int]]) -> list[Context]:
    """The context of every span text[start:end], in the order given. Spans are findings: a trigger inside of
    one is none."""
    if not spans:
        return []
    ends, below = sentence_ends(text), sections(text)
    grouped: dict[tuple[int, int], list[int]] = {}
    for number, (start, end) in enumerate(spans):
        begin, stop = sentence_of(ends, start)
        grouped.setdefault((begin, max(stop, end)), []).append(number)
    found = [PLAIN] * len(spans)
    for (begin, stop), numbers in grouped.items():
        if below or says_something(text[begin:stop]):
            here = [spans[number] for number in numbers]
            for number, context in zip(
                numbers, in_sentence(text, words_of(text, begin, stop), here, below), strict=True
            ):
                found[number] = context
    return found


def says_something(sentence: str) -> bool:
    """Whether a sentence has any word that a trigger needs; most have none."""
    return not triggers().telling.isdisjoint(TOKEN.findall(plain(sentence).lower()))


def words_of(text: str, begin: int, end: int) -> Words:
    return [
        (mark.group(), begin + mark.start(), begin + mark.end())
        for mark in TOKEN.finditer(plain(text[begin:end]).lower())
    ]


def in_sentence(
    text: str, words: Words, spans: Sequence[tuple[int, int]], below: Sequence[Section] = ()
) -> list[Context]:
    """The same for the spans of one sentence; `below` is what `sections` says of the text."""
    hits = _hits(words, spans)
    reaches = [reach for hit in hits for reach in _reaches(words, hits, hit)]
    return [_context(text, words, span, reaches, below) for span in spans]


@functools.cache
def triggers() -> Triggers:
    found: dict[tuple[str, ...], list[Effect]] = {}
    headings = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or line.startswith("trigger\t"):
            continue
        trigger, meaning, direction, scope = line.split("\t")
        if direction == "heading":
            headings[trigger] = meaning
        else:
            words = tuple(TOKEN.findall(plain(trigger)))
            found.setdefault(words, []).append(Effect(tuple(meaning.split(",")), direction, scope))
    lengths: dict[str, set[int]] = {}
    for words in found:
        lengths.setdefault(words[0], set()).add(len(words))
    starting = {word: tuple(sorted(there, reverse=True)) for word, there in lengths.items()}
    saying = [
        words
        for words, effects in found.items()
        if any(axis in AXES for effect in effects for axis in effect.axes)
    ]
    alone = {words[0] for words in saying if len(words) == 1}
    telling = frozenset(
        alone | {max(reversed(words), key=len) for words in saying if alone.isdisjoint(words)}
    )
    return Triggers(starting, {words: tuple(effects) for words, effects in found.items()}, telling, headings)


def sections(text: str) -> list[Section]:
    """Start, end, axis and heading of the parts that stand below a heading with a meaning.

    A heading is a line in capitals, or ends at a colon and begins a line or, if it is a known one, a
    sentence; the next heading ends its part.
    """
    known, marks = triggers().headings, []
    at = -1
    while (at := _next_colon(text, at + 1)) >= 0:
        line = text.rfind("\n", max(0, at - 50), at) + 1 or (0 if at < 50 else -1)
        start = max(max(text.rfind(stop, max(0, at - 50), at) for stop in ".;。；，") + 1, line)
        heading = text[start:at].strip(" \t-•*#") if start >= 0 else ""
        meaning = known.get(heading.lower())
        if meaning or (
            start == line
            and heading[:1].isupper()
            and HEADING.fullmatch(f"{heading}:")
            and len(heading.split()) <= 5
        ):
            marks.append((start, meaning or "nothing", heading))
    if "\n" in text:
        marks += [
            (mark.start(), known.get(mark[1].lower(), "nothing"), mark[1]) for mark in CAPITALS.finditer(text)
        ]
        marks.sort()
    ends = [*(start for start, _, _ in marks), len(text)][1:]
    return [
        (start, end, meaning, heading)
        for (start, meaning, heading), end in zip(marks, ends, strict=True)
        if meaning != "nothing"
    ]


def _next_colon(text: str, at: int) -> int:
    found = [place for place in (text.find(":", at), text.find("：", at)) if place >= 0]
    return min(found, default=-1)


def _hits(words: Words, spans: Sequence[tuple[int, int]]) -> list[Hit]:
    """The triggers of a sentence, from left to right, the longest of each start, none in a span."""
    starting, effects_of, *_ = triggers()
    low = [word for word, _, _ in words]
    hits, free = list[Hit](), 0
    for i, word in enumerate(low):
        if i < free or word not in starting:
            continue
        for length in starting[word]:
            effects = effects_of.get(tuple(low[i : i + length]))
            if (
                effects
                and i + length <= len(low)
                and not any(words[i][1] < b and a < words[i + length - 1][2] for a, b in spans)
            ):
                hits.append(Hit(i, i + length, effects))
                free = i + length
                break
    return hits


def _reaches(words: Words, hits: Sequence[Hit], hit: Hit) -> list[tuple[int, int, str, tuple[int, int]]]:
    """(from, to, axis, letters of the trigger): which words a trigger speaks of."""
    found = []
    where = (words[hit.first][1], words[hit.last - 1][2])
    for effect in hit.effects:
        axes = [axis for axis in effect.axes if axis in AXES]
        if not axes or ("family" in axes and _tells_nothing(words, hits, hit)):
            continue
        stops = _stops(hits, personal="family" in axes or "other" in axes)
        if effect.direction == "before":
            reach = (hit.last, _forward(words, hit.last, stops, effect.scope))
        else:
            reach = (_backward(words, hit.first, stops, effect.scope), hit.first)
        found += [(*reach, axis, where) for axis in axes]
        others = [axis for axis in axes if axis in ("family", "other")]
        if others and any(
            word in ("in", "of", "among") for word, _, _ in words[max(0, hit.first - NEAR) : hit.first]
        ):
            found += [
                (_backward(words, hit.first, stops, "clause"), hit.first, axis, where) for axis in others
            ]
    return found


def _tells_nothing(words: Words, hits: Sequence[Hit], hit: Hit) -> bool:
    """mother reports, lives with her mother."""
    by_first = {other.first: other for other in hits}
    after = by_first.get(hit.last)
    before = [other for other in hits if other.last <= hit.first <= other.last + 1]
    return bool((after and _is(after, "reporting")) or any(_is(other, "bystander") for other in before))


def _is(hit: Hit, meaning: str) -> bool:
    return any(meaning in effect.axes for effect in hit.effects)


def _stops(hits: Sequence[Hit], *, personal: bool) -> list[tuple[int, int]]:
    return [(hit.first, hit.last) for hit in hits if _is(hit, "stop") or (personal and _is(hit, "person"))]


def _forward(words: Words, first: int, stops: Sequence[tuple[int, int]], scope: str) -> int:
    limit = min((start for start, _ in stops if start >= first), default=len(words))
    if scope.isdigit():
        return min(limit, first + int(scope))
    for i in range(first, limit if scope == "clause" else first):
        word = words[i][0]
        if word in ("，", "：", ":") and i > first:
            return i
        if word in PARTS and i > first and _is_statement(words, i + 1):
            return i
    return limit


def _backward(words: Words, last: int, stops: Sequence[tuple[int, int]], scope: str) -> int:
    limit = max((end for _, end in stops if end <= last), default=0)
    if scope.isdigit():
        return max(limit, last - int(scope))
    for i in range(last - 1, limit - 1, -1):
        word = words[i][0]
        if (word in ("，", "：", ":") and i < last - 1) or (
            word in PARTS and _is_statement(words, _part_begin(words, i, limit), i)
        ):
            return i + 1
    return limit


def _part_begin(words: Words, end: int, limit: int) -> int:
    i = end
    while i > limit and words[i - 1][0] not in PARTS:
        i -= 1
    return i


def _is_statement(words: Words, first: int, last: int | None = None) -> bool:
    """Whether the part of a list that begins here has a verb that says something new."""
    i, stop = first, len(words) if last is None else last
    while i < stop and (last is not None or words[i][0] not in PARTS):
        if words[i][0] in VERBS and not (i + 1 < len(words) and words[i + 1][0] in SEEN):
            return True
        i += 1
    return False


def _context(
    text: str,
    words: Words,
    span: tuple[int, int],
    reaches: Sequence[tuple[int, int, str, tuple[int, int]]],
    below: Sequence[Section],
) -> Context:
    start, end = span
    said: dict[str, tuple[int, str]] = {}
    for first, last, axis, (a, b) in reaches:
        if (
            first < last
            and start < words[last - 1][2]
            and words[first][1] < end
            and not (a < end and start < b)
        ):
            said.setdefault(axis, (a, text[a:b]))
    for begin, stop, axis, heading in below:
        if begin <= start < stop and axis not in said:
            said[axis] = (begin, f"{heading}:")
    if not said:
        return PLAIN
    return Context(
        "negated" in said,
        "uncertain" in said,
        next((axis for axis in ("family", "other") if axis in said), "patient"),
        next((axis for axis in ("hypothetical", "historical") if axis in said), "current"),
        tuple(dict.fromkeys(words for _, words in sorted(said.values()))),
    )
