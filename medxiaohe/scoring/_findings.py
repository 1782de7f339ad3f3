"""What a report or note says: findings, each with whether it is there, whose it is, its side, its degree and
its place.

Names come from radiology_lexicon.tsv and, where a tree is given, from its diseases, phenotypes, chemicals and
procedures; what is negated or uncertain is decided by entity.context. "The lungs are clear" and "heart size
is normal" say that the organ has no abnormality. Sides, degrees and places go to the finding they stand
before ("small left pleural effusion"), else to the one before them ("effusion on the left"), else to the
next.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from medxiaohe.entity.linking.context import Context, contexts
from medxiaohe.entity.linking.finder import Finder, finder
from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.linking.sentences import sentence_ends
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.scoring._sentences import GLUED
from medxiaohe.types import Entity

FILE = Path(__file__).with_name("radiology_lexicon.tsv")
KINDS = ("disease", "phenotype", "chemical", "procedure")  # of a tree, that are findings
SIDE = re.compile(
    r"\b(?P<both>bilateral(?:ly)?|bibasilar|biapical|both|left and right|right and left)\b"
    r"|\b(?P<left>left|lt|lll|lul|lingular?)\b"
    r"|\b(?P<right>(?<!\ball )right(?! (?:now|away|before|after|here|there))|rt|rll|rul|rml|right middle)\b"
    r"|(?P<both_zh>双侧|两侧|双肺|两肺)|(?P<left_zh>左)|(?P<right_zh>右)",
    re.IGNORECASE,
)
DEGREE = re.compile(
    r"\b(?P<mild>mild(?:ly)?|small|tiny|trace|minimal(?:ly)?|slight(?:ly)?|subtle|minor|minute|faint)\b"
    r"|\b(?P<moderate>moderate(?:ly)?|moderate-sized|medium)\b"
    r"|\b(?P<severe>severe(?:ly)?|large|massive|marked(?:ly)?|extensive|gross(?:ly)?|huge|pronounced|advanced|tension)\b"
    r"|(?P<mild_zh>轻度|少量)|(?P<moderate_zh>中度|中量)|(?P<severe_zh>重度|大量)",
    re.IGNORECASE,
)
STATE = re.compile(
    r"\b(?P<normal>within (?:the )?normal limits|normal|unremarkable|clear|intact|well[- ]expanded)\b"
    r"|\b(?P<open>upper limits? of normal|borderline(?: enlarged)?|top[- ]normal)\b"
    r"|\b(?P<abnormal>enlarged|abnormal|widened|prominent|dilated|engorged|tortuous|ectatic)\b",
    re.IGNORECASE,
)
HARD = re.compile(r"[;:]|\b(?:but|however|while|whereas|although)\b", re.IGNORECASE)  # nothing reaches across
LOOSE = re.compile(  # between a side and a finding it does not belong to
    r"[,:.()]|\b(?:and|or|with|without|is|are|was|were|be|there|has|have|shows?|no|not|which|that|may|could|nor|than|from|to)\b",
    re.IGNORECASE,
)
LEVELS = ("mild", "moderate", "severe")


@dataclass(frozen=True, slots=True)
class Finding:
    name: str  # of the lexicon, or an id of the tree
    status: str = "present"  # present, absent, possible, hypothetical
    side: str = ""  # left, right, both
    degree: str = ""  # mild, moderate, severe
    places: frozenset[str] = frozenset()
    person: str = "patient"  # patient, family, other
    sentence: int = 0
    surface: str = ""

    @property
    def said(self) -> str:
        """For people: "no left pleural effusion"."""
        words = {"absent": "no", "possible": "possible", "hypothetical": "if"}.get(self.status, "")
        where = f"({', '.join(sorted(self.places))})" if self.places else ""
        whose = "" if self.person == "patient" else f"of {self.person}"
        return " ".join(filter(None, (words, self.degree, self.side, self.name, where, whose)))


class _Mark(NamedTuple):
    start: int
    end: int
    kind: str  # finding, organ, place, side, degree, state
    value: str


class Lexicon:
    """Where names of findings are found: the one that ships, and a tree beside it."""

    def __init__(self, tree: Path | None = None):
        self._own, self.parents = _own()
        self._tree: Finder | None = finder(tree) if tree is not None else None
        self._kinds = _kinds(tree) if tree is not None else {}

    def findings(self, text: str) -> list[Finding]:
        """In the order of the text; what is said twice is there twice. `text` is read as `prepared(text)`."""
        text = prepared(text)
        marks = self._marks(text)
        spoken = [mark for mark in marks if mark.kind in ("finding", "state")]
        said = dict(zip(spoken, contexts(text, [(mark.start, mark.end) for mark in spoken]), strict=True))
        ends = sentence_ends(text)
        found, start = [], 0
        for number, end in enumerate(ends):
            here = [mark for mark in marks if start <= mark.start < end]
            found += [replace(one, sentence=number) for one in _sentence(text, here, said, self.parents)]
            start = end
        return found

    def _marks(self, text: str) -> list[_Mark]:
        names = [_Mark(m.start, m.end, *self._own_value(m.entity)) for m in self._own.find(text)]
        if self._tree is not None:
            for m in self._tree.find(text):
                kind = self._kinds.get(m.entity, "")
                if kind in KINDS or kind == "anatomy":
                    names.append(_Mark(m.start, m.end, "place" if kind == "anatomy" else "finding", m.entity))
        marks = _longest(names)
        taken = [(m.start, m.end) for m in marks if m.kind in ("finding", "organ")]
        for kind, pattern in (("side", SIDE), ("degree", DEGREE), ("state", STATE)):
            for match in pattern.finditer(text):
                inside = any(a <= match.start() and match.end() <= b for a, b in taken)
                if kind != "side" and inside:
                    continue  # "enlarged heart" is a name
                value = (match.lastgroup or "").removesuffix("_zh")
                marks.append(_Mark(match.start(), match.end(), kind, value))
        return sorted(marks)

    def _own_value(self, id: str) -> tuple[str, str]:
        kind, _, name = id.partition(":")
        return ("finding" if kind == "device" else kind), name


@functools.lru_cache(maxsize=4)
def lexicon(tree: Path | None = None) -> Lexicon:
    return Lexicon(tree)


def prepared(text: str) -> str:
    """Single blanks, lines kept, and a blank after a full stop that has none."""
    return "\n".join(" ".join(line.split()) for line in GLUED.sub(". ", text).splitlines())


@functools.cache
def _own() -> tuple[Linker, dict[str, str]]:
    """A linker over the lexicon, and the parent of each finding and organ that has one."""
    entities, parents = [Entity("MET:lexicon", "lexicon", "lexicon")], {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith(("#", "kind\t")):
            continue
        kind, name, parent, forms = line.split("\t")
        first, *others = forms.split("|")
        others += [
            form.replace(" of the ", f" of the {side} ")
            for form in (first, *others)
            for side in ("left", "right")
        ]
        entities.append(Entity(f"{kind}:{name}", first, kind, ("MET:lexicon",), tuple(others)))
        if parent:
            parents[name if kind != "organ" else f"organ:{name}"] = parent
    return Linker(Tree(entities)), parents


@functools.lru_cache(maxsize=2)
def _kinds(tree: Path) -> dict[str, str]:
    return {entity.id: entity.kind for entity in Tree.load(tree).entities.values()}


def _longest(names: Iterable[_Mark]) -> list[_Mark]:
    """No two overlap: the longer one stays, of equals the first given."""
    kept: list[_Mark] = []
    for mark in sorted(names, key=lambda m: m.start - m.end):
        if all(mark.end <= other.start or other.end <= mark.start for other in kept):
            kept.append(mark)
    return kept


def _sentence(
    text: str, marks: Sequence[_Mark], said: dict[_Mark, Context], parents: dict[str, str]
) -> list[Finding]:
    organs = _organs(text, marks, said, parents)
    anchors = sorted([mark for mark in marks if mark.kind == "finding"] + list(organs))
    traits: dict[_Mark, list[_Mark]] = {anchor: [] for anchor in anchors}
    for mark in marks:
        if mark.kind in ("side", "degree", "place") and (owner := _owner(text, mark, anchors)):
            traits[owner].append(mark)
    found = []
    for anchor in anchors:
        one = organs.get(anchor) or _finding(anchor, said[anchor])
        sides = {mark.value for mark in traits[anchor] if mark.kind == "side"}
        degrees = [LEVELS.index(mark.value) for mark in traits[anchor] if mark.kind == "degree"]
        side = "both" if len(sides) > 1 else "".join(sides)
        # "no large effusion" is no effusion
        degree = LEVELS[max(degrees)] if degrees and one.status != "absent" else ""
        marked = [mark for mark in traits[anchor] if mark.kind == "place"]
        places = frozenset(_sided(mark, traits[anchor]) if len(sides) > 1 else mark.value for mark in marked)
        found.append(
            replace(one, side=side, degree=degree, places=places, surface=text[anchor.start : anchor.end])
        )
    return found


def _sided(place: _Mark, traits: Sequence[_Mark]) -> str:
    """ "bilateral opacities, more in the left upper lobe": the side of a place, where one word for the
    finding is not enough."""
    beside = [
        mark.value for mark in traits if mark.kind == "side" and place.start - 1 <= mark.end <= place.end
    ]
    return " ".join([*beside, place.value])


def _finding(mark: _Mark, context: Context) -> Finding:
    return Finding(mark.value, _status(context), person=context.experiencer)


def _status(context: Context) -> str:
    if context.negated:
        return "absent"
    return (
        "hypothetical"
        if context.temporality == "hypothetical"
        else "possible"
        if context.uncertain
        else "present"
    )


def _organs(
    text: str, marks: Sequence[_Mark], said: dict[_Mark, Context], parents: dict[str, str]
) -> dict[_Mark, Finding]:
    """Organs that are said to be normal or not, as findings."""
    found = {}
    states = [mark for mark in marks if mark.kind == "state"]
    for organ in (mark for mark in marks if mark.kind == "organ"):
        before = [s for s in states if s.end <= organ.start and not LOOSE.search(text[s.end : organ.start])]
        after = [s for s in states if s.start >= organ.end and _reaches(text, organ, s, marks)]
        if state := (before[-1] if before else after[0] if after else None):
            context, normal = said[state], state.value == "normal"
            status = (
                "possible" if state.value == "open" else "absent" if normal != context.negated else "present"
            )
            found[organ] = Finding(parents[f"organ:{organ.value}"], status, person=context.experiencer)
    return found


def _reaches(text: str, organ: _Mark, state: _Mark, marks: Sequence[_Mark]) -> bool:
    """Whether nothing of its own is said between an organ and a state after it."""
    between = [m for m in marks if organ.end <= m.start and m.end <= state.start]
    return not HARD.search(text[organ.end : state.start]) and all(
        m.kind in ("organ", "place", "side", "degree") for m in between
    )


def _owner(text: str, mark: _Mark, anchors: Sequence[_Mark]) -> _Mark | None:
    """The finding that a side, degree or place is about."""
    at = bisect_right([anchor.start for anchor in anchors], mark.start)
    inside = next((a for a in anchors if a.start <= mark.start < a.end), None)
    if inside:
        return inside
    before = anchors[at - 1] if at and not HARD.search(text[anchors[at - 1].end : mark.start]) else None
    after = anchors[at] if at < len(anchors) and not HARD.search(text[mark.end : anchors[at].start]) else None
    if after and not LOOSE.search(text[mark.end : after.start]):
        return after
    return before or after
