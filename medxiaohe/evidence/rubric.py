"""Preferences about reports as criteria: ten static ones of report_rubric.jsonl, dynamic ones of each item.

    rated(sample, trace)              points met of points decided, from 0 to 1
    dynamic(reference)                criteria of one item: it states what the reference affirms, and nothing
                                      that the reference denies

Eight of the static criteria are rules below, two need the judge of the run; without one they are left out and
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
BAND = (0.33, 2.0)  # words of the report, relative to those of the reference
WITHOUT = (8, 250)  # words of a report without a reference
FEWEST = 4  # words that a report may have however short the reference is
PLAIN = 0.2  # least share of the affirmed findings without a hedge


@dataclass(frozen=True, slots=True)
class Criterion:
    """One preference: `by` is the name of a rule, `judge`, or the finding of a dynamic criterion."""

    name: str
    text: str
    points: float
    by: str


@dataclass(frozen=True, slots=True)
class Written:
    """A parsed report with its reference and prompt, the input of the rules."""

    text: str
    sections: tuple[tuple[Sentence, ...], ...]
    gold: str
    asked: str
    trace: Trace

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """Sentences of the report.

        Returns:
            of all sections, in order
        """
        return tuple(sentence for section in self.sections for sentence in section)


Rule = Callable[[Written], bool | None]  # None: the rule does not apply


@functools.cache
def static(file: Path = FILE) -> tuple[Criterion, ...]:
    """Read the criteria of a file; cached.

    Args:
        file: JSON lines {name, text, points, by}.

    Returns:
        criteria in the order of the file

    Raises:
        DataError: a line has another form or names an unknown rule.
    """
    criteria = []
    for number, row in enumerate(io.read_jsonl(file), 1):
        try:
            criterion = Criterion(str(row["name"]), str(row["text"]), float(row["points"]), str(row["by"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{file}:{number}: a criterion has name, text, points and by") from error
        if criterion.by != JUDGE and criterion.by not in RULES:
            raise DataError(f"{file}:{number}: no rule {criterion.by!r}: {', '.join(RULES)}, or {JUDGE}")
        criteria.append(criterion)
    return tuple(criteria)


def dynamic(gold: str) -> tuple[Criterion, ...]:
    """Criteria of one item, from the findings of its reference.

    Args:
        gold: the reference report.

    Returns:
        one criterion for each finding of the patient: 2 points to state an affirmed one, 1 not to affirm a
        denied one
    """
    criteria: dict[str, Criterion] = {}
    for finding in lexicon().findings(gold):
        if finding.person == "patient" and finding.name not in criteria:
            if finding.status == "absent":
                text = f"It does not affirm what is denied: {finding.name}."
                criteria[finding.name] = Criterion(f"no {finding.name}", text, 1.0, DENIED + finding.name)
            else:
                criteria[finding.name] = Criterion(
                    finding.name, f"It states {finding.said}.", 2.0, STATES + finding.name
                )
    return tuple(criteria.values())


def rated(sample: Sample, trace: Trace, criteria: Sequence[Criterion] = (), judged: bool = False) -> Score:
    """Share of the points that a report meets, of the criteria that could be decided.

    Args:
        sample: its gold answer is the reference; criteria of its own are added.
        trace: of the report.
        criteria: static criteria; (): those of report_rubric.jsonl.
        judged: whether the judge of the run decides the criteria that need one.

    Returns:
        from 0 to 1; unjudged if no criterion could be decided, `unparsed` or `refused` without an answer

    Raises:
        DataError: report_rubric.jsonl has another form.
    """
    gold = reference(sample)
    if nothing := no_answer(NAME, trace, gold):
        return nothing
    all_criteria = [*(criteria or static()), *dynamic(gold)]
    written = read(trace, gold)
    # rules first, then the judge, one question for each criterion
    met = {criterion: decided(criterion, written) for criterion in all_criteria if criterion.by != JUDGE}
    ask = [criterion for criterion in all_criteria if criterion.by == JUDGE]
    if judged and ask:
        for criterion in ask:
            row = replace(sample, target=to_target([(criterion.text, criterion.points)]))
            score = clipped(row, trace)
            met[criterion] = None if score.value is None else score.value >= 0.5
    verdicts = {criterion: yes for criterion, yes in met.items() if yes is not None}
    if not verdicts:
        return Score(NAME, None, "unjudged", why="no criterion could be decided")
    # points met / points decided
    value = sum(criterion.points for criterion, yes in verdicts.items() if yes) / sum(
        criterion.points for criterion in verdicts
    )
    failed = [criterion.name for criterion, yes in verdicts.items() if not yes]
    why = f"{len(verdicts)} of {len(all_criteria)} criteria decided; not met: {', '.join(failed) or 'none'}"
    return Score(NAME, value, parsed=f"{value:.3f}", why=why)


def read(trace: Trace, gold: str) -> Written:
    """Parse a report into sections by its headings.

    Args:
        trace: of the report; its prompt is kept for rules about what was asked.
        gold: the reference.

    Returns:
        the report without list marks and bold marks, and its sections in order
    """
    text = re.sub(r"^\s*[-*•]\s+|\*\*", "", said(trace), flags=re.MULTILINE)
    starts = [0, *(match.start() for match in SECTION.finditer(text)), len(text)]
    parts = [text[a:b] for a, b in pairwise(starts) if text[a:b].strip()]
    prompt = "\n".join(message.text for message in trace.prompt.messages)
    return Written(
        text, tuple(tuple(split(SECTION.sub("", section))) for section in parts), gold, prompt, trace
    )


def decided(criterion: Criterion, written: Written) -> bool | None:
    """Decide a criterion by rule.

    Args:
        criterion: whose `by` is a rule or a finding.
        written: the report.

    Returns:
        whether it is met; None if the rule does not apply

    Raises:
        KeyError: no rule has this name.
    """
    if criterion.by.startswith((STATES, DENIED)):
        name = criterion.by.partition(":")[2].strip()
        own = [f for s in written.sentences for f in s.findings if f.name == name and f.status != "absent"]
        return bool(own) == criterion.by.startswith(STATES)
    return RULES[criterion.by](written)


# ---- rules ------------------------------------------------------------------------------------------------


def positives_first(written: Written) -> bool | None:
    """Rule: in each section, positive findings come before negative ones.

    Args:
        written: the report.

    Returns:
        None if no section has both kinds
    """
    seen = False
    for section in written.sections:
        denied = [
            sentence.kind == "negative"
            for sentence in section
            if sentence.kind in ("finding", "device", "negative")
        ]
        if len(set(denied)) == 2:
            seen = True
            if not all(denied[denied.index(True) :]):
                return False
    return True if seen else None


def said_once(written: Written) -> bool | None:
    """Rule: no finding is repeated in a section with the same status, side, place, time and change.

    Args:
        written: the report.

    Returns:
        None for a report without findings
    """
    for section in written.sections:
        keys = [
            key
            for sentence in section
            for key in {(f.name, f.status, f.side, f.places, f.time, f.change) for f in sentence.findings}
        ]
        if len(set(keys)) < len(keys):
            return False
    return True if any(sentence.findings for sentence in written.sentences) else None


def hedges_fit(written: Written) -> bool | None:
    """Rule: supported claims are stated plainly, others hedged or marked.

    Args:
        written: the report; without rulings of the trace, at least the share PLAIN of affirmed findings must
            be stated without a hedge.

    Returns:
        None if there is no claim to check
    """
    labels = {item.claim: item.label for item in written.trace.rulings}
    if labels:
        rows = [
            (bool(MARKED.search(item.text)), labels[item.id] == "supported")
            for item in written.trace.claims
            if item.id in labels and not (item.finding is not None and item.finding.status == "absent")
        ]
        return all(hedged != supported for hedged, supported in rows) if rows else None
    affirmed = [f for item in written.sentences for f in item.findings if f.status in ("present", "possible")]
    if not affirmed:
        return None
    return sum(f.status == "present" for f in affirmed) >= PLAIN * len(affirmed)


def length_in_band(written: Written) -> bool:
    """Rule: the length of the report is within BAND of that of the reference.

    Args:
        written: the report; words of sentences with content count. Without a reference the band is WITHOUT.

    Returns:
        True within the band
    """
    words = sum(
        len(sentence.text.split())
        for sentence in written.sentences
        if sentence.kind not in ("filler", "question", "other")
    )
    own = len(written.gold.split())
    low, high = (BAND[0] * own, BAND[1] * own) if own else WITHOUT
    return low <= words <= max(high, FEWEST)


def no_own_advice(written: Written) -> bool:
    """Rule: a recommendation only if the reference has one.

    Args:
        written: the report.

    Returns:
        False for a recommendation that the reference does not have
    """
    own = any(sentence.kind == "recommendation" for sentence in written.sentences)
    return not own or any(sentence.kind == "recommendation" for sentence in split(written.gold))


def sizes_have_units(written: Written) -> bool | None:
    """Rule: every size has a unit.

    Args:
        written: the report.

    Returns:
        None for a report without sizes
    """
    units = [match[2].casefold() for match in SIZE.finditer(written.text)]
    return all(unit in UNITS for unit in units) if units else None


def no_absent_prior(written: Written) -> bool:
    """Rule: comparisons only if the prompt gives an earlier study.

    Args:
        written: the report.

    Returns:
        False for a comparison without an earlier study
    """
    has_prior = GIVEN_PRIOR.search(written.asked)
    return bool(has_prior) or not any(compares(sentence.text) for sentence in written.sentences)


def limits_stated(written: Written) -> bool | None:
    """Rule: a report with claims that are not supported states its limits.

    Args:
        written: the report.

    Returns:
        None if all rulings are supported, or there are none
    """
    if all(ruling.label == "supported" for ruling in written.trace.rulings):
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
    """Score a report by preferences, static and of its item.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        judged: whether the judge of the run decides the criteria that need one.

    Returns:
        points met of points decided, from 0 to 1
    """
    return rated(sample, trace, judged=judged)
