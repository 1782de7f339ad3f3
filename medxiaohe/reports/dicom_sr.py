"""Write a report as a DICOM Comprehensive 3D SR by TID 1500, with the boxes of its evidence as regions.

Needs the extra `sr`. It refers to the DICOM image of the report, and is marked as unverified.
Identifiers are made of the report's text, so equal reports are equal documents.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from copy import copy
from typing import Any

from medxiaohe import plugins
from medxiaohe.errors import DataError
from medxiaohe.reports.document import Document, Sentence
from medxiaohe.types import Evidence, Finding

SCHEME = "99MEDXIAOHE"
ROOT = "2.25."  # of identifiers made of a UUID or a digest
# attributes of patient and study that a report copies, and that may be empty (PS3.3, type 2)
EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip


def dicom_sr(report: Document, image: Any) -> Any:
    """Convert a report to a DICOM Structured Report.

    Args:
        report: as `of_trace` returns it.
        image: pydicom dataset of the image; patient and study are taken from it.

    Returns:
        a dataset, which `save_as` writes.

    Raises:
        MissingExtra: highdicom is not installed.
        DataError: the dataset lacks what a reference needs, or there is no finding to write.
    """
    plugins.need("highdicom", why="a report as DICOM SR")
    import highdicom as hd
    from highdicom import sr
    from pydicom.sr.codedict import codes

    if missing := [tag for tag in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID") if tag not in image]:
        raise DataError(f"the DICOM image has no {missing[0]}, which a structured report must name")
    image = _completed(image)
    rows = list(_rows(report))
    if not rows:
        raise DataError("the report states no finding, so there is nothing to write as DICOM SR")
    source = sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID)
    groups: list[Any] = []
    for number, (finding, sentence, box) in enumerate(rows, 1):
        common = {
            "tracking_identifier": sr.TrackingIdentifier(
                uid=_uid(report, number), identifier=f"finding {number}"
            ),
            "finding_type": _coded(finding, sr),
            "qualitative_evaluations": [
                sr.QualitativeEvaluation(
                    name=sr.CodedConcept("R1", SCHEME, "Ruling"),
                    value=sr.CodedConcept(f"R-{sentence.label}", SCHEME, sentence.label),
                ),
                sr.QualitativeEvaluation(
                    name=sr.CodedConcept("S1", SCHEME, "Status"),
                    value=sr.CodedConcept(f"S-{finding.status}", SCHEME, finding.status),
                ),
            ],
        }
        if box is None:
            groups.append(
                sr.MeasurementsAndQualitativeEvaluations(
                    source_images=[
                        sr.SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID)
                    ],
                    **common,
                )
            )
        else:
            region = sr.ImageRegion(
                graphic_type=sr.GraphicTypeValues.POLYLINE, graphic_data=_outline(box), source_image=source
            )
            groups.append(
                sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **common)
            )
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=_uid(report, 0), name="medxiaohe"
        ),
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=groups,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values of the image that are not ours
        dataset = hd.sr.Comprehensive3DSR(
            evidence=[image],
            content=content,
            series_number=9000,
            series_instance_uid=_uid(report, -1),
            sop_instance_uid=_uid(report, -2),
            instance_number=1,
            manufacturer="medxiaohe",
            is_complete=True,
            is_verified=False,
            series_description="Research report, not for clinical use",
        )
    return dataset


def _completed(image: Any) -> Any:
    """A copy of the dataset in which attributes that may be empty are there."""
    completed = copy(image)
    for name in EMPTY:
        if name not in completed:
            setattr(completed, name, "")
    return completed


def _rows(report: Document) -> Iterator[tuple[Finding, Sentence, tuple[int, int, int, int] | None]]:
    """Each finding with its sentence, once for each box of its evidence, or once without one."""
    by_id = {item.id: item for item in report.evidence}
    for sentence in report.findings:
        boxes = [box for id in sentence.evidence if (box := _box(by_id.get(id))) is not None]
        for finding in sentence.findings:
            if not boxes:
                yield finding, sentence, None
            for box in boxes:
                yield finding, sentence, box


def _box(item: Evidence | None) -> tuple[int, int, int, int] | None:
    return item.at.box if item is not None and item.at is not None else None


def _coded(finding: Finding, sr: Any) -> Any:
    """A private code: the lexicon has no SNOMED CT ids, and a wrong code is worse than none."""
    return sr.CodedConcept(hashlib.sha256(finding.name.encode()).hexdigest()[:12], SCHEME, finding.name[:64])


def _outline(box: tuple[int, int, int, int]) -> Any:
    import numpy as np

    left, top, right, bottom = box
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]], float)


def _uid(report: Document, number: int) -> str:
    digest = hashlib.sha256(f"{report.study}\0{report.text}\0{number}".encode()).digest()
    return f"{ROOT}{int.from_bytes(digest[:15], 'big')}"
