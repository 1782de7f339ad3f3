"""Verifier: compare a claim with the sentence of the evidence that has nearly the same words.

Denials, sides, degrees, states, opposites and numbers with their units are compared. It covers names that no
lexicon has ("a right nipple ring"), and rules only if a sentence of the evidence has nearly all of the
claim's words and little else.

    supported     the same words, and no difference in any of these
    contradicted  a denial, side, degree, opposite, or a number of the same unit differs
    unsupported   the claim compares with an earlier study and the sentence does not, or gives a number
                  that it does not give
    unjudged      no sentence of the evidence has these words
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe.entity.linking.context import contexts
from medxiaohe.evidence.sentences import compares
from medxiaohe.scoring._findings import DEGREE, SIDE, STATE, prepared
from medxiaohe.scoring._sentences import sentence_spans
from medxiaohe.scoring._text import plain
from medxiaohe.scoring._words import NUMBER, content, stem
from medxiaohe.scoring.judges.rules import OPPOSITES
from medxiaohe.types import Claim, Evidence, Label, Ruling

NAME = "entities"
NEARLY = 0.8  # Dice coefficient of the words of the claim and of the sentence
# words of reporting and triggers of negation, which are no content words of a finding
REPORTING = frozenset(
    """evidence negative free absent seen identified noted present demonstrated visualized visualised
    appreciated evident radiographic definite definitely clearly there appears appear again remains
    remain grossly overall otherwise denies denied lack new change unchanged stable prior previous
    interval compared comparison study exam examination""".split()
)
TURNED = {"normal": "abnormal", "abnormal": "normal"}  # "not enlarged" is normal
WRITTEN = {w: str(n) for n, w in enumerate("zero one two three four five six seven eight nine ten".split())}


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence as the parts that are compared: stems with their denial, and details."""

    denied: tuple[tuple[str, bool], ...]  # stem, whether it is denied
    sides: frozenset[str]
    degrees: frozenset[str]
    states: frozenset[str]  # normal, open, abnormal
    numbers: frozenset[tuple[str, str]]  # value, stem of the unit
    compares: bool
    text: str  # normalised, to recognise the same sentence

    @property
    def stems(self) -> frozenset[str]:
        """Stems of the content words.

        Returns:
            denied or not
        """
        return frozenset(word for word, _ in self.denied)


def entities(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> list[Ruling]:
    """Rule on claims that the evidence has in nearly the same words.

    Args:
        claims: to rule on.
        evidence: to verify them with.

    Returns:
        one ruling for each claim, in order
    """
    rows = [(item.id, words) for item in evidence for words in sentences_of(item.text)]
    return [_ruling(claim, rows) for claim in claims]


@functools.lru_cache(maxsize=1024)
def sentences_of(text: str) -> tuple[Words, ...]:
    """Parse the sentences of a text; cached for the last 1024 texts.

    Args:
        text: of evidence.

    Returns:
        in order
    """
    return tuple(words_of(text[a:b]) for a, b in sentence_spans(text))


@functools.lru_cache(maxsize=4096)
def words_of(text: str) -> Words:
    """Parse one sentence into stems and details; cached for the last 4096 sentences.

    Args:
        text: one sentence.

    Returns:
        stems of its content words, each denied or not, and its sides, degrees, states and numbers
    """
    text = prepared(text)
    # sides, degrees and states, whose words are details and no content words
    matches = {kind: list(pattern.finditer(text)) for kind, pattern in
             (("side", SIDE), ("degree", DEGREE), ("state", STATE))}  # fmt: skip
    spans = [match.span() for rows in matches.values() for match in rows]
    marks = [
        m
        for m in content(text)
        if m.group().lower() not in REPORTING and not any(a <= m.start() < b for a, b in spans)
    ]
    denials = contexts(text, [mark.span() for mark in marks])
    details = {
        kind: frozenset((m.lastgroup or "").removesuffix("_zh") for m in rows)
        for kind, rows in matches.items()
    }
    turned = contexts(text, [match.span() for match in matches["state"]])
    # states, turned by a denial: "not enlarged" is normal
    states = frozenset(
        TURNED.get(str(m.lastgroup), str(m.lastgroup)) if context.negated else str(m.lastgroup)
        for m, context in zip(matches["state"], turned, strict=True)
    )
    # numbers with the stem of their unit, and written numbers without one
    numbers = {(_value(m[1]), stem(m[2] or "")) for m in NUMBER.finditer(text)}
    numbers |= {(WRITTEN[w], "") for w in re.findall(r"[a-z]+", text.lower()) if w in WRITTEN}
    return Words(
        tuple((stem(mark.group()), context.negated) for mark, context in zip(marks, denials, strict=True)),
        details["side"], details["degree"], states, frozenset(numbers), compares(text), plain(text),
    )  # fmt: skip


def _ruling(claim: Claim, rows: Sequence[tuple[str, Words]]) -> Ruling:
    mine = words_of(claim.text)
    if same := next((id for id, theirs in rows if mine.text and mine.text == theirs.text), ""):
        return Ruling(claim.id, "supported", (same,), NAME, "the same sentence")
    if not mine.denied:
        return Ruling(claim.id, "unjudged", by=NAME, why="the claim has no words to look for")
    # the most similar sentence (Dice >= NEARLY); of equal ones the most favourable ruling
    best: tuple[float, int, Label, str, str] | None = None
    for id, theirs in rows:
        likeness = _dice(mine.stems, theirs.stems)
        if likeness < NEARLY:
            continue
        label, why = _compare(mine, theirs)
        rank = ("unjudged", "contradicted", "unsupported", "supported").index(label)
        if best is None or (likeness, rank) > best[:2]:
            best = (likeness, rank, label, id, why)
    if best is None:
        return Ruling(claim.id, "unjudged", by=NAME, why="no sentence of the evidence has its words")
    return Ruling(claim.id, best[2], (best[3],), NAME, best[4])


def _compare(mine: Words, theirs: Words) -> tuple[Label, str]:
    """Label and reason for two sentences with nearly the same words."""
    shared = mine.stems & theirs.stems
    # a stem denied in one sentence only
    turned = [
        word
        for word in sorted(shared)
        if len({d for w, d in mine.denied if w == word} ^ {d for w, d in theirs.denied if w == word}) == 2
    ]
    if turned:
        return "contradicted", f"{', '.join(turned[:3])}: denied in one only"
    for name in ("sides", "degrees", "states"):
        a, b = getattr(mine, name), getattr(theirs, name)
        if a and b and not (a <= b or (name == "sides" and b == {"both"})):
            return "contradicted", f"{', '.join(sorted(a))} against {', '.join(sorted(b))}"
        if a and not b:
            return "unsupported", f"the evidence does not say {', '.join(sorted(a))}"
    for word in mine.stems - theirs.stems:
        if OPPOSITES.get(word) in theirs.stems:
            return "contradicted", f"{word} against {OPPOSITES[word]}"
    # a number of the claim that the evidence has otherwise, or not at all
    if lost := sorted(mine.numbers - theirs.numbers):
        others = {n for n, u in theirs.numbers if u == lost[0][1]}
        if others:
            return "contradicted", f"{' '.join(lost[0])} against {', '.join(sorted(others))}"
        return "unsupported", f"the evidence does not say {' '.join(lost[0])}"
    if mine.compares and not theirs.compares:
        return "unsupported", "the evidence does not compare with an earlier study"
    missing = mine.stems - theirs.stems
    if missing:
        return "unjudged", f"{', '.join(sorted(missing)[:3])} is not in the sentence"
    return "supported", "the same words"


def _dice(a: frozenset[str], b: frozenset[str]) -> float:
    """Dice coefficient of two sets: 2 |A n B| / (|A| + |B|)."""
    return 2 * len(a & b) / max(1, len(a) + len(b))


def _value(number: str) -> str:
    """Number in one notation: 7.40 and 7,4 are equal."""
    value = number.replace(",", ".")
    return value.rstrip("0").rstrip(".") if "." in value else value


EXAMPLE = (
    (
        Claim("c1", "There is a right nipple ring."),
        Claim("c2", "The dose is 5 mg."),
        Claim("c3", "The trachea is midline."),
        Claim("c4", "Aspirin is a statin."),
    ),
    (Evidence("e1", "There is a left nipple ring. The dose is 10 mg. The trachea is midline.", "note"),),
    ("contradicted", "contradicted", "supported", "unjudged"),
)
