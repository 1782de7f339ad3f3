"""Write a finding as a sentence that the extractor parses to the same finding: No left pleural effusion."""

from __future__ import annotations

from dataclasses import replace

from medxiaohe.scoring._findings import Lexicon
from medxiaohe.types import Finding

SIDES = {"both": "bilateral"}
CHANGES = {"larger": "increased", "smaller": "decreased"}
UNCERTAIN = "possible"
NOT_VERIFIED = "Not verified:"  # before a sentence that nobody could judge


def phrase(one: Finding, words: Lexicon) -> str:
    """Write a finding as one telegraphic sentence, in the style of impressions of radiology reports.

    Args:
        one: a finding.
        words: names of findings.

    Returns:
        a sentence such as "No left pleural effusion."
    """
    name = words.name_of(one.name)
    size = f"{one.size_mm:g} mm" if one.size_mm is not None else ""
    before = {"absent": "no", "uncertain": UNCERTAIN}.get(one.status, "")
    traits = (
        before,
        CHANGES.get(one.change, one.change),
        one.time,
        one.degree,
        size,
        SIDES.get(one.side, one.side),
    )
    places = [words.name_of(place) for place in one.location.split(", ")]
    where = f"in the {_joined(places)}" if one.location else ""
    said = " ".join(filter(None, (*traits, name, where)))
    return f"{said[:1].upper()}{said[1:]}."


def hedged(one: Finding, words: Lexicon) -> str:
    """Write a finding as a possibility; a denial stays a denial.

    Args:
        one: a finding.
        words: names of findings.

    Returns:
        a sentence such as "Possible left pleural effusion."
    """
    return phrase(one if one.status == "absent" else replace(one, status="uncertain"), words)


def _joined(places: list[str]) -> str:
    return " and ".join([", ".join(places[:-1]), places[-1]]) if len(places) > 1 else places[0]
