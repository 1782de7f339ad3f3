"""Export a trace as FHIR R4B: a Bundle of a DocumentReference with the answer, and its Provenance.

For traces that are no reports; those are DiagnosticReports (reports/fhir.py). Sources, model and the trace
itself are named by digest, so that whoever has the folder of traces can look them up. Its status is
`preliminary`: nobody has signed it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe import STATEMENT
from medxiaohe.traces.records import Opening, Record

NO_TIME = "1970-01-01T00:00:00Z"  # FHIR asks for one, and traces hold none
TRACE, SHA256 = "urn:medxiaohe:trace", "urn:sha256"
RULING = "urn:medxiaohe:ruling"


def fhir(name: str, records: Sequence[Record], openings: Mapping[str, Opening]) -> dict[str, Any]:
    """Convert a trace to a FHIR R4B Bundle.

    Args:
        name: SHA-256 of the head.
        records: of the trace.
        openings: of its sealed records; the text of the answer is included where it is open.

    Returns:
        the Bundle as JSON data.
    """
    answer = next(record for record in records if record["kind"] == "answer")
    attachment: dict[str, Any] = {"contentType": "text/plain"}
    if answer["id"] in openings:
        data = str(openings[answer["id"]][1]["text"]).encode()
        attachment["data"] = base64.b64encode(data).decode()
        attachment["hash"] = base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
    labels = [record["label"] for record in records if record["kind"] == "ruling"]
    document: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": "answer",
        "status": "current",
        "docStatus": "preliminary",
        "type": {"text": "Answer of a workflow"},
        "description": STATEMENT,
        "content": [{"attachment": attachment}],
        "extension": [
            {"url": f"{RULING}:{label}", "valueInteger": labels.count(label)} for label in sorted(set(labels))
        ],
    }
    if not document["extension"]:
        del document["extension"]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": document}, {"resource": _provenance(name, records)}],
    }


def _provenance(name: str, records: Sequence[Record]) -> dict[str, Any]:
    origin = records[-1]["origin"]
    who = f"medxiaohe, workflow {origin.get('workflow', 'unknown')}, model {origin.get('model', 'unknown')}"
    sources = [(SHA256, record["sha256"]) for record in records if "sha256" in record]
    return {
        "resourceType": "Provenance",
        "id": "provenance",
        "target": [{"reference": "DocumentReference/answer"}],
        "recorded": NO_TIME,
        "agent": [{"who": {"display": who}}],
        "entity": [named(system, value) for system, value in ((TRACE, name), *sources)],
    }


def named(system: str, value: str) -> dict[str, Any]:
    """Build a FHIR Provenance.entity that names a source by its digest.

    Args:
        system: URI of the identifier system.
        value: the digest.

    Returns:
        a JSON row with the role `source`.
    """
    return {"role": "source", "what": {"identifier": {"system": system, "value": value}}}
