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


def fhir(document: Document, recorded: str = NO_TIME) -> dict[str, Any]:
    """Convert a report to a FHIR R4B Bundle of type collection.

    Args:
        document: the report, as `of_trace` returns it.
        recorded: time of the report, as a FHIR instant.

    Returns:
        the Bundle: a DiagnosticReport, an Observation for each finding, and a Provenance.
    """
    observations = [
        _observation(f"finding-{number}", finding, sentence)
        for number, (finding, sentence) in enumerate(
            ((finding, sentence) for sentence in document.findings for finding in sentence.findings), 1
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
        "conclusion": " ".join(sentence.text for sentence in document.impression)
        or "Nothing could be verified.",
        "presentedForm": [{"contentType": "text/plain", "data": _base64(document.text)}],
    }
    if observations:
        report["result"] = [{"reference": f"Observation/{row['id']}"} for row in observations]
    sources = [item.sha256 for item in document.evidence if item.sha256]
    sources += [image.sha256 for image in document.images if image.sha256]
    provenance = {
        "resourceType": "Provenance",
        "id": "provenance",
        "target": [{"reference": "DiagnosticReport/report"}],
        "recorded": recorded,
        "agent": [
            {"who": {"display": f"medxiaohe {medxiaohe.__version__}, model {document.model or 'none'}"}}
        ],
    }
    if sources:
        provenance["entity"] = [
            {"role": "source", "what": {"identifier": {"system": "urn:sha256", "value": digest}}}
            for digest in dict.fromkeys(sources)
        ]
    entries = [{"resource": resource} for resource in (report, *observations, provenance)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _observation(id: str, finding: Finding, sentence: Sentence) -> dict[str, Any]:
    details = (finding.side, finding.degree, finding.location, finding.time, finding.change)
    value = ", ".join(filter(None, (PRESENCE[finding.status], *details)))
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": id,
        "status": "preliminary",
        "code": {"text": finding.name},
        "valueCodeableConcept": {"text": value},
        "extension": [{"url": RULING, "valueString": sentence.label}],
        "note": [{"text": sentence.text}],
    }
    if finding.size_mm is not None:
        quantity = {
            "value": finding.size_mm,
            "unit": "mm",
            "system": "http://unitsofmeasure.org",
            "code": "mm",
        }
        resource["component"] = [{"code": {"text": "size"}, "valueQuantity": quantity}]
    return resource


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
