"""Coordinations of names that share a word: "breast and ovarian cancer", "hepatitis B and C", "type 1 and
type 2 diabetes", "hypo- and hyperkalaemia".

For each mention that a dictionary found, `proposals` lists the names that its neighbours could be parts of;
the caller looks them all up at once, and `accepted` selects those that the tree has. No name is invented:
every member is a name of the tree, of the kind of the mention. What is a complete mention of that kind by
itself ("asthma and lung cancer") is not changed, unless the longer name means the same entity ("Duchenne or
Becker muscular dystrophy").

All members of a coordination have one hull, from the first part of any to the last; `parts` distinguish them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from medxiaohe.entity.linking.context import Words
from medxiaohe.entity.linking.variants import NUMERAL

CONJUNCTIONS = frozenset("and or / & versus vs plus 和 及 或 与 、".split())
TYPES = {"type": "type", "types": "type", "stage": "stage", "stages": "stage", "grade": "grade",
"grades": "grade", "class": "class",
         "factor": "factor", "factors": "factor", "complex": "complex", "group": "group",
         "groups": "group"}  # fmt: skip
PREFIXES = (
    "hyper", "hypo", "micro", "macro", "intra", "extra", "inter", "mono", "poly", "uni", "bi", "pre", "post",
    "endo", "exo", "epi", "sub",
    "peri", "para", "brady", "tachy", "oligo", "supra", "infra",
)  # fmt: skip
MAX_ITEM = 3  # words
MAX_ITEMS = 6
MAX_TAIL = 4
NO_PART = frozenset(
    """a an the of in on for with without by from to at as is are was were be been has have had this that
    these those its their his
    her our other others another some any all no not both either neither , . ; : ( ) [ ] / and or & % = + ' "
    patients patient""".split()
)
ONE_WORD = re.compile(r"[^\W_]+")

# What has to stand right before or behind a mention that shares a word: cheaper to see than to take the
# sentence apart.
JOINED_BEFORE = re.compile(
    r"(?:\b(?:and|or|versus|vs|plus)|[/&、和及或与])\s*$|\b(?:[ivxIVX]+|\d{1,2})[a-d]? $", re.IGNORECASE
)
JOINED_BEHIND = re.compile(
    r"(?:\s*,\s*[\w\-]+){0,5}\s*(?:,?\s*\b(?:and|or|versus|vs|plus)\b|[/&、"
    r"和及或与])|\s(?:types|stages|grades|factors|groups)\s",
    re.IGNORECASE,
)

Span = tuple[int, int]  # of letters


class Proposal(NamedTuple):
    anchor: int  # number of the mention
    # (name, parts, the item's own letters), the better first
    options: tuple[tuple[str, tuple[Span, ...], Span], ...]
    chained: bool  # only together with the proposal before
    replaces: bool = False  # the mention itself is not one of the members


class Member(NamedTuple):
    name: str
    start: int  # the hull
    end: int
    parts: tuple[Span, ...]


class Group(NamedTuple):
    anchor: int
    members: tuple[Member, ...]  # in the order of the text; the anchor is one of them unless `replaces`
    replaces: bool  # the mention stands for no member: "type 1 and 2 diabetes" is not also diabetes


def may_share(text: str, mention: Span) -> bool:
    """Whether the characters beside a mention allow a coordination; a cheap test before the sentence is
    parsed.

    Args:
        text: of the document.
        mention: (start, end).

    Returns:
        False when no conjunction, slash or numeral stands beside it
    """
    start, end = mention
    return bool(JOINED_BEFORE.search(text, max(0, start - 8), start) or JOINED_BEHIND.match(text, end))


def proposals(words: Words, mentions: Sequence[Span]) -> list[Proposal]:
    """Propose the names that mentions may share words with.

    Args:
        words: of one sentence, in lower case, with offsets.
        mentions: (start, end) of the mentions in it.

    Returns:
        proposals, those of a mention together; `accepted` keeps those whose names the tree has
    """
    first_at = {start: i for i, (_, start, _) in enumerate(words)}
    last_at = {end: i + 1 for i, (_, _, end) in enumerate(words)}
    result = []
    for number, (start, end) in enumerate(mentions):
        if start in first_at and end in last_at:
            first, last = first_at[start], last_at[end]
            result += _numbered(words, number, first, last) or [
                *_left(words, number, first, last),
                *_right(words, number, first, last),
            ]
    return result


def accepted(
    proposed: Sequence[Proposal],
    mentions: Sequence[Span],
    entities: Mapping[Span, str],
    looked_up: Mapping[str, str],
    kind: Callable[[str], str],
) -> list[Group]:
    """Select the coordinations whose names the tree has, of the kind of their mention.

    Args:
        proposed: from `proposals`.
        mentions: the ones given to `proposals`.
        entities: span -> entity, of all mentions of the page.
        looked_up: name -> entity, for the proposed names that the tree has.
        kind: entity -> kind.

    Returns:
        one group for each mention with at least one accepted name
    """
    chosen: dict[int, list[tuple[str, tuple[Span, ...]]]] = {}
    replacing = {proposal.anchor for proposal in proposed if proposal.replaces}
    before = True
    for proposal in proposed:
        if proposal.chained and not before:
            continue
        before = False
        # the first option that the tree has; an item that is a mention of another entity stays alone
        for name, parts, item in proposal.options:
            entity = looked_up.get(name, "")
            if not entity or kind(entity) != kind(entities[mentions[proposal.anchor]]):
                continue
            alone = entities.get(item, "")
            if alone and alone != entity and kind(alone) == kind(entity):
                break
            chosen.setdefault(proposal.anchor, []).append((name, parts))
            before = True
            break
    # the members of a group share one hull: from the first part of any of them to the last
    groups = []
    for anchor, items in chosen.items():
        replaces = anchor in replacing
        if replaces and len(items) < 2:
            continue
        spans = [span for _, parts in items for span in parts] + [mentions[anchor]]
        start, end = min(a for a, _ in spans), max(b for _, b in spans)
        members = [Member(name, start, end, parts) for name, parts in items]
        if not replaces:
            members.append(Member("", start, end, (mentions[anchor],)))
        groups.append(Group(anchor, tuple(sorted(members, key=lambda member: member.parts)), replaces))
    return groups


def _left(words: Words, number: int, first: int, last: int) -> list[Proposal]:
    """Propose names for "X, X and Y head", where the mention is "Y head"."""
    at = first
    while at and words[at - 1][0] in CONJUNCTIONS:
        at -= 1
    if at == first:
        return []
    result: list[Proposal] = []
    for _ in range(MAX_ITEMS):
        while at and words[at - 1][0] == ",":
            at -= 1
        at = _before_bracket(words, at)
        options = []
        begin = at
        while begin and at - begin < MAX_ITEM and words[begin - 1][0] not in NO_PART:
            begin -= 1
        for start in range(begin, at):
            item = (words[start][1], words[at - 1][2])
            text = " ".join(word for word, _, _ in words[start:at])
            for head in range(first + 1, last):
                name = f"{text} {' '.join(word for word, _, _ in words[head:last])}"
                options.append((name, (item, (words[head][1], words[last - 1][2])), item))
            if at - start == 1 and (joined := _prefixed(words, start, first)):
                name, tail = joined
                rest = " ".join(word for word, _, _ in words[first + 1 : last])
                options.append((f"{name} {rest}".strip(), (item, (tail, words[last - 1][2])), item))
        if not options:
            break
        result.append(Proposal(number, tuple(options), bool(result)))
        if not begin or words[begin - 1][0] != ",":
            break
        at = begin
    return result


def _right(words: Words, number: int, first: int, last: int) -> list[Proposal]:
    """Propose names for "modifier X, X and X", where the mention is the modifier with the first X."""
    result: list[Proposal] = []
    at = last
    for _ in range(MAX_ITEMS):
        start = at
        while start < len(words) and (words[start][0] in CONJUNCTIONS or words[start][0] == ","):
            start += 1
        if start == at or start == len(words):
            break
        joined = any(words[i][0] in CONJUNCTIONS for i in range(at, start))
        options = []
        for end in range(min(len(words), start + MAX_ITEM), start, -1):
            if any(words[i][0] in NO_PART for i in range(start, end)):
                continue
            item = (words[start][1], words[end - 1][2])
            text = " ".join(word for word, _, _ in words[start:end])
            for tail in range(last - 1, max(first, last - 1 - MAX_TAIL), -1):
                modifier = " ".join(word for word, _, _ in words[first:tail])
                options.append((f"{modifier} {text}", ((words[first][1], words[tail - 1][2]), item), item))
        if not options:
            break
        result.append(Proposal(number, tuple(options), bool(result)))
        if joined:
            return result
        at = start + 1  # a list continues only behind items of one word
    return []  # a list needs a conjunction


def _numbered(words: Words, number: int, first: int, last: int) -> list[Proposal]:
    """Propose names for "type 1 and 2 diabetes" and "mucopolysaccharidosis types I and II"."""
    mention = (words[first][1], words[last - 1][2])
    name = " ".join(word for word, _, _ in words[first:last])
    begin = first
    while begin and _is_of_list(words[begin - 1][0]):
        begin -= 1
    numbers = [i for i in range(begin, first) if NUMERAL.fullmatch(words[i][0])]
    if len(numbers) > 1 and numbers[-1] == first - 1 and begin and words[begin - 1][0] in TYPES:
        kind, *span = words[begin - 1]
        options: list[Any] = [
            (f"{TYPES[kind]} {words[i][0]} {name}", (tuple(span), words[i][1:], mention), words[i][1:])
            for i in numbers
        ]
    elif last < len(words) and words[last][0] in TYPES and words[last][0].endswith("s"):
        end = last + 1
        while end < len(words) and _is_of_list(words[end][0]):
            end += 1
        numbers = [i for i in range(last + 1, end) if NUMERAL.fullmatch(words[i][0])]
        kind, *span = words[last]
        options = [
            (f"{name} {TYPES[kind]} {words[i][0]}", (mention, tuple(span), words[i][1:]), words[i][1:])
            for i in numbers
        ]
    else:
        options = []
    return (
        [Proposal(number, (option,), k > 0, True) for k, option in enumerate(options)]
        if len(options) > 1
        else []
    )


def _is_of_list(word: str) -> bool:
    return word == "," or word in CONJUNCTIONS or bool(NUMERAL.fullmatch(word))


def _before_bracket(words: Words, at: int) -> int:
    """Skip a bracket to the left: ventricular septal (VSD) and midline defects."""
    if at > 2 and words[at - 1][0] == ")":
        for i in range(at - 2, max(-1, at - 6), -1):
            if words[i][0] == "(":
                return i
    return at


def _prefixed(words: Words, item: int, first: int) -> tuple[str, int] | None:
    """Complete a prefix, "hypo- and hyperthyroidism": the word it means, and the start of the shared part."""
    prefix, word = words[item][0], words[first][0]
    if prefix not in PREFIXES:
        return None
    for own in PREFIXES:
        if word.startswith(own) and len(word) > len(own) + 3:
            return prefix + word.removeprefix(own), words[first][1] + len(own)
    return None
