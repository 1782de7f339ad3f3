"""Verifier: compare the finding of a claim with the findings of the evidence.

Name, side, degree, location, time, change and size are compared.

    supported     evidence has the finding or a kind of it, with every detail that the claim gives; a
                  denial is supported by the same or a wider one ("the lungs are clear" denies an infiltrate)
    contradicted  evidence denies it, or affirms what the claim denies, for the same side and location; or has
                  it with another degree, size, change or side
    unsupported   evidence does not mention it, or says less than the claim does

Support comes first: of evidence that says both, the agreement counts. "No acute abnormality" is supported if
the evidence has nothing acute and calls an organ of the chest normal, contradicted if it has something acute.
Claims without a finding are unjudged.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medxiaohe.evidence.claims import as_finding
from medxiaohe.scoring._findings import Lexicon, lexicon
from medxiaohe.scoring.findings import same_size
from medxiaohe.types import Claim, Evidence, Finding, Label, Ruling

NAME = "findings"
ACUTE = frozenset(
    "pneumonia,consolidation,infiltrate,lung opacity,pulmonary edema,vascular congestion,pneumothorax,pleural"
    " effusion,heart failure,aspiration,contusion,pneumomediastinum,pneumoperitoneum,pulmonary"
    " embolism,lung mass"
    ",lung nodule,cavity,metastasis,abscess".split(",")
)
ANY_ACUTE = "acute abnormality"
ORGANS = frozenset(
    "lung abnormality,cardiomegaly,abnormal mediastinum,pleural abnormality,abnormal hila"
    ",abnormal vasculature".split(",")
)
# near synonyms on a radiograph, which reports use interchangeably
ALIKE = (frozenset({"consolidation", "infiltrate"}),)


@dataclass(frozen=True, slots=True)
class Seen:
    """A finding of a piece of evidence."""

    finding: Finding
    evidence: str  # its id


def findings(
    claims: Sequence[Claim], evidence: Sequence[Evidence], *, tree: Path | None = None
) -> list[Ruling]:
    """Rule on claims by the findings of the texts of the evidence.

    Args:
        claims: to rule on.
        evidence: to verify them with.
        tree: folder of a tree whose names are added to those of the lexicon of radiology.

    Returns:
        one ruling for each claim, in order
    """
    words = lexicon(tree)
    seen = [Seen(finding, item.id) for item in evidence for finding in read(item.text, words)]
    return [_ruling(claim, seen, words) for claim in claims]


@functools.lru_cache(maxsize=512)
def read(text: str, words: Lexicon) -> tuple[Finding, ...]:
    """Extract the findings of a text; cached for the last 512 texts.

    Args:
        text: of evidence.
        words: names of findings.

    Returns:
        in the form that claims have, in order
    """
    return tuple(as_finding(finding) for finding in words.findings(text))


def _ruling(claim: Claim, seen: Sequence[Seen], words: Lexicon) -> Ruling:
    if claim.finding is None:
        return Ruling(claim.id, "unjudged", by=NAME, why="the claim names no finding")
    label, ids, why = judge(claim.finding, seen, words)
    return Ruling(claim.id, label, ids, NAME, why)


def judge(claim: Finding, seen: Sequence[Seen], words: Lexicon) -> tuple[Label, tuple[str, ...], str]:
    """Rule on one finding by the findings of the evidence.

    Args:
        claim: a finding.
        seen: findings of the evidence, with its ids.
        words: names of findings and their parents.

    Returns:
        (label, ids of evidence, reason)
    """
    above = functools.partial(_is_or_above, parents=words.parents)
    same = [item for item in seen if (item.finding.person == "patient") == (claim.person == "patient")]
    short: list[tuple[Seen, str]] = []  # evidence of the finding with less detail than the claim, and which
    against: list[tuple[Seen, str]] = []
    for item in same:
        evidenced = item.finding
        if claim.status == "absent":
            # denial by a denial of the same or a wider finding: supported, unless that is narrower in side or
            # location
            if evidenced.status == "absent" and above(evidenced.name, claim.name):
                if why := _narrower(claim, evidenced):
                    short.append((item, why))
                else:
                    return "supported", (item.evidence,), f"no {evidenced.name}"
            # denial by an affirmed finding of the kind on the same side and location: contradicted
            elif (
                evidenced.status != "absent" and above(claim.name, evidenced.name) and _meet(claim, evidenced)
            ):
                against.append((item, f"{_said(evidenced)} is in the evidence"))
        elif evidenced.status == "absent":
            # affirmation by a denial of it or of a wider finding that reaches its side and location:
            # contradicted
            if above(evidenced.name, claim.name) and _covers(evidenced, claim):
                against.append((item, f"{evidenced.name} is denied"))
        elif above(claim.name, evidenced.name):
            # affirmation by the same or a narrower finding: its details decide
            kind, why = _details(claim, evidenced)
            if kind == "agree":
                return "supported", (item.evidence,), _said(evidenced)
            (short if kind == "open" else against).append((item, why))
    # "no acute abnormality": by anything acute in the evidence, else by organs that it calls normal
    if claim.name == ANY_ACUTE and claim.status == "absent" and not against:
        if acute := [item for item in same if _is_acute(item.finding)]:
            return "contradicted", (acute[0].evidence,), f"{_said(acute[0].finding)} is in the evidence"
        normal = [item for item in same if item.finding.status == "absent" and item.finding.name in ORGANS]
        if normal:
            ids = tuple(dict.fromkeys(item.evidence for item in normal))
            return "supported", ids, "nothing acute is in the evidence, and organs are normal"
    if against:
        return "contradicted", (against[0][0].evidence,), against[0][1]
    if short:
        return "unsupported", (short[0][0].evidence,), short[0][1]
    return "unsupported", (), f"the evidence says nothing of {claim.name}"


def _is_or_above(general: str, special: str, parents: dict[str, str]) -> bool:
    """Whether a name is the other name, one of its parents, or a near synonym of one (ALIKE)."""
    name, passed = special, set[str]()
    while name and name not in passed:
        if name == general or any({name, general} <= alike for alike in ALIKE):
            return True
        passed.add(name)
        name = parents.get(name, "")
    return False


def _narrower(claim: Finding, denied: Finding) -> str:
    """Reason why a denial of the evidence covers less than that of the claim, or ""."""
    if denied.side not in ("", "both") and claim.side != denied.side:
        return f"it is denied on the {denied.side} only"
    if denied.location and not _places(claim) <= _places(denied):
        return f"it is denied in the {denied.location} only"
    return ""


def _covers(denied: Finding, claim: Finding) -> bool:
    """Whether a denial covers what the claim affirms: its side and one of its locations."""
    if denied.side in ("left", "right") and claim.side not in (denied.side, "both"):
        return False
    return not _places(denied) or bool(_places(denied) & _places(claim))


def _meet(denied: Finding, evidenced: Finding) -> bool:
    """Whether what the claim denies and what the evidence affirms overlap in side and location."""
    if {denied.side, evidenced.side} == {"left", "right"}:
        return False
    if denied.side in ("left", "right") and not evidenced.side:
        return False
    return not (_places(denied) and _places(evidenced)) or bool(_places(denied) & _places(evidenced))


def _details(claim: Finding, evidenced: Finding) -> tuple[str, str]:
    """Compare details of a claim with evidence of the same finding: (agree, open or differ, reason)."""
    if claim.side and claim.side != evidenced.side and evidenced.side != "both":
        if not evidenced.side:
            return "open", f"the evidence gives no side, not {claim.side}"
        return "differ", f"{evidenced.side} in the evidence, not {claim.side}"
    # details that both give and that differ
    for name in ("degree", "time"):
        mine, theirs = getattr(claim, name), getattr(evidenced, name)
        if mine and theirs and mine != theirs:
            return "differ", f"{theirs} in the evidence, not {mine}"
    if claim.size_mm and evidenced.size_mm and not same_size(claim.size_mm, evidenced.size_mm):
        return "differ", f"{evidenced.size_mm:g} mm in the evidence, not {claim.size_mm:g} mm"
    if claim.change and evidenced.change and claim.change != evidenced.change:
        return "differ", f"{evidenced.change} in the evidence, not {claim.change}"
    if _places(claim) and _places(evidenced) and not _places(claim) & _places(evidenced):
        return "open", f"in the {evidenced.location} in the evidence, not in the {claim.location}"
    # certainty and details that only the claim gives
    if claim.status == "present" and evidenced.status == "uncertain":
        return "open", "the evidence calls it possible only"
    for name in ("degree", "time", "change", "size_mm"):
        if getattr(claim, name) and not getattr(evidenced, name):
            value = f"{claim.size_mm:g} mm" if name == "size_mm" else getattr(claim, name)
            return "open", f"the evidence does not say {value}"
    if _places(claim) and not _places(evidenced):
        return "open", f"the evidence does not say {claim.location}"
    return "agree", ""


def _is_acute(finding: Finding) -> bool:
    return (
        finding.status == "present"
        and finding.time != "chronic"
        and (finding.name in ACUTE or finding.time == "acute")
    )


def _places(finding: Finding) -> set[str]:
    # "left lower lobe" of a place with its side is the place
    return {
        name.removeprefix("left ").removeprefix("right ") for name in finding.location.split(", ") if name
    }


def _said(finding: Finding) -> str:
    words = (
        finding.change,
        finding.time,
        finding.degree,
        finding.side,
        finding.name,
        f"({finding.location})" if finding.location else "",
    )
    return " ".join(filter(None, words))


EXAMPLE = (
    (
        Claim("c1", "Small left effusion.", finding=Finding("pleural effusion", side="left", degree="mild")),
        Claim("c2", "No pneumothorax.", finding=Finding("pneumothorax", "absent")),
        Claim("c3", "Cardiomegaly.", finding=Finding("cardiomegaly")),
    ),
    (Evidence("e1", "There is a small left pleural effusion and a pneumothorax.", "report"),),
    ("supported", "contradicted", "unsupported"),
)
