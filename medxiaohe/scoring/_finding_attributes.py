"""Assemble the marks of a sentence into findings, each with its side, degree, places, time, change and size.

An attribute belongs to the finding that it stands before ("small left pleural effusion"), else to the one
before it ("effusion on the left"), else to the next. An organ with a state ("the lungs are clear", "the heart
is enlarged") is a finding too.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from medxiaohe.entity.linking.context import Context

# what ends a finding: it was there, and is not any more
GONE = re.compile(
    r"\b(?:resol|clear|disappear|gone|remov|vanish|cured|withdrawn|no longer|is out|pulled)|消失|拔除",
    re.IGNORECASE,
)
EITHER = re.compile(r"\s*(?:,\s*)?(?:or|versus|vs\.?)\s+(?:an? |\w+ )?", re.IGNORECASE)
AS_ARE = re.compile(
    r"\s*,?\s*as (?:is|are) (?:the )?", re.IGNORECASE
)  # "the heart is normal, as are the bones"
GONE_DEVICE = "gone:"  # before the name of a device that a word says is removed
JOINED = re.compile(
    r"[\s,]*(?:(?:and|&|contours?|size|silhouette|outlines?)[\s,]*)*"
)  # "normal heart and hila"
HARD = re.compile(r"[;:]|\b(?:but|however|while|whereas|although)\b", re.IGNORECASE)  # nothing reaches across
LOOSE = re.compile(  # between a side and a finding it does not belong to
    r"[,:.()]|\b(?:and|or|with|without|is|are|was|were|be|there|has|have|shows?|no|not|which|that|may|could|nor|than|from|to)\b",
    re.IGNORECASE,
)
LEVELS = ("mild", "moderate", "severe")
CHANGES = ("new", "larger", "smaller", "stable")
TRAITS = ("side", "degree", "place", "time", "change", "size")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a report with its assertion status, attributes and position; equal without regard to
    position.
    """

    name: str  # of the lexicon, or an id of the tree
    status: str = "present"  # present, absent, possible, hypothetical
    side: str = ""  # left, right, both
    degree: str = ""  # mild, moderate, severe
    places: frozenset[str] = frozenset()
    time: str = ""  # acute, chronic
    change: str = ""  # new, larger, smaller, stable
    size_mm: float | None = None  # the largest of its measures
    person: str = "patient"  # patient, family, other
    sentence: int = 0
    surface: str = ""
    # where it is named, and that with its sides, degrees and the rest: code points of the text as given
    at: tuple[int, int] = field(default=(0, 0), compare=False)
    around: tuple[int, int] = field(default=(0, 0), compare=False)

    @property
    def said(self) -> str:
        """Describe the finding for people: "no left pleural effusion".

        Returns:
            Status, change, time, degree, size, side, name, places and person, those that it has.
        """
        words = {"absent": "no", "possible": "possible", "hypothetical": "if"}.get(self.status, "")
        places = f"({', '.join(sorted(self.places))})" if self.places else ""
        whose = "" if self.person == "patient" else f"of {self.person}"
        size = f"{self.size_mm:g} mm" if self.size_mm is not None else ""
        parts = (words, self.change, self.time, self.degree, size, self.side, self.name, places, whose)
        return " ".join(filter(None, parts))


class Mark(NamedTuple):
    """Span of a text that names a finding, an organ or an attribute; offsets in code points."""

    start: int
    end: int
    kind: str  # finding, organ, place, side, degree, time, change, size, state
    value: str


def sentence_findings(
    text: str, marks: Sequence[Mark], contexts: dict[Mark, Context], parents: dict[str, str]
) -> list[Finding]:
    """Assemble the marks of one sentence into findings with their attributes.

    Args:
        text: the prepared text of all sentences.
        marks: those of the sentence, in order.
        contexts: mark of a finding or state -> its context (negated, uncertain, whose, when).
        parents: "organ:NAME" -> finding that an abnormality of the organ is.

    Returns:
        Findings in the order of the sentence, offsets in `text`.
    """
    state = _organ_states(text, marks)
    organs = {organ: _organ(organ, word, contexts[word], parents) for organ, word in state.items()}
    # anchors: findings and organs with a state, which attributes are assigned to
    anchors = sorted([mark for mark in marks if mark.kind == "finding"] + list(organs))
    traits: dict[Mark, list[Mark]] = {anchor: [] for anchor in anchors}
    for mark in marks:
        if mark.kind in TRAITS and (owner := _owner(text, mark, anchors)):
            traits[owner].append(mark)
    findings = []
    for anchor in anchors:
        finding = organs.get(anchor) or _finding(anchor, contexts[anchor])
        sides = {mark.value for mark in traits[anchor] if mark.kind == "side"}
        degrees = [LEVELS.index(mark.value) for mark in traits[anchor] if mark.kind == "degree"]
        side = "both" if len(sides) > 1 else "".join(sides)
        if side == "both" and finding.status == "absent":
            side = ""  # what is on neither side is nowhere
        # "no large effusion" is no effusion
        degree = LEVELS[max(degrees)] if degrees and finding.status != "absent" else ""
        # of an absent finding time, change and size say nothing
        values = {kind: [m.value for m in traits[anchor] if m.kind == kind] for kind in TRAITS}
        if finding.status != "absent":
            sizes = [float(value) for value in values["size"]]
            finding = replace(
                finding,
                time=finding.time or next(iter(values["time"]), ""),
                change=next(iter(values["change"]), ""),
                size_mm=max(sizes, default=None),
            )
        # with two sides, each place keeps the side beside it
        marked = [mark for mark in traits[anchor] if mark.kind == "place"]
        places = frozenset(_sided(mark, traits[anchor]) if len(sides) > 1 else mark.value for mark in marked)
        ends = [*traits[anchor], *([state[anchor]] if anchor in state else []), anchor]
        findings.append(
            replace(
                finding,
                side=side,
                degree=degree,
                places=places,
                surface=text[anchor.start : anchor.end],
                at=(anchor.start, anchor.end),
                around=(min(mark.start for mark in ends), max(mark.end for mark in ends)),
            )
        )
    return _either(text, anchors, findings)


def _either(text: str, anchors: Sequence[Mark], findings: list[Finding]) -> list[Finding]:
    """Two findings joined by "or" or "versus" are both possible; what is said of one is said of the other."""
    for i, (before, after) in enumerate(pairwise(anchors)):
        first, second = findings[i], findings[i + 1]
        if not EITHER.fullmatch(text[before.end : after.start]):
            continue
        if "present" in (first.status, second.status) and {first.status, second.status} <= {
            "present",
            "possible",
        }:
            first, second = replace(first, status="possible"), replace(second, status="possible")
        for a, b in ((0, 1), (1, 0)):
            two = [first, second]
            traits = {key: getattr(two[b], key) for key in ("side", "places", "change", "time")}
            two[a] = replace(two[a], **{k: v for k, v in traits.items() if v and not getattr(two[a], k)})
            first, second = two
        findings[i], findings[i + 1] = first, second
    return findings


def _sided(location: Mark, traits: Sequence[Mark]) -> str:
    """ "bilateral opacities, more in the left upper lobe": the side of a place, where one word for the
    finding is not enough."""
    beside = [
        mark.value
        for mark in traits
        if mark.kind == "side" and location.start - 1 <= mark.end <= location.end
    ]
    return " ".join([*beside, location.value])


def _finding(mark: Mark, context: Context) -> Finding:
    status, name = _status(context), mark.value.removeprefix(GONE_DEVICE)
    if name != mark.value:  # "extubated": the tube is not there
        status = "present" if status == "absent" else "absent" if status == "present" else status
    time = "chronic" if context.temporality == "historical" and status != "absent" else ""
    return Finding(name, status, time=time, person=context.experiencer)


def _status(context: Context) -> str:
    if context.negated:
        return "absent"
    if context.temporality == "historical" and any(GONE.search(words) for words in context.because):
        return "absent"
    return (
        "hypothetical"
        if context.temporality == "hypothetical"
        else "possible"
        if context.uncertain
        else "present"
    )


def _organ_states(text: str, marks: Sequence[Mark]) -> dict[Mark, Mark]:
    """Organs that are said to be normal or not, with the word that says so."""
    state_of = {}
    states = [mark for mark in marks if mark.kind == "state"]
    for organ in (mark for mark in marks if mark.kind == "organ"):
        before = [s for s in states if s.end <= organ.start and _stands_before(text, s, organ, marks)]
        after = [s for s in states if s.start >= organ.end and _reaches(text, organ, s, marks)]
        if state := (before[-1] if before else after[0] if after else None):
            state_of[organ] = state
    return state_of


def _stands_before(text: str, state: Mark, organ: Mark, marks: Sequence[Mark]) -> bool:
    """Whether a state is said of an organ behind it, or of one joined to that: "normal heart and hila"."""
    between = text[state.end : organ.start]
    if not LOOSE.search(between):
        return True
    for joined in reversed([m for m in marks if m.kind == "organ" and state.end <= m.start < organ.start]):
        between = between[: joined.start - state.end] + between[joined.end - state.end :]
    return bool(JOINED.fullmatch(AS_ARE.sub("", between, count=1) if AS_ARE.match(between) else between))


def _organ(organ: Mark, state: Mark, context: Context, parents: dict[str, str]) -> Finding:
    """An organ that is normal or not, as a finding."""
    normal = state.value == "normal"
    status = "possible" if state.value == "open" else "absent" if normal != context.negated else "present"
    return Finding(parents[f"organ:{organ.value}"], status, person=context.experiencer)


def _reaches(text: str, organ: Mark, state: Mark, marks: Sequence[Mark]) -> bool:
    """Whether nothing of its own is said between an organ and a state after it."""
    between = [m for m in marks if organ.end <= m.start and m.end <= state.start]
    return not HARD.search(text[organ.end : state.start]) and all(
        m.kind in ("organ", "place", "side", "degree") for m in between
    )


def _owner(text: str, mark: Mark, anchors: Sequence[Mark]) -> Mark | None:
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
