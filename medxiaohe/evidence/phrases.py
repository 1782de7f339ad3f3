"""Write a finding as a sentence that the extractor parses to the same finding: No left pleural effusion."""

from __future__ import annotations

from dataclasses import replace

from medxiaohe.scoring._findings import Lexicon
from medxiaohe.types import Finding

SIDES = {"both": "bilateral"}
CHANGES = {"larger": "increased", "smaller": "decreased"}
UNCERTAIN = "possible"
NOT_VERIFIED = "Not verified:"  # prefix of a sentence that is not verified


def phrase(finding: Finding, words: Lexicon) -> str:
    """Write a finding as one telegraphic sentence, in the style of impressions of radiology reports.

    Args:
        finding: to be written.
        words: names of findings.

    Returns:
        a sentence such as "No left pleural effusion."
    """
    name = words.name_of(finding.name)
    size = f"{finding.size_mm:g} mm" if finding.size_mm is not None else ""
    before = {"absent": "no", "uncertain": UNCERTAIN}.get(finding.status, "")
    traits = (
        before,
        CHANGES.get(finding.change, finding.change),
        finding.time,
        finding.degree,
        size,
        SIDES.get(finding.side, finding.side),
    )
    places = [words.name_of(name_of_place) for name_of_place in finding.location.split(", ")]
    location = f"in the {_joined(places)}" if finding.location else ""
    text = " ".join(filter(None, (*traits, name, location)))
    return f"{text[:1].upper()}{text[1:]}."


def hedged(finding: Finding, words: Lexicon) -> str:
    """Write a finding as a possibility; a denial stays a denial.

    Args:
        finding: to be written.
        words: names of findings.

    Returns:
        a sentence such as "Possible left pleural effusion."
    """
    return phrase(finding if finding.status == "absent" else replace(finding, status="uncertain"), words)


def _joined(places: list[str]) -> str:
    return " and ".join([", ".join(places[:-1]), places[-1]]) if len(places) > 1 else places[0]
