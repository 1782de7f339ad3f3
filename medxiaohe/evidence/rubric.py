"""Preferences about reports as criteria: ten static ones of report_rubric.jsonl, dynamic ones of each item.

    rated(sample, trace)              points met of points decided, from 0 to 1
    dynamic(reference)                criteria of one item: it states what the reference affirms, and nothing
                                      that the reference denies

Eight of the static criteria are rules below, two ask the judge of the run; without one they are left out and
counted. Whether a report is true is the reward `report` (rewards/report.py), not this.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.evidence.sentences import Sentence, compares, split
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring._free import no_answer, reference, said
from medxiaohe.scoring.rubric import clipped, to_target
from medxiaohe.types import Sample, Score, Trace

FILE = Path(__file__).with_name("report_rubric.jsonl")
NAME, JUDGE, STATES, DENIED = "report_rubric", "judge", "states:", "affirms denied:"
IMPRESSION = re.compile(r"\bimpressions?\s*:", re.IGNORECASE)
SECTION = re.compile(
    r"^\s*(?:indication|comparison|technique|findings?|impressions?|limits)\s*:", re.IGNORECASE | re.MULTILINE
)
MARKED = re.compile(
    r"\bnot verified\b|\bpossibl[ey]\b|\bmay\b|\bcould\b|\bsuspected\b|\bquestionable\b", re.IGNORECASE
)
GIVEN_PRIOR = re.compile(
    r"\b(?:prior|earlier|previous|comparison)\b\s*(?:report|study)?\s*:\s*(?!none)\w", re.IGNORECASE
)
LIMITS = re.compile(
    r"\bnot (?:verified|assessed|seen well|evaluated)\b|\blimited\b|\blimits?\b|\bsuboptimal\b|\bremoved\b"
    r"|\bcannot be (?:excluded|assessed)\b",
    re.IGNORECASE,
)
SIZE = re.compile(
    r"\b(?:measur\w+|size|diameter|up to)\s+(?:of |is |approximately |about )*(\d+(?:\.\d+)?)\s*(\w*)"
)
UNITS = ("mm", "cm", "ml", "x", "millimeters", "millimetres", "centimeters", "centimetres")
BAND = (0.33, 2.0)  # of the words of the reference
WITHOUT = (8, 250)  # words, where there is no reference
FEWEST = 4  # words that a report of any reference may have
PLAIN = 0.2  # least share of the affirmed findings that are stated without a hedge


@dataclass(frozen=True, slots=True)
class Criterion:
    """One preference: `by` is the name of a rule, `judge`, or a finding that a dynamic one looks for."""

    name: str
    text: str
    points: float
    by: str


@dataclass(frozen=True, slots=True)
class Written:
    """A report as rules see it."""

    text: str
    sections: tuple[tuple[Sentence, ...], ...]
    gold: str
    asked: str
    trace: Trace

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """The sentences of all sections, in order."""
        return tuple(one for section in self.sections for one in section)


Rule = Callable[[Written], bool | None]  # None: there is nothing that it could be about


@functools.cache
def static(file: Path = FILE) -> tuple[Criterion, ...]:
    """The criteria of a file; DataError for a line that is none.

    Args:
        file: JSON lines {name, text, points, by}.

    Returns:
        criteria in the order of the file

    Raises:
        DataError: a line has another form or names an unknown rule.
    """
    found = []
    for number, row in enumerate(io.read_jsonl(file), 1):
        try:
            one = Criterion(str(row["name"]), str(row["text"]), float(row["points"]), str(row["by"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{file}:{number}: a criterion has name, text, points and by") from error
        if one.by != JUDGE and one.by not in RULES:
            raise DataError(f"{file}:{number}: no rule {one.by!r}: {', '.join(RULES)}, or {JUDGE}")
        found.append(one)
    return tuple(found)


def dynamic(gold: str) -> tuple[Criterion, ...]:
    """The criteria of one item, from the findings of its reference.

    Args:
        gold: the reference report.

    Returns:
        one criterion for each finding
    """
    found: dict[str, Criterion] = {}
    for one in lexicon().findings(gold):
        if one.person == "patient" and one.name not in found:
            if one.status == "absent":
                text = f"It does not affirm what is denied: {one.name}."
                found[one.name] = Criterion(f"no {one.name}", text, 1.0, DENIED + one.name)
            else:
                found[one.name] = Criterion(one.name, f"It states {one.said}.", 2.0, STATES + one.name)
    return tuple(found.values())


def rated(sample: Sample, trace: Trace, criteria: Sequence[Criterion] = (), judged: bool = False) -> Score:
    """Points that a report meets, of those that could be decided.

    Args:
        sample: its gold answer is the reference; criteria of its own are added.
        trace: of the report.
        criteria: the static ones unless given.
        judged: whether the judge of the run is asked for the others.
    """
    gold = reference(sample)
    if nothing := no_answer(NAME, trace, gold):
        return nothing
    some = [*(criteria or static()), *dynamic(gold)]
    written = read(trace, gold)
    met = {one: decided(one, written) for one in some if one.by != JUDGE}
    ask = [one for one in some if one.by == JUDGE]
    if judged and ask:
        for one in ask:
            row = replace(sample, target=to_target([(one.text, one.points)]))
            score = clipped(row, trace)
            met[one] = None if score.value is None else score.value >= 0.5
    known = {one: yes for one, yes in met.items() if yes is not None}
    if not known:
        return Score(NAME, None, "unjudged", why="no criterion could be decided")
    value = sum(one.points for one, yes in known.items() if yes) / sum(one.points for one in known)
    failed = [one.name for one, yes in known.items() if not yes]
    why = f"{len(known)} of {len(some)} criteria decided; not met: {', '.join(failed) or 'none'}"
    return Score(NAME, value, parsed=f"{value:.3f}", why=why)


def read(trace: Trace, gold: str) -> Written:
    """A report in sections, by its headings; list marks and emphasis are no part of it."""
    text = re.sub(r"^\s*[-*•]\s+|\*\*", "", said(trace), flags=re.MULTILINE)
    starts = [0, *(match.start() for match in SECTION.finditer(text)), len(text)]
    parts = [text[a:b] for a, b in pairwise(starts) if text[a:b].strip()]
    asked = "\n".join(message.text for message in trace.prompt.messages)
    return Written(text, tuple(tuple(split(SECTION.sub("", part))) for part in parts), gold, asked, trace)


def decided(one: Criterion, written: Written) -> bool | None:
    """Whether a criterion of rules is met.

    Args:
        one: a criterion whose `by` is a rule.
        written: the report.

    Returns:
        None where the rule does not apply
    """
    if one.by.startswith((STATES, DENIED)):
        name = one.by.partition(":")[2].strip()
        own = [f for s in written.sentences for f in s.findings if f.name == name and f.status != "absent"]
        return bool(own) == one.by.startswith(STATES)
    return RULES[one.by](written)


# ---- rules ------------------------------------------------------------------------------------------------


def positives_first(written: Written) -> bool | None:
    """In each section what is there comes before what is not; None with one kind alone."""
    seen = False
    for section in written.sections:
        denied = [one.kind == "negative" for one in section if one.kind in ("finding", "device", "negative")]
        if len(set(denied)) == 2:
            seen = True
            if not all(denied[denied.index(True) :]):
                return False
    return True if seen else None


def said_once(written: Written) -> bool | None:
    """No finding is in two sentences of a section, with the same status, side and place."""
    for section in written.sections:
        keys = [
            key
            for one in section
            for key in {(f.name, f.status, f.side, f.places, f.time, f.change) for f in one.findings}
        ]
        if len(set(keys)) < len(keys):
            return False
    return True if any(one.findings for one in written.sentences) else None


def hedges_fit(written: Written) -> bool | None:
    """Supported claims are stated, others hedged or marked; without rulings most claims are plain."""
    labels = {one.claim: one.label for one in written.trace.rulings}
    if labels:
        rows = [
            (bool(MARKED.search(one.text)), labels[one.id] == "supported")
            for one in written.trace.claims
            if one.id in labels and not (one.finding is not None and one.finding.status == "absent")
        ]
        return all(hedged != supported for hedged, supported in rows) if rows else None
    affirmed = [f for one in written.sentences for f in one.findings if f.status in ("present", "possible")]
    if not affirmed:
        return None
    return sum(f.status == "present" for f in affirmed) >= PLAIN * len(affirmed)


def length_in_band(written: Written) -> bool:
    """Sentences with content have a third to twice the words of the reference."""
    words = sum(
        len(one.text.split()) for one in written.sentences if one.kind not in ("filler", "question", "other")
    )
    own = len(written.gold.split())
    low, high = (BAND[0] * own, BAND[1] * own) if own else WITHOUT
    return low <= words <= max(high, FEWEST)


def no_own_advice(written: Written) -> bool:
    """A recommendation only where the reference has one."""
    own = any(one.kind == "recommendation" for one in written.sentences)
    return not own or any(one.kind == "recommendation" for one in split(written.gold))


def sizes_have_units(written: Written) -> bool | None:
    """Every size has a unit; None without one."""
    units = [match[2].casefold() for match in SIZE.finditer(written.text)]
    return all(unit in UNITS for unit in units) if units else None


def no_absent_prior(written: Written) -> bool:
    """Comparisons only where the question gives an earlier study."""
    given = GIVEN_PRIOR.search(written.asked)
    return bool(given) or not any(compares(one.text) for one in written.sentences)


def limits_stated(written: Written) -> bool | None:
    """Something unverified is said to be; None where all is verified or nobody ruled."""
    if all(one.label == "supported" for one in written.trace.rulings):
        return None
    return bool(LIMITS.search(written.text))


RULES: dict[str, Rule] = {
    "positives_first": positives_first,
    "said_once": said_once,
    "hedges_fit": hedges_fit,
    "length_in_band": length_in_band,
    "no_own_advice": no_own_advice,
    "sizes_have_units": sizes_have_units,
    "no_absent_prior": no_absent_prior,
    "limits_stated": limits_stated,
}


def report_rubric(sample: Sample, trace: Trace, *, judged: bool = False) -> Score:
    """Preferences about a report as a score.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        judged: whether criteria that need a judge are asked of it.

    Returns:
        points met of points decided, from 0 to 1
    """
    return rated(sample, trace, judged=judged)
