"""Write a report as FHIR R4B: a Bundle of a DiagnosticReport, an Observation for each finding, and a
Provenance.

Status is always `preliminary`: nobody has signed it. Codes are texts: the lexicon has no SNOMED CT ids, and a
wrong code is worse than none. Evidence is named by its SHA-256.
"""

from __future__ import annotations

import base64
from typing import Any

import medxiaohe
from medxiaohe import STATEMENT
from medxiaohe.reports.document import Document, Sentence
from medxiaohe.types import Finding

RULING = "urn:medxiaohe:ruling"
NO_TIME = "1970-01-01T00:00:00Z"  # FHIR asks for one, and equal reports are to be equal bytes
PRESENCE = {"present": "present", "absent": "absent", "uncertain": "possible"}


def fhir(found: Document, recorded: str = NO_TIME) -> dict[str, Any]:
    """Convert a report to a FHIR R4B Bundle of type collection.

    Args:
        found: the report.
        recorded: time of the report, as a FHIR instant.

    Returns:
        the Bundle: a DiagnosticReport, an Observation for each finding, and a Provenance.
    """
    observations = [
        _observation(f"finding-{number}", one, sentence)
        for number, (one, sentence) in enumerate(
            ((one, sentence) for sentence in found.findings for one in sentence.findings), 1
        )
    ]
    report = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "preliminary",
        "code": {"text": "Imaging report"},
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{STATEMENT}</div>',
        },
        "conclusion": " ".join(one.text for one in found.impression) or "Nothing could be verified.",
        "presentedForm": [{"contentType": "text/plain", "data": _base64(found.text)}],
    }
    if observations:
        report["result"] = [{"reference": f"Observation/{one['id']}"} for one in observations]
    sources = [item.sha256 for item in found.evidence if item.sha256]
    sources += [image.sha256 for image in found.images if image.sha256]
    provenance = {
        "resourceType": "Provenance",
        "id": "provenance",
        "target": [{"reference": "DiagnosticReport/report"}],
        "recorded": recorded,
        "agent": [{"who": {"display": f"medxiaohe {medxiaohe.__version__}, model {found.model or 'none'}"}}],
    }
    if sources:
        provenance["entity"] = [
            {"role": "source", "what": {"identifier": {"system": "urn:sha256", "value": one}}}
            for one in dict.fromkeys(sources)
        ]
    entries = [{"resource": one} for one in (report, *observations, provenance)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _observation(id: str, one: Finding, sentence: Sentence) -> dict[str, Any]:
    details = (one.side, one.degree, one.location, one.time, one.change)
    value = ", ".join(filter(None, (PRESENCE[one.status], *details)))
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "id": id,
        "status": "preliminary",
        "code": {"text": one.name},
        "valueCodeableConcept": {"text": value},
        "extension": [{"url": RULING, "valueString": sentence.label}],
        "note": [{"text": sentence.text}],
    }
    if one.size_mm is not None:
        quantity = {"value": one.size_mm, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm"}
        found["component"] = [{"code": {"text": "size"}, "valueQuantity": quantity}]
    return found


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
