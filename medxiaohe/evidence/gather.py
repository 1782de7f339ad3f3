"""Collect the record of a study as located evidence: texts, structured fields, an earlier report.

    gather(Study(texts={"findings.txt": "..."}, prior="..."))   -> evidence, one piece for each sentence

Each piece names the SHA-256 of its whole document and its span, so that it can be looked up in the document.
An earlier report is evidence of kind `prior`: it supports comparisons, and never a finding of this study.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from medxiaohe.errors import ConfigError
from medxiaohe.scoring._sentences import sentence_spans
from medxiaohe.types import Evidence, EvidenceKind, ImageRef, Locator

MAX_IMAGES = 20
REFERENCE = "similar reports"  # `by` of evidence that is shown and supports nothing
MAX_WORDS = 50_000  # of all texts of a study


@dataclass(frozen=True, slots=True)
class Study:
    """One study and its record: images, texts, structured fields and an earlier report."""

    images: tuple[ImageRef, ...] = ()
    indication: str = ""
    comparison: str = ""
    technique: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)  # name of a document -> its words
    record: Mapping[str, str] = field(default_factory=dict)  # structured: name of a field -> its value
    prior: str = ""  # report of an earlier study of the same patient
    patient_id: str = ""
    prior_patient_id: str = ""
    date: str = ""  # of the study, ISO 8601
    prior_date: str = ""


def check(study: Study) -> None:
    """Check that the parts of a study belong together and are not too many.

    Args:
        study: the record.

    Raises:
        ConfigError: there are more than MAX_IMAGES images or MAX_WORDS words, or the earlier report is of
            another patient or not earlier.
    """
    if len(study.images) > MAX_IMAGES:
        raise ConfigError(f"{len(study.images)} images: a report is of at most {MAX_IMAGES}")
    words = sum(len(text.split()) for text in (*study.texts.values(), study.prior))
    if words > MAX_WORDS:
        raise ConfigError(f"the texts of the study have {words:,} words: at most {MAX_WORDS:,}")
    if study.prior and study.prior_patient_id != study.patient_id:
        raise ConfigError(
            f"the earlier report is of the patient {study.prior_patient_id or '(none named)'!r}, the study of"
            f" {study.patient_id or '(none named)'!r}: give one of the same patient"
        )
    if study.prior and study.date and study.prior_date and study.prior_date >= study.date:
        raise ConfigError(
            f"the earlier report is of {study.prior_date}, which is not before the study ({study.date})"
        )


def gather(study: Study) -> tuple[Evidence, ...]:
    """Collect the record of a study as evidence.

    Args:
        study: the record.

    Returns:
        one piece for each sentence of its texts, one for each field, then one for each sentence of the
        earlier report

    Raises:
        ConfigError: the parts of the study do not belong together, see `check`.
    """
    check(study)
    evidence: list[Evidence] = []
    for name, text in study.texts.items():
        evidence += _passages(name, text, "passage", "")
    for name, value in study.record.items():
        if value.strip():
            evidence.append(Evidence(f"record:{name}", f"{name}: {value}", "record", kind="record"))
    if study.prior.strip():
        evidence += _passages("prior", study.prior, "prior", study.prior_date)
    return tuple(evidence)


class ReportsByImage(Protocol):
    """A store that retrieves reports by an image: retrieval.image_reports.ImageReportStore."""

    def like_image(self, image: ImageRef, top: int, others: Sequence[str] = ()) -> tuple[Evidence, ...]: ...


def similar(study: Study, store: ReportsByImage, top: int = 3) -> tuple[Evidence, ...]:
    """Retrieve reports of other patients with similar images, for people to read.

    A reference, never the basis of a report: `gather` does not return them, so no verifier reads them and no
    claim is supported by the findings of another patient.

    Args:
        study: its own patient's reports are left out.
        store: of reports, searched by image.
        top: number of reports for each image.

    Returns:
        each report once, best first for each image; `by` is REFERENCE
    """
    barred = [study.patient_id] if study.patient_id else []
    reports: dict[str, Evidence] = {}
    for image in study.images:
        for item in store.like_image(image, top, barred):
            reports.setdefault(item.id, replace(item, by=REFERENCE))
    return tuple(reports.values())


def documents(study: Study) -> dict[str, bytes]:
    """Texts that the evidence of a study was cut from, by digest.

    Args:
        study: the record.

    Returns:
        SHA-256 as hexadecimal -> the text as UTF-8
    """
    texts = [*study.texts.values(), *([study.prior] if study.prior.strip() else [])]
    return {_digest(text): text.encode() for text in texts}


def _passages(name: str, text: str, kind: EvidenceKind, date: str) -> list[Evidence]:
    digest = _digest(text)
    return [
        Evidence(
            f"{name}#{number}",
            text[start:end],
            name,
            kind=kind,
            sha256=digest,
            at=Locator(span=(start, end)),
            date=date,
        )
        for number, (start, end) in enumerate(sentence_spans(text), 1)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
