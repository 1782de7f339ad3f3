"""Assemble a report from a draft and evidence: sections, each a list of lines, and their text.

The text is a pure function of the draft, the evidence and the settings: the same record gives the same bytes.
Sections are Indication, Comparison, Technique, Findings, Impression, Limits; the first three are inputs,
never words of a model. Every report says that it is not for clinical use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medxiaohe import STATEMENT
from medxiaohe.evidence import phrases
from medxiaohe.evidence.claims import by_findings
from medxiaohe.evidence.revision import Line, Policy, revise
from medxiaohe.evidence.rule import Verifier, named, ruled
from medxiaohe.scoring._findings import Lexicon, lexicon
from medxiaohe.types import Claim, Evidence, Finding, Ruling

SECTIONS = ("Indication", "Comparison", "Technique", "Findings", "Impression", "Limits")
GIVEN = {"Indication": "Not given.", "Comparison": "None given.", "Technique": "Not stated."}
NOTHING = "Nothing could be verified."
NOTHING_ACUTE = "No acute abnormality."
MOST_IMPRESSIONS = 5
HEADING = re.compile(
    r"^[ \t]*(?:[#*_]+[ \t]*)*(?P<name>indications?|history|clinical (?:history|information)"
    r"|reason for exam\w*"
    r"|comparisons?|techniques?|examinations?|exam|views?|procedure|findings?|impressions?|conclusions?|assessment"
    r"|limits|limitations)[ \t]*(?:[*_]+[ \t]*)?:[ \t]*(?:[*_]+)?",
    re.IGNORECASE | re.MULTILINE,
)
IMPRESSION = ("impression", "conclusion", "assessment")
LATER = {  # rank of an organ in the section Findings: the order in which radiographs are read
    "lung": 0, "pleura": 1, "heart": 2, "mediastinum": 3, "abdomen": 4, "bones": 5, "devices": 6, "other": 7,
}  # fmt: skip
ORGAN_OF = {
    "pleura": "pleural effusion,pneumothorax,pleural thickening,pleural abnormality",
    "heart": "cardiomegaly,pericardial effusion,heart failure,prosthetic valve",
    "mediastinum": "abnormal mediastinum,pneumomediastinum,lymphadenopathy,abnormal hila,abnormal vasculature"
    ",pulmonary hypertension,aortic tortuosity,aortic calcification,aortic aneurysm,abnormal"
    " aorta,hiatal hernia",
    "abdomen": "elevated diaphragm,flattened diaphragm,abnormal diaphragm,pneumoperitoneum"
    ",ascites,hepatomegaly"
    ",splenomegaly,gallstone,stone,renal stone,renal cyst,hydronephrosis,bowel obstruction",
    "bones": "abnormal bones,fracture,dislocation,degenerative changes,scoliosis,kyphosis,osteopenia"
    ",osteoarthritis,subluxation,abnormal soft tissues,subcutaneous emphysema",
    "devices": "pacemaker,endotracheal tube,nasogastric tube,chest tube,central line,hardware,sternotomy"
    ",bypass grafts,surgical clips,foreign body",
}
_ORGANS = {name: organ for organ, names in ORGAN_OF.items() for name in names.split(",")}


@dataclass(frozen=True, slots=True)
class Report:
    """A report: its inputs, its lines, the lines removed from the draft, and the evidence of each claim.

    `claims` and `rulings` are on the final text, with offsets in it; `drafted` counts the claims of the
    draft.
    """

    given: Mapping[str, str]
    findings: tuple[Line, ...]
    impression: tuple[Line, ...]
    cut: tuple[Line, ...]
    text: str
    claims: tuple[Claim, ...]
    rulings: tuple[Ruling, ...]  # the one that counts for each claim
    drafted: int

    @property
    def verified(self) -> int:
        """Number of supported claims.

        Returns:
            of the claims of the final text
        """
        return sum(ruling.label == "supported" for ruling in self.rulings)

    @property
    def findings_text(self) -> str:
        """Text of the section Findings.

        Returns:
            its lines, joined by blanks
        """
        return " ".join(line.text for line in self.findings)

    @property
    def impression_text(self) -> str:
        """Text of the section Impression.

        Returns:
            its lines without numbers, joined by blanks
        """
        return " ".join(line.text for line in self.impression)

    @property
    def structured(self) -> tuple[Finding, ...]:
        """Findings that the section Findings states.

        Returns:
            in its order, each once
        """
        return tuple(dict.fromkeys(finding for line in self.findings for finding in line.findings))


def assemble(
    draft: str,
    evidence: Sequence[Evidence],
    given: Mapping[str, str] | None = None,
    *,
    verifiers: Sequence[Verifier] | None = None,
    policy: Policy | None = None,
    words: Lexicon | None = None,
) -> Report:
    """Write a report from a draft and evidence.

    Args:
        draft: text of a model or a person, with or without headings.
        evidence: to verify the claims with.
        given: Indication, Comparison and Technique, in words; a missing one becomes a standard phrase.
        verifiers: in the order in which they decide; None: those that ask no model.
        policy: what is done with claims by their rulings; None: replace or cut what is not supported.
        words: the lexicon of findings; None: that of radiology.

    Returns:
        the report, with claims and rulings on its final text

    Raises:
        DataError: the draft has more claims than claims.MAX_CLAIMS.
        ModelError: a verifier returned rulings that do not fit the claims.
    """
    words = words or lexicon()
    verifiers = named() if verifiers is None else verifiers
    body, conclusion = sections_of(draft)
    # findings: the body of the draft, revised and in the order of organs
    first = revise(body, evidence, verifiers=verifiers, policy=policy, words=words)
    findings = _ordered(first.lines)
    impression, cut, drafted = _impression(conclusion, findings, evidence, verifiers, policy, words)
    # the sections that are inputs
    sections = {
        name: " ".join((given or {}).get(name, "").split()) or default for name, default in GIVEN.items()
    }
    return _written(
        sections,
        findings,
        impression,
        (*first.cut, *cut),
        evidence,
        verifiers,
        words,
        len(first.claims) + drafted,
    )


def sections_of(draft: str) -> tuple[str, str]:
    """Split a draft into its body and its impression.

    Args:
        draft: a text with or without headings.

    Returns:
        (text before the first heading and under Findings, text under Impression); text under other headings
        is dropped, and a draft without headings is all body
    """
    draft = draft.replace(NOTHING, "")
    marks = list(HEADING.finditer(draft))
    if not marks:
        return draft, ""
    body, conclusion = [draft[: marks[0].start()]], []
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        text = draft[mark.end() : after.start() if after else len(draft)].strip()
        name = mark["name"].lower().rstrip("s")
        if name == "finding":
            body.append(text)
        elif name in IMPRESSION:
            conclusion.append(text)
    return "\n".join(filter(str.strip, body)), "\n".join(conclusion)


def _ordered(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Sort lines by organ, stable; a line without findings stays behind the line before it."""
    keys, key = [], LATER["lung"]
    for line in lines:
        if line.findings:
            key = LATER[_ORGANS.get(line.findings[0].name, "lung")]
        keys.append(key)
    return tuple(line for _, line in sorted(zip(keys, lines, strict=True), key=lambda pair: pair[0]))


def _impression(
    conclusion: str,
    findings: Sequence[Line],
    evidence: Sequence[Evidence],
    verifiers: Sequence[Verifier],
    policy: Policy | None,
    words: Lexicon,
) -> tuple[tuple[Line, ...], tuple[Line, ...], int]:
    """Lines of the impression, lines cut from the draft's own, and its number of claims in the draft.

    It is the draft's own impression, revised; else the positive findings of the section Findings; else that
    nothing acute was found, if the evidence supports that.
    """
    cut: tuple[Line, ...] = ()
    drafted = 0
    own: list[Line] = []
    if conclusion:
        policy = replace(policy or Policy(), add=False)
        revised = revise(conclusion, evidence, verifiers=verifiers, policy=policy, words=words)
        own, cut, drafted = list(revised.lines), revised.cut, len(revised.claims)
    # no line of the draft's own holds: the affirmed findings of the section Findings
    if not own:
        own = [
            Line(
                phrases.phrase(finding, words),
                "add",
                line.label,
                (finding,),
                line.evidence,
                "of the findings",
                line.draft,
            )
            for line in findings
            if line.label == "supported"
            for finding in line.findings
            if finding.status != "absent" and finding.person == "patient"
        ]
    # no affirmed finding either: "No acute abnormality.", only if it is supported
    if not own:
        claims = by_findings(NOTHING_ACUTE, words)
        (ruling,) = ruled(claims, evidence, verifiers).decided
        if ruling.label == "supported":
            stated = tuple(claim.finding for claim in claims if claim.finding)
            own = [Line(NOTHING_ACUTE, "add", "supported", stated, ruling.evidence, ruling.why)]
    # each sentence once, positive ones first
    once = list({line.text: line for line in own}.values())
    positive = [line for line in once if any(finding.status != "absent" for finding in line.findings)]
    return (*positive, *[line for line in once if line not in positive])[:MOST_IMPRESSIONS], cut, drafted


def _written(
    inputs: Mapping[str, str],
    findings: tuple[Line, ...],
    impression: tuple[Line, ...],
    cut: tuple[Line, ...],
    evidence: Sequence[Evidence],
    verifiers: Sequence[Verifier],
    words: Lexicon,
    drafted: int,
) -> Report:
    """Write the text of a report and locate the claims of its lines in it."""
    text = "".join(f"{name}: {inputs[name]}\n" for name in GIVEN)
    claims: list[Claim] = []

    def put(line: Line, before: str) -> None:
        """Append a line to the text and its claims, with their offsets in the text.

        Args:
            line: of a section.
            before: what separates it from the text so far.
        """
        nonlocal text
        text += before
        for claim in by_findings(line.text, words):
            # offsets of the line become offsets of the report
            at = (len(text) + claim.at[0], len(text) + claim.at[1]) if claim.at else None
            claims.append(replace(claim, id=f"c{len(claims) + 1}", at=at))
        text += line.text

    text += "Findings:"
    for line in findings:
        put(line, " ")
    if not findings:
        text += f" {NOTHING}"
    text += "\nImpression:"
    for number, line in enumerate(impression, 1):
        put(line, f" {number}. " if len(impression) > 1 else " ")
    if not impression:
        text += f" {NOTHING}"
    rulings = ruled(claims, evidence, verifiers).decided
    by_ruling = [replace(c, evidence=r.evidence) for c, r in zip(claims, rulings, strict=True)]
    open_ = [line.text for line in (*findings, *impression) if line.label != "supported"]
    text += f"\nLimits: {' '.join(_limits(rulings, open_, cut))}"
    return Report(inputs, findings, impression, cut, text, tuple(by_ruling), rulings, drafted)


def _limits(rulings: Sequence[Ruling], open_: Sequence[str], cut: Sequence[Line]) -> list[str]:
    """Sentences of the section Limits: the statement of use, what is not verified, what was removed."""
    rows = [STATEMENT]
    if not any(ruling.label == "supported" for ruling in rulings):
        rows.append(NOTHING)
    if open_:
        count = len(dict.fromkeys(open_))
        rows.append(f"{count} {'sentence is' if count == 1 else 'sentences are'} not verified.")
    if cut:
        rows.append(
            f"{len(cut)} {'statement' if len(cut) == 1 else 'statements'} of the draft had no support and"
            f" {'was' if len(cut) == 1 else 'were'} removed."
        )
    return rows
