"""Negation, uncertainty, experiencer and temporality of findings in a text (NegEx, ConText).

    contexts("No pneumothorax. Mother had breast cancer.", [(3, 15), (28, 41)])
        -> negated; experiencer "family"

Rules of the family of NegEx (Chapman et al., A simple algorithm for identifying negated findings and diseases
in discharge summaries, 2001) and ConText (Harkema et al. 2009): the scope of a trigger ends with its clause
or sentence, or before a word that ends scopes; pseudo-triggers are removed first; the longest match counts.
The triggers, English and Chinese, are in context_triggers.tsv; only the verbs of a clause are in this file.

Rules beyond the two papers:

- the section heading above a line counts;
- the scope includes a list after a comma, but not a new statement ("No effusion, heart size is normal");
- a family member who only speaks ("mother reports fever") is not the experiencer;
- an answer behind a finding ("Fever: no. Cough: yes.", "fever (-)") applies to the finding before it, and so
  does a person or a question mark in brackets;
- a sign beside a finding (entity/linking/signs.py) overrides all triggers;
- a negative test, culture or margin negates no disease but the one it is named after;
- "for" begins the purpose of a treatment that is missing, which is not negated.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from medxiaohe.entity.linking.link import TOKEN, plain
from medxiaohe.entity.linking.sentences import sentence_ends, sentence_of
from medxiaohe.entity.linking.signs import MARKS as SIGNS
from medxiaohe.entity.linking.signs import sign

FILE = Path(__file__).with_name("context_triggers.tsv")
AXES = ("negated", "uncertain", "historical", "hypothetical", "family", "other")
HEADING = re.compile(r"[^\W_][^:：\n.;。，,]{0,45}[:：]")
CAPITALS = re.compile(r"^[ \t]*([A-Z][A-Z/&,\- ]{1,45}[A-Z])[ \t]*$", re.MULTILINE)
# A part of a list has no verb of its own; "X and Y are not seen" and "no X is seen" have, but say nothing new
# with it.
VERBS = frozenset(
    "is are was were has have had shows show remains remain appears appear measures reports noted developed"
    " will makes make persists persist argues argue improves worsens requires".split()
)
SEEN = frozenset(
    """seen noted identified present evident appreciated demonstrated detected visualized visualised observed
    found apparent
    not absent ruled excluded unlikely possible suspected likely negative been be denied reported
    considered""".split()
)
PARTS = frozenset(", and with but".split())
ENDS_STATEMENT = {"only", "known", "persists", "persist"}  # as the last word of a part: inflammation only
SIZES = frozenset("mm cm or to x mg ml".split())  # behind a number: it only describes the negated finding
# What is written right behind a finding as an answer, and where the answer ends.
ANSWER = re.compile(
    r"[\"'\]]?(?P<colon>[ \t]*[:：=]|[ \t]+[-–—]+(?=[ \t])|[ \t]*\?)?[ \t]*[(（\[]?[ \t]*"
    r"(?:(?P<no>no|none|nope|nil|neg|negative|denies|denied|absent|never|not present|not noted|none noted"
    r"|[-–−]ve|(?:(?<=[(（\[:：])|(?<=[:：] ))[-–—−]|无|否|没有|阴性|未见|N(?![\w/]))"
    r"|(?P<yes>yes|pos|positive|present|endorses|endorsed|\+ve"
    r"|(?:(?<=[(（\[:：])|(?<=[:：] ))\+{1,3}|有|是|阳性|存在|Y(?![\w/])))"
    r"[ \t]*[)）\]]?[ \t]*(?=[.,;，。；、)）\n]|$|(?:and|but)\b)",
    re.IGNORECASE,
)
PLAIN_ANSWERS = frozenset("n y".split())  # as single letters only behind a colon or in brackets
PERSON = re.compile(r"[ \t]*[(（][ \t]*([^()（）]{1,30}?)[ \t]*[)）]")
ASKED = re.compile(r"[ \t]?[(（]?[?？][)）]?")
PURPOSE = "for"  # begins what something is for
NUMBER_SIGN = "no"  # no. 3
TIME = frozenset(
    "the a an about over at past last several many few two three four five six seven eight ten".split()
)
MARKS = re.compile(r"[(（\[:：][ \t]*[-–—−+]|[?？]|\b(?:neg|pos|nil|yes|Y|N)\b|[-–−+]ve\b")
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
    letters: tuple[int, int] = (-1, -1)  # of the text, where they are not those of the words


class Triggers(NamedTuple):
    # first word -> lengths of the triggers that begin with it, longest first
    starting: dict[str, tuple[int, ...]]
    effects: dict[tuple[str, ...], tuple[Effect, ...]]
    # every trigger with an axis has one of these words: a sentence without any has no trigger
    telling: frozenset[str]
    headings: dict[str, str]  # heading -> axis or "nothing"
    evidence: frozenset[str]  # words before "for" that ask for a finding, not for a treatment
    history: frozenset[str]  # words for a history, which is the family's where a relative is named


def contexts(text: str, spans: Sequence[tuple[int, int]]) -> list[Context]:
    """Determine negation, uncertainty, experiencer and temporality of findings.

    Args:
        text: of a document.
        spans: (start, end) of the findings, in code points; a trigger inside one is ignored.

    Returns:
        one Context for each span, in the order given
    """
    if not spans:
        return []
    ends, below = sentence_ends(text), sections(text)
    # group the findings by sentence, so that each sentence is tokenised and searched for triggers once
    grouped: dict[tuple[int, int], list[int]] = {}
    for number, (start, end) in enumerate(spans):
        begin, stop = sentence_of(ends, start)
        grouped.setdefault((begin, max(stop, end)), []).append(number)
    result = [PLAIN] * len(spans)
    for (begin, stop), numbers in grouped.items():
        if below or says_something(text[begin:stop]):
            sentence_spans = [spans[number] for number in numbers]
            for number, context in zip(
                numbers, in_sentence(text, words_of(text, begin, stop), sentence_spans, below), strict=True
            ):
                result[number] = context
    return result


def says_something(sentence: str) -> bool:
    """Whether a sentence has any word or mark that a trigger needs; most have none.

    Returns:
        False when every span of the sentence has the context PLAIN, apart from sections
    """
    return bool(MARKS.search(sentence) or SIGNS.search(sentence)) or not triggers().telling.isdisjoint(
        TOKEN.findall(plain(sentence).lower())
    )


def words_of(text: str, begin: int, end: int) -> Words:
    """Tokens of text[begin:end] in lower case.

    Returns:
        (token, start, end), with offsets in the full text
    """
    return [
        (mark.group(), begin + mark.start(), begin + mark.end())
        for mark in TOKEN.finditer(plain(text[begin:end]).lower())
    ]


def in_sentence(
    text: str, words: Words, spans: Sequence[tuple[int, int]], below: Sequence[Section] = ()
) -> list[Context]:
    """Contexts of the findings of one sentence.

    Args:
        text: of the document.
        words: of the sentence, from `words_of`.
        spans: (start, end) of the findings in it.
        below: sections of the text, from `sections`.

    Returns:
        one Context for each span
    """
    hits = _without_tests(text, words, _hits(words, spans), spans)
    # an answer behind a finding replaces the triggers that overlap it
    answers = _answers(text, words, spans)
    hits = sorted(
        [
            hit
            for hit in hits
            if not any(hit.first < answer.last and answer.first < hit.last for answer in answers)
        ]
        + answers
    )
    reaches = [reach for hit in hits for reach in _reaches(words, hits, hit)]
    return [_with_sign(text, span, _context(text, words, span, reaches, below)) for span in spans]


def _with_sign(text: str, span: tuple[int, int], ctx: Context) -> Context:
    """Apply a sign beside the finding (+, -, ?), which overrides triggers elsewhere in the sentence."""
    if not (mark := sign(text, *span)):
        return ctx
    why = text[mark.start : mark.end]
    because = ctx.because if why in ctx.because or not mark.says else (*ctx.because, why)
    uncertain = ctx.uncertain or mark.says == "uncertain"
    return replace(ctx, negated=mark.says == "negated", uncertain=uncertain, because=because)


def _answers(text: str, words: Words, spans: Sequence[tuple[int, int]]) -> list[Hit]:
    """Answers right behind a finding, about it or the list that it ends: no, yes, (-), (mother), (?)."""
    result = list[Hit]()
    for start, end in spans:
        here = [i for i, word in enumerate(words) if word[1] >= end]
        begin = next((i for i, word in enumerate(words) if word[2] > start), 0)
        if not words:
            continue
        if (mark := ANSWER.match(text, end)) and not _is_letter_alone(mark):
            first = next((i for i in here if words[i][1] < mark.end()), len(words))
            last = next((i for i in here if words[i][1] >= mark.end()), len(words))
            scope = "clause" if mark["colon"] else str(first - begin)
            effects = [Effect(("stop",), "none", "")]
            if mark["no"]:
                effects.append(Effect(("negated",), "after", scope))
            result.append(Hit(first, last, tuple(effects), (mark.start(), mark.end())))
        elif mark := PERSON.match(text, end):
            inside = [i for i in here if mark.start(1) <= words[i][1] < mark.end(1)]
            axes = [axis for hit in _hits([words[i] for i in inside], []) for axis in _axes(hit)]
            if who := next((axis for axis in axes if axis in ("family", "other", "person")), ""):
                effects = [Effect(("stop", "person"), "none", "")]
                if who != "person":
                    effects.append(Effect((who,), "after", str(inside[0] - begin)))
                result.append(Hit(inside[0], inside[-1] + 1, tuple(effects), mark.span(1)))
        elif mark := ASKED.match(text, end):
            at = next((i for i in here if words[i][0] in "?？"), -1)
            if at >= 0:
                result.append(
                    Hit(at, at + 1, (Effect(("uncertain",), "after", str(at - begin)),), mark.span())
                )
    return result


def _is_letter_alone(mark: re.Match[str]) -> bool:
    """Whether an answer is a single letter that may belong to the name: hepatitis, influenza N."""
    answer = (mark["no"] or mark["yes"]).lower()
    return answer in PLAIN_ANSWERS and not mark["colon"] and mark.group()[-1:] not in ")）]"


def _axes(hit: Hit) -> list[str]:
    return [axis for effect in hit.effects for axis in effect.axes]


def _without_tests(
    text: str, words: Words, hits: Sequence[Hit], spans: Sequence[tuple[int, int]]
) -> list[Hit]:
    """Drop the trigger "negative" where it describes a test that names no finding: HER2-negative, negative
    margins.

    Behind the name of the test's own finding it stays: influenza test negative.
    """
    selected = list[Hit]()
    by_first, by_last = {hit.first: hit for hit in hits}, {hit.last: hit for hit in hits}
    for hit in hits:
        denies_behind = any(
            "negated" in effect.axes and effect.direction == "after" for effect in hit.effects
        )
        if [words[hit.last - 1][0]] == ["negative"] and denies_behind:
            after, before = by_first.get(hit.last), by_last.get(hit.first)
            if after and (_is(after, "test") or _is(after, "marker")):
                continue
            if before and _is(before, "marker"):
                continue
            if before and _is(before, "test"):
                name_end = text[: words[before.first][1]].rstrip()
                if any(end == len(name_end) for _, end in spans):
                    selected.append(hit)
                continue
        selected.append(hit)
    return selected


@functools.cache
def triggers() -> Triggers:
    """Read context_triggers.tsv, once for each process.

    Returns:
        triggers by their first word, with what they mean
    """
    effects_of: dict[tuple[str, ...], list[Effect]] = {}
    headings = {}
    words_of_kind: dict[str, set[str]] = {"evidence": set(), "history": set()}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or line.startswith("trigger\t"):
            continue
        trigger, meaning, direction, scope = line.split("\t")
        if direction == "heading":
            headings[trigger] = meaning
        elif meaning in words_of_kind:
            words_of_kind[meaning].add(trigger)
        else:
            words = tuple(TOKEN.findall(plain(trigger)))
            effects_of.setdefault(words, []).append(Effect(tuple(meaning.split(",")), direction, scope))
    lengths: dict[str, set[int]] = {}
    for words in effects_of:
        lengths.setdefault(words[0], set()).add(len(words))
    starting = {word: tuple(sorted(sizes, reverse=True)) for word, sizes in lengths.items()}
    # a set of words that every trigger with an axis contains: its only word, or one that is a trigger
    # already, or else its longest
    saying = [
        words
        for words, effects in effects_of.items()
        if any(axis in AXES for effect in effects for axis in effect.axes)
    ]
    alone = {words[0] for words in saying if len(words) == 1}
    telling = frozenset(
        alone | {max(reversed(words), key=len) for words in saying if alone.isdisjoint(words)}
    )
    rows = {words: tuple(effects) for words, effects in effects_of.items()}
    evidence, history = (frozenset(words_of_kind[kind]) for kind in ("evidence", "history"))
    return Triggers(starting, rows, telling, headings, evidence, history)


def sections(text: str) -> list[Section]:
    """Find the sections of a text whose heading has a meaning for the findings below it.

    A heading is a line in capitals, or ends at a colon and begins a line or, if it is a known one, a
    sentence; the next heading ends its section.

    Args:
        text: of a document.

    Returns:
        (start, end, axis, heading) in order; sections without a meaning are left out
    """
    meanings, marks = triggers().headings, []
    at = -1
    while (at := _next_colon(text, at + 1)) >= 0:
        line = text.rfind("\n", max(0, at - 50), at) + 1 or (0 if at < 50 else -1)
        start = max(max(text.rfind(stop, max(0, at - 50), at) for stop in ".;。；，") + 1, line)
        heading = text[start:at].strip(" \t-•*#") if start >= 0 else ""
        meaning = meanings.get(heading.lower())
        if meaning or (
            start == line
            and heading[:1].isupper()
            and HEADING.fullmatch(f"{heading}:")
            and len(heading.split()) <= 5
        ):
            marks.append((start, meaning or "nothing", heading))
    if "\n" in text:
        marks += [
            (mark.start(), meanings.get(mark[1].lower(), "nothing"), mark[1])
            for mark in CAPITALS.finditer(text)
        ]
        marks.sort()
    ends = [*(start for start, _, _ in marks), len(text)][1:]
    return [
        (start, end, meaning, heading)
        for (start, meaning, heading), end in zip(marks, ends, strict=True)
        if meaning != "nothing"
    ]


def _next_colon(text: str, at: int) -> int:
    positions = [position for position in (text.find(":", at), text.find("：", at)) if position >= 0]
    return min(positions, default=-1)


def _hits(words: Words, spans: Sequence[tuple[int, int]]) -> list[Hit]:
    """Match the triggers of a sentence from left to right, the longest at each token, outside the spans."""
    table = triggers()
    starting, effects_of = table.starting, table.effects
    low = [word for word, _, _ in words]
    hits, free = list[Hit](), 0
    for i, word in enumerate(low):
        if i < free or word not in starting:
            continue
        for length in starting[word]:
            effects = effects_of.get(tuple(low[i : i + length]))
            if effects and _is_part_of_more(low, i, length, table):
                continue
            if length == 1 and word == NUMBER_SIGN and _is_number(low[i + 1 : i + 3]):
                continue
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
    """Scopes of a trigger: (first word, last word + 1, axis, offsets of the trigger)."""
    result = []
    letters = hit.letters if hit.letters[0] >= 0 else (words[hit.first][1], words[hit.last - 1][2])
    for effect in hit.effects:
        axes = [axis for axis in effect.axes if axis in AXES]
        if not axes or ("family" in axes and _tells_nothing(hits, hit)):
            continue
        # the negation of a family's finding ends at "but"; the experiencer continues
        for axis in axes:
            stops = _stops(hits, of_a_person=axis in ("family", "other"))
            if effect.direction == "before":
                end = _forward(words, hit.last, stops, effect.scope)
                result.append(
                    (hit.last, _purpose(words, hit.last, end) if axis == "negated" else end, axis, letters)
                )
            else:
                result.append((_backward(words, hit.first, stops, effect.scope), hit.first, axis, letters))
        others = [axis for axis in axes if axis in ("family", "other")]
        if others and any(
            word in ("in", "of", "among") for word, _, _ in words[max(0, hit.first - NEAR) : hit.first]
        ):
            stops = _stops(hits, of_a_person=True)
            result += [
                (_backward(words, hit.first, stops, "clause"), hit.first, axis, letters) for axis in others
            ]
    return result


def _tells_nothing(hits: Sequence[Hit], hit: Hit) -> bool:
    """Whether a family member only speaks or is only present: mother reports, lives with her mother."""
    by_first = {neighbour.first: neighbour for neighbour in hits}
    after = by_first.get(hit.last)
    before = [neighbour for neighbour in hits if neighbour.last <= hit.first <= neighbour.last + 1]
    return bool(
        (after and _is(after, "reporting")) or any(_is(neighbour, "bystander") for neighbour in before)
    )


def _is(hit: Hit, meaning: str) -> bool:
    return any(meaning in effect.axes for effect in hit.effects)


def _stops(hits: Sequence[Hit], *, of_a_person: bool) -> list[tuple[int, int]]:
    """Triggers that end scopes: the scope of a person continues behind "has" and "but", and ends at another
    person.
    """
    ends = ("stop", "person") if of_a_person else ("stop", "has")
    return [(hit.first, hit.last) for hit in hits if any(_is(hit, end) for end in ends)]


def _is_part_of_more(low: Sequence[str], first: int, length: int, table: Triggers) -> bool:
    """Whether the last word of a trigger begins a longer pseudo-trigger: is [not clear whether]."""
    last = first + length - 1
    return 1 < length <= len(low) - first and any(
        size > 1
        and any("nothing" in effect.axes for effect in table.effects.get(tuple(low[last : last + size]), ()))
        for size in table.starting.get(low[last], ())
    )


def _is_number(behind: Sequence[str]) -> bool:
    return len(behind) == 2 and behind[0] == "." and behind[1].isdigit()


def _purpose(words: Words, first: int, end: int) -> int:
    """End of a negation before the purpose of the thing that is missing: no follow-up for her anemia."""
    for i in range(first + 1, end):
        if words[i][0] == PURPOSE and i + 1 < end:
            after = words[i + 1][0]
            if words[i - 1][0] not in triggers().evidence and after not in TIME and not after[0].isdigit():
                return i
    return end


def _forward(words: Words, first: int, stops: Sequence[tuple[int, int]], scope: str) -> int:
    # up to the first stop; then up to a number of words, or to the end of the clause
    limit = min((start for start, _ in stops if start >= first), default=len(words))
    if scope.isdigit():
        return min(limit, first + int(scope))
    for i in range(first, limit if scope == "clause" else first):
        word = words[i][0]
        if word == "，" or (word in ("：", ":") and i > first):
            return i
        if word in PARTS and i > first and (_is_statement(words, i + 1) or _is_measured(words, i + 1)):
            return i
        if word == "with" and words[i - 1][0] == ",":
            return i
    return limit


def _backward(words: Words, last: int, stops: Sequence[tuple[int, int]], scope: str) -> int:
    # back to the last stop; then by a number of words, or to the beginning of the clause
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


def _part_end(words: Words, first: int) -> int:
    i = first
    while i < len(words) and (words[i][0] not in PARTS and words[i][0].isalnum()):
        i += 1
    return i


def _is_statement(words: Words, first: int, last: int | None = None) -> bool:
    """Whether the list item that begins here has a verb that makes it a new statement."""
    i, stop = first, len(words) if last is None else last
    if last is None and ENDS_STATEMENT & {word for word, _, _ in words[first : _part_end(words, first)][-1:]}:
        return True
    while i < stop and (last is not None or words[i][0] not in PARTS):
        if words[i][0] in VERBS and not (i + 1 < len(words) and words[i + 1][0] in SEEN):
            return True
        i += 1
    return False


def _is_measured(words: Words, first: int) -> bool:
    """Whether the list item that begins here is a quantity: 20 packs a year of tobacco."""
    return (
        first + 2 < len(words)
        and words[first][0].isdigit()
        and words[first + 1][0].isalpha()
        and words[first + 1][0] not in PARTS
        and words[first + 1][0] not in SIZES
    )


def _context(
    text: str,
    words: Words,
    span: tuple[int, int],
    reaches: Sequence[tuple[int, int, str, tuple[int, int]]],
    below: Sequence[Section],
) -> Context:
    start, end = span
    axes: dict[str, tuple[int, str]] = {}
    for first, last, axis, (a, b) in reaches:
        if (
            first < last
            and start < words[last - 1][2]
            and words[first][1] < end
            and not (a < end and start < b)
        ):
            axes.setdefault(axis, (a, text[a:b]))
    for begin, stop, axis, heading in below:
        if begin <= start < stop and axis not in axes:
            axes[axis] = (begin, f"{heading}:")
    if not axes:
        return PLAIN
    # a relative's history is the family's, and no time
    of_family = "family" in axes and (
        axes.get("historical", (0, ""))[1].lower().removesuffix(" of") in triggers().history
    )
    times = ("hypothetical",) if of_family else ("hypothetical", "historical")
    return Context(
        "negated" in axes,
        "uncertain" in axes,
        next((axis for axis in ("family", "other") if axis in axes), "patient"),
        next((axis for axis in times if axis in axes), "current"),
        tuple(dict.fromkeys(words for _, words in sorted(axes.values()))),
    )
