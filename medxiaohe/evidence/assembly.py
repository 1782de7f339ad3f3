"""A report out of a draft and evidence: sections, each a list of lines, and the text that they make.

The text is a pure function of the draft, the evidence and the settings: whoever has the record of both writes
the same bytes again. Sections are Indication, Comparison, Technique, Findings, Impression, Limits; the first
three are as given, never as a model wrote them. Every report says that it is not for clinical use.
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
LATER = {  # where a finding stands in the section: organs in the order in which radiographs are read
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
    """A report: what was given, what was found, what was cut, and on which evidence.

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
        """How many claims of the text are supported."""
        return sum(one.label == "supported" for one in self.rulings)

    @property
    def findings_text(self) -> str:
        """The section Findings."""
        return " ".join(line.text for line in self.findings)

    @property
    def impression_text(self) -> str:
        """The section Impression, without numbers."""
        return " ".join(line.text for line in self.impression)

    @property
    def structured(self) -> tuple[Finding, ...]:
        """The findings that the section Findings states, in its order, each once."""
        return tuple(dict.fromkeys(one for line in self.findings for one in line.findings))


def assemble(
    draft: str,
    evidence: Sequence[Evidence],
    given: Mapping[str, str] | None = None,
    *,
    verifiers: Sequence[Verifier] | None = None,
    policy: Policy | None = None,
    words: Lexicon | None = None,
) -> Report:
    """Write a report of a draft and evidence.

    Args:
        draft: what a model or a person wrote, with or without headings.
        given: Indication, Comparison and Technique, in words.
        verifiers: in the order in which they decide; by default those that ask no model.
        policy: what is done with claims by their rulings.
        words: the lexicon of findings.
    """
    words = words or lexicon()
    verifiers = named() if verifiers is None else verifiers
    body, conclusion = sections_of(draft)
    first = revise(body, evidence, verifiers=verifiers, policy=policy, words=words)
    findings = _ordered(first.lines)
    impression, cut, drafted = _impression(conclusion, findings, evidence, verifiers, policy, words)
    sections = {name: " ".join((given or {}).get(name, "").split()) or other for name, other in GIVEN.items()}
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
    """The body of a draft and its impression; what a draft says under the other headings is not used."""
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
    """Lines by organ; one without findings stays behind the line before it."""
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
    """The lines of the impression, what was cut out of it, and how many claims it had in the draft.

    It is the draft's own, revised; else the positive findings of the section Findings; else that nothing
    acute was found, where the evidence bears that out.
    """
    cut: tuple[Line, ...] = ()
    drafted = 0
    own: list[Line] = []
    if conclusion:
        policy = replace(policy or Policy(), add=False)
        revised = revise(conclusion, evidence, verifiers=verifiers, policy=policy, words=words)
        own, cut, drafted = list(revised.lines), revised.cut, len(revised.claims)
    if not own:
        own = [
            Line(
                phrases.phrase(one, words),
                "add",
                line.label,
                (one,),
                line.evidence,
                "of the findings",
                line.draft,
            )
            for line in findings
            if line.label == "supported"
            for one in line.findings
            if one.status != "absent" and one.person == "patient"
        ]
    if not own:
        claims = by_findings(NOTHING_ACUTE, words)
        (ruling,) = ruled(claims, evidence, verifiers).decided
        if ruling.label == "supported":
            found = tuple(claim.finding for claim in claims if claim.finding)
            own = [Line(NOTHING_ACUTE, "add", "supported", found, ruling.evidence, ruling.why)]
    once = list({line.text: line for line in own}.values())
    positive = [line for line in once if any(one.status != "absent" for one in line.findings)]
    return (*positive, *[line for line in once if line not in positive])[:MOST_IMPRESSIONS], cut, drafted


def _written(
    given: Mapping[str, str],
    findings: tuple[Line, ...],
    impression: tuple[Line, ...],
    cut: tuple[Line, ...],
    evidence: Sequence[Evidence],
    verifiers: Sequence[Verifier],
    words: Lexicon,
    drafted: int,
) -> Report:
    """The text of a report, and the claims of its lines where they stand in it."""
    text = "".join(f"{name}: {given[name]}\n" for name in GIVEN)
    claims: list[Claim] = []

    def put(line: Line, before: str) -> None:
        nonlocal text
        text += before
        for claim in by_findings(line.text, words):
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
    return Report(given, findings, impression, cut, text, tuple(by_ruling), rulings, drafted)


def _limits(rulings: Sequence[Ruling], open_: Sequence[str], cut: Sequence[Line]) -> list[str]:
    """What a reader must know of the report."""
    rows = [STATEMENT]
    if not any(one.label == "supported" for one in rulings):
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
