"""Revise a draft by the rulings on its claims: keep, hedge, cut, replace, add.

    revise(draft, evidence)   -> lines, each with the claims it states and the evidence for them

A sentence stays unchanged if all its claims are kept, with a full stop added if it has none; else those
that are kept are written as phrases. A claim that says more than the evidence (a side, a degree, a change) is
replaced by the statement of the evidence. Findings that the evidence affirms and the draft lacks are added.
Every line that a revision writes is supported by evidence; at most two rounds, and a second revision of the
same text changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from medxiaohe.evidence import phrases
from medxiaohe.evidence.claims import by_findings
from medxiaohe.evidence.rule import Ruled, Verifier, named, ruled
from medxiaohe.evidence.sentences import ADVICE
from medxiaohe.evidence.verifiers import measured
from medxiaohe.evidence.verifiers.findings import Seen, judge, read
from medxiaohe.scoring._findings import Lexicon, lexicon
from medxiaohe.types import Claim, Evidence, Finding, Ruling

Action = Literal["keep", "hedge", "cut", "replace", "add"]
ACTIONS = ("keep", "hedge", "cut", "replace")  # that a policy may name
ENDED = re.compile(r"[.!?。！？][\"'’”)\]]*$")
ROUNDS = 2
ADDED_FROM = (
    "passage",
    "record",
    "region",
    "measurement",
    "relation",
)  # kinds of evidence; never a prior study


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done with a claim by its ruling: keep, hedge, cut, or replace (by the evidence, else cut)."""

    contradicted: Action = "replace"
    unsupported: Action = "replace"  # of affirmed findings
    denials: Action = "keep"  # unsupported ones; they are marked as not verified
    unjudged: Action = "cut"
    add: bool = True  # add findings that the evidence affirms and the draft lacks


DRAFT = Policy("keep", "keep", "keep", "keep", add=False)
CUT_CONTRADICTED = Policy("cut", "keep", "keep", "keep", add=False)
CUT_UNSUPPORTED = Policy("cut", "cut", "keep", "keep", add=False)
KEEP_SUPPORTED = Policy("cut", "cut", "cut", "cut", add=False)
ARMS = {  # policies that experiments compare, the unchanged draft first
    "draft": DRAFT,
    "cut contradicted": CUT_CONTRADICTED,
    "cut": CUT_UNSUPPORTED,
    "add": Policy("keep", "keep", "keep", "keep"),
    "cut + add": Policy("cut", "cut", "keep", "keep"),
    "replace + add": Policy(),
    "hedge": Policy("hedge", "hedge", "keep", "hedge", add=False),
    "keep only supported": KEEP_SUPPORTED,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of the revised text, or one cut out of the draft."""

    text: str
    action: Action
    label: str  # ruling on the weakest of its claims
    findings: tuple[Finding, ...] = ()
    evidence: tuple[str, ...] = ()
    why: str = ""
    draft: tuple[str, ...] = ()  # ids of the claims of the draft that it comes from
    needs: str = "image"


@dataclass(frozen=True, slots=True)
class Revised:
    """A revised text, and the lines cut out of the draft."""

    lines: tuple[Line, ...]
    cut: tuple[Line, ...]
    claims: tuple[Claim, ...]  # of the draft
    ruled: Ruled  # on them
    rounds: int

    @property
    def text(self) -> str:
        """Text of the lines.

        Returns:
            joined by blanks
        """
        return " ".join(line.text for line in self.lines)


def revise(
    draft: str,
    evidence: Sequence[Evidence],
    *,
    verifiers: Sequence[Verifier] | None = None,
    policy: Policy | None = None,
    words: Lexicon | None = None,
) -> Revised:
    """Revise a draft by evidence.

    Args:
        draft: a text of English radiology; other texts have claims, but no findings to rewrite.
        evidence: to verify the claims with.
        verifiers: in the order in which they decide; None: those that ask no model.
        policy: action for each ruling; None: the defaults of Policy.
        words: the lexicon of findings; None: that of radiology.

    Returns:
        the lines, each sentence once, with the lines cut, the claims of the draft and the rulings on them

    Raises:
        DataError: the draft has more claims than claims.MAX_CLAIMS.
        ModelError: a verifier returned rulings that do not fit the claims.
    """
    words, policy = words or lexicon(), policy or Policy()
    verifiers = named() if verifiers is None else verifiers
    # first round: rule on each claim of the draft and choose its action
    claims = by_findings(draft, words)
    first = ruled(claims, evidence, verifiers)
    rows = list(_decided(claims, first.decided, evidence, policy, words))
    if policy.add:
        rows += _added(rows, evidence, words)
    # second round: verify the sentences of the first, and cut those that no evidence supports
    lines, cut = [], [line for line in rows if line.action == "cut"]
    for line in rows:
        if line.action in ("replace", "add") and not _holds(line, evidence, verifiers, words):
            cut.append(replace(line, action="cut", why="no evidence bears out the revised sentence"))
        elif line.action != "cut":
            lines.append(replace(line, text=_ended(line.text)))
    seen: set[str] = set()
    once = [line for line in lines if not (line.text in seen or seen.add(line.text))]  # type: ignore[func-returns-value]
    return Revised(tuple(once), tuple(cut), tuple(claims), first, ROUNDS)


def _decided(
    claims: Sequence[Claim],
    rulings: Sequence[Ruling],
    evidence: Sequence[Evidence],
    policy: Policy,
    words: Lexicon,
) -> Iterator[Line]:
    """The lines of each sentence of the draft, in order."""
    seen = [Seen(finding, item.id) for item in evidence for finding in read(item.text, words)]
    number = 0
    for text, group in groupby(claims, key=lambda claim: claim.text):
        rows = [
            (claim, ruling, _action(claim, ruling, policy))
            for claim, ruling in zip(group, rulings[number:], strict=False)
        ]
        number += len(rows)
        if all(action == "keep" for *_, action in rows):
            yield _said(_kept(text, rows), words)
            continue
        for claim, ruling, action in rows:
            counts = claim.finding is None and action == "replace"
            if counts and (line := _as_measured(claim, ruling, evidence, words)):
                yield line
            else:
                yield _rewritten(claim, ruling, action, seen, words)


def _ended(text: str) -> str:
    """A sentence with its full stop; without one a denial would extend to the next line."""
    return text if ENDED.search(text) else f"{text.rstrip(' ,;:-')}."


def _action(claim: Claim, ruling: Ruling, policy: Policy) -> Action:
    """Action of a policy for one claim by its ruling."""
    if ruling.label == "supported":
        return "keep"
    if ruling.label == "contradicted":
        return policy.contradicted
    if claim.text.startswith(phrases.NOT_VERIFIED):
        return "keep"
    if ruling.label == "unjudged":
        # unjudged advice has no support either: it is treated like an unsupported claim
        return policy.unsupported if ADVICE.search(claim.text) else policy.unjudged
    if claim.needs == "prior":
        return policy.unsupported
    if claim.finding is not None and claim.finding.status == "absent":
        return policy.denials
    if claim.finding is not None and claim.finding.status == "uncertain" and policy.unsupported == "hedge":
        return "keep"
    return policy.unsupported


def _kept(text: str, rows: Sequence[tuple[Claim, Ruling, Action]]) -> Line:
    """Line of a sentence whose claims are all kept: its label is that of its worst claim."""
    labels = [ruling.label for _, ruling, _ in rows]
    return Line(
        text,
        "keep",
        next(label for label in ("contradicted", "unsupported", "unjudged", "supported") if label in labels),
        (),
        tuple(dict.fromkeys(id for _, ruling, _ in rows for id in ruling.evidence)),
        "; ".join(dict.fromkeys(ruling.why for _, ruling, _ in rows)),
        tuple(claim.id for claim, *_ in rows),
        rows[0][0].needs,
    )


def _rewritten(claim: Claim, ruling: Ruling, action: Action, seen: Sequence[Seen], words: Lexicon) -> Line:
    """Line of one claim of a sentence that is not kept unchanged."""
    claimed = claim.finding
    line = Line(claim.text, "cut", ruling.label, (), ruling.evidence, ruling.why, (claim.id,), claim.needs)
    if action == "hedge":
        if claimed is None:
            return replace(line, action="hedge", text=f"{phrases.NOT_VERIFIED} {claim.text}")
        return _said(replace(line, action="hedge", text=phrases.hedged(claimed, words)), words)
    if claimed is None:
        return replace(line, action="keep") if action == "keep" else line
    if action == "keep":
        return _said(replace(line, action="keep", text=phrases.phrase(claimed, words)), words)
    if action == "replace" and (evidenced := _as_evidenced(claimed, seen, words)):
        finding, ids = evidenced
        text = phrases.phrase(finding, words)
        return _said(replace(line, action="replace", text=text, evidence=ids, label="supported"), words)
    return line


def _said(line: Line, words: Lexicon) -> Line:
    """The line with the findings and counts that its text is parsed to."""
    return replace(line, findings=(*read(line.text, words), *measured.findings_of(line.text)))


def _as_evidenced(
    claimed: Finding, seen: Sequence[Seen], words: Lexicon
) -> tuple[Finding, tuple[str, ...]] | None:
    """The supported finding of the evidence with the name of an affirmed claim, and its evidence ids."""
    if claimed.status == "absent":
        return None
    for item in seen:
        evidenced = item.finding
        if (
            evidenced.status != "absent"
            and evidenced.name == claimed.name
            and evidenced.person == claimed.person
        ):
            label, ids, _ = judge(evidenced, seen, words)
            if label == "supported":
                return evidenced, ids
    return None


def _as_measured(claim: Claim, ruling: Ruling, evidence: Sequence[Evidence], words: Lexicon) -> Line | None:
    """Line with the measured count of the cells that a claim counts, or None."""
    for text, ids in measured.statements(evidence):
        if measured.kinds_of(text) & measured.kinds_of(claim.text):
            line = Line(text, "replace", "supported", (), ids, ruling.why, (claim.id,), claim.needs)
            return _said(line, words)
    return None


def _added(lines: Sequence[Line], evidence: Sequence[Evidence], words: Lexicon) -> list[Line]:
    """A line for each finding or count that the evidence affirms and no line states."""
    # findings that the lines affirm; a finding of the same family (parent or child) is not added again
    named_ = {
        finding.name
        for line in lines
        if line.action != "cut"
        for finding in line.findings
        if finding.status != "absent"
    }
    added: list[Line] = []
    counted = {kind for line in lines if line.action != "cut" for kind in measured.kinds_of(line.text)}
    for text, ids in measured.statements(evidence):
        if not measured.kinds_of(text) & counted:
            added.append(
                _said(Line(text, "add", "supported", (), ids, "measured, and not in the draft"), words)
            )
    for item in evidence:
        if item.kind not in ADDED_FROM:
            continue
        for finding in read(item.text, words):
            if (
                finding.status == "absent"
                or finding.person != "patient"
                or named_ & _family(finding.name, named_, words)
            ):
                continue
            named_.add(finding.name)
            line = Line(
                phrases.phrase(finding, words), "add", "supported", (), (item.id,), "in the evidence only"
            )
            added.append(_said(line, words))
    return added


def _family(name: str, names: set[str], words: Lexicon) -> set[str]:
    """A finding, its parents, and those of `names` that are below it."""
    own, below = {name}, {below_name for below_name in names if name in _above(below_name, words)}
    return own | set(_above(name, words)) | below


def _above(name: str, words: Lexicon) -> list[str]:
    parents: list[str] = []
    while (name := words.parents.get(name, "")) and name not in parents:
        parents.append(name)
    return parents


def _holds(line: Line, evidence: Sequence[Evidence], verifiers: Sequence[Verifier], words: Lexicon) -> bool:
    """Whether a sentence that the revision wrote is supported, as it will be read."""
    claims = by_findings(line.text, words)
    return bool(claims) and all(
        ruling.label == "supported" for ruling in ruled(claims, evidence, verifiers).decided
    )
