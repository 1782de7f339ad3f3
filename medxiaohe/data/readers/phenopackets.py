"""GA4GH phenopackets, one JSON file a case: signs present and absent, and the diagnosis asked for.

Made for the phenopacket store of the Monarch Initiative (Danis et al. 2025), cases from published reports;
the article is the study, so that all patients of a report stay on one side of a split.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import files as contents
from medxiaohe.data.formats.records import MAX_JSON, parsed
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import DataError
from medxiaohe.types import Message, Sample

LICENSE = "BSD-3-Clause"
EXAMPLE = {
    "PMID_1_Patient_1.json": json.dumps(
        {
            "id": "PMID_1_Patient_1",
            "subject": {
                "id": "Patient 1",
                "timeAtLastEncounter": {"age": {"iso8601duration": "P6M"}},
                "sex": "MALE",
            },
            "phenotypicFeatures": [
                {"type": {"id": "HP:0000252", "label": "Microcephaly"}},
                {"type": {"id": "HP:0001290", "label": "Generalized hypotonia"}, "excluded": True},
            ],
            "diseases": [
                {"term": {"id": "OMIM:614959", "label": "Developmental and epileptic encephalopathy 14"}}
            ],
            "metaData": {"externalReferences": [{"id": "PMID:1"}]},
        }
    )
}
UNITS = {"Y": "year", "M": "month", "W": "week", "D": "day"}


def phenopackets(path: Path) -> Iterator[Sample | DeadLetter]:
    """Read phenopackets as diagnostic questions, one for each case.

    Args:
        path: a .json file, or a folder of them.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"no .json file in {path}")
    for file in files:
        try:
            yield _sample(parsed(contents.words(file, MAX_JSON)))
        except Rejected as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise DataError(f"no such file: {file}") from error
            yield contents.rejected(file.name, error)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            yield DeadLetter(file.name, f"not a phenopacket with features and a diagnosis: {error!r}"[:300])


def _sample(packet: Mapping[str, Any]) -> Sample:
    features, subject = packet["phenotypicFeatures"], packet.get("subject", {})
    disease = _diagnosis(packet)
    present = [f["type"]["label"] + _onset(f) for f in features if not f.get("excluded")]
    absent = [f["type"]["label"] for f in features if f.get("excluded")]
    if not present:
        raise ValueError("no feature is present")
    study = next(
        (
            r["id"]
            for r in packet.get("metaData", {}).get("externalReferences", [])
            if r["id"].startswith("PMID:")
        ),
        "",
    )
    lines = [_patient(subject), f"Findings: {'; '.join(present)}."]
    if absent:
        lines.append(f"Looked for and absent: {'; '.join(absent)}.")
    lines.append("Which disease explains these findings best?")
    return Sample(
        id=packet["id"],
        messages=(Message("user", ("\n".join(lines),)), Message("assistant", (disease["label"],))),
        target=disease["label"],
        source="phenopackets",
        license=LICENSE,
        patient_id=packet["id"],  # a subject's own id, "Patient 1", means nothing outside its article
        study_id=study.removeprefix("PMID:"),
        meta={
            "disease": disease["id"],
            "features": [f["type"]["id"] for f in features if not f.get("excluded")],
        },
    )


def _diagnosis(packet: Mapping[str, Any]) -> Mapping[str, str]:
    for interpretation in packet.get("interpretations", []):
        if disease := interpretation.get("diagnosis", {}).get("disease"):
            return dict(disease)
    return next(d["term"] for d in packet["diseases"] if not d.get("excluded"))


def _patient(subject: Mapping[str, Any]) -> str:
    sex = {"MALE": "Male", "FEMALE": "Female"}.get(subject.get("sex", ""), "")
    age = _age(subject.get("timeAtLastEncounter", {}))
    return " ".join(filter(None, [sex, "patient" if sex else "Patient", f"aged {age}" if age else ""])) + "."


def _onset(feature: Mapping[str, Any]) -> str:
    onset = feature.get("onset", {})
    label = _age(onset) or onset.get("ontologyClass", {}).get("label", "")
    return f" (onset {label})" if label else ""


def _age(time: Mapping[str, Any]) -> str:
    """An ISO 8601 duration in words: P6M is "6 months"."""
    duration = time.get("age", {}).get("iso8601duration", "")
    parts = re.findall(r"(\d+)([YMWD])", duration)
    return " ".join(f"{n} {UNITS[unit]}{'' if n == '1' else 's'}" for n, unit in parts if int(n)) or (
        "0 days" if parts else ""
    )
