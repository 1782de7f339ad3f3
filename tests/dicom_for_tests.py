"""DICOM files with identifiers planted everywhere, for the tests of de-identification."""

from __future__ import annotations

import io
import random
import string
import warnings
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
LENGTHS = {
    "AE": 16,
    "CS": 16,
    "SH": 16,
    "LO": 60,
    "ST": 200,
    "LT": 500,
    "UT": 500,
    "UC": 200,
    "UR": 60,
    "PN": 60,
}
GEOMETRY = {"Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
"SamplesPerPixel", "NumberOfFrames",
            "PhotometricInterpretation", "SOPClassUID", "BurnedInAnnotation", "Modality", "ImageType",
            "PlanarConfiguration",
            "SpecificCharacterSet", "TransferSyntaxUID"}  # fmt: skip


class Planter:
    """Values that occur once, and the list of them."""

    def __init__(self, seed: int = 0):
        self.random, self.planted = random.Random(seed), []

    def value(self, vr: str) -> Any:
        """A value of a VR that the list will have; None for a VR that has no room for an identifier."""
        letters = "".join(self.random.choices(string.ascii_uppercase, k=9))
        number = self.random.randrange(10**8, 10**9)
        made: Any = {
            "UI": f"1.3.6.1.4.1.{number}.{self.random.randrange(10**8)}", "PN": f"{letters}^{letters[::-1]}",
            "DA": self._date(),
            "TM": None, "DT": f"{self._date()}112233", "AS": None, "IS": None, "DS": None,
        }.get(vr, f"{letters}{number}"[: LENGTHS.get(vr, 0)])  # fmt: skip
        if vr in ("OB", "UN", "OW"):
            made = f"{letters}{number} ".encode()
        if made:
            self.planted += (
                made.split("^")
                if vr == "PN"
                else [made.decode().strip() if isinstance(made, bytes) else made]
            )
        return made or None

    def _date(self) -> str:
        while True:
            year, month, day = (self.random.randrange(*span) for span in ((1930, 1960), (1, 13), (1, 29)))
            if (date := f"{year}{month:02}{day:02}") not in self.planted:
                return date


def picture(frames: int = 1, sop_class: str = CT, modality: str = "CT", **attributes: Any) -> FileDataset:
    """A small picture of a class, without anything planted."""
    dataset = FileDataset("", {}, preamble=b"\0" * 128)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.3.6.1.4.1.5.1.9"
    dataset.Modality, dataset.ImageType, dataset.BurnedInAnnotation = (
        modality,
        ["ORIGINAL", "PRIMARY", "AXIAL"],
        "NO",
    )
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.PixelData = np.random.default_rng(0).integers(0, 4096, 256 * frames, dtype=np.uint16).tobytes()
    dataset.PatientID, dataset.StudyInstanceUID = "7731942", "1.3.6.1.4.1.5.1"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def planted(seed: int = 0, frames: int = 1) -> tuple[bytes, list[str]]:
    """A file with a value in every attribute of the standard that can hold one, and in all other places there
    are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        planter = Planter(seed)
        dataset = picture(frames)
        _fill(dataset, planter, sorted(DicomDictionary))
        _nest(dataset, planter)
        for group in (0x0009, 0x0029, 0x7FE1):
            block = dataset.private_block(group, f"{planter.value('LO')} {group}", create=True)
            for offset, vr in enumerate(("LO", "OB", "UT", "PN", "UI", "DA", "UN"), start=1):
                block.add_new(offset, vr, planter.value(vr))
            inner = Dataset()
            inner.PatientName, inner.PatientID = planter.value("PN"), planter.value("LO")
            block.add_new(0x20, "SQ", Sequence([inner]))
        for group in (0x6000, 0x6002, 0x601E):  # overlays, and curves, which the standard has retired
            dataset.add_new((group, 0x0022), "LO", planter.value("LO"))
            dataset.add_new((group, 0x1500), "LO", planter.value("LO"))
            dataset.add_new((group, 0x3000), "OW", planter.value("OW"))
            dataset.add_new((group - 0x1000, 0x2500), "LO", planter.value("LO"))
        for name in (
            "SourceApplicationEntityTitle",
            "SendingApplicationEntityTitle",
            "ReceivingApplicationEntityTitle",
        ):
            setattr(dataset.file_meta, name, planter.value("AE"))
        dataset.file_meta.PrivateInformationCreatorUID = planter.value("UI")
        dataset.file_meta.PrivateInformation = planter.value("OB")
        dataset.file_meta.ImplementationVersionName = planter.value("SH")
        dataset.preamble = (planter.value("LO") + "|" + planter.value("LO")).encode().ljust(128, b"\0")
        dataset.add_new(0xFFFCFFFC, "OB", planter.value("OB"))
        dataset.PixelData += planter.value("OB")  # behind the last pixel
        out = io.BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        return out.getvalue(), planter.planted


def _fill(dataset: Dataset, planter: Planter, tags: list[int]) -> None:
    for tag in tags:
        vr = DicomDictionary[tag][0].split(" or ")[0]
        name = keyword_for_tag(tag)
        if (
            name in GEOMETRY
            or tag >> 16 in (0x0000, 0x0002, 0x7FE0, 0xFFFE)
            or not name
            or name == "DataSetTrailingPadding"
        ):
            continue
        if vr in LENGTHS or vr in ("UI", "DA", "DT", "OB"):
            dataset.add_new(tag, vr, planter.value(vr))


def _nest(dataset: Dataset, planter: Planter) -> None:
    """Sequences of the keep-list and others, five deep, with names and ids at every level."""
    for name in (
        "ReferencedImageSequence",
        "RequestAttributesSequence",
        "SharedFunctionalGroupsSequence",
        "OriginalAttributesSequence",
    ):
        level = dataset
        for _ in range(5):
            inner = Dataset()
            inner.PatientName, inner.PatientID, inner.InstitutionName = (
                planter.value("PN"),
                planter.value("LO"),
                planter.value("LO"),
            )
            inner.ReferencedSOPInstanceUID, inner.ImageComments = planter.value("UI"), planter.value("LT")
            inner.ImageType = [planter.value("CS"), "PRIMARY"]
            setattr(level, name, Sequence([inner]))
            level = inner


def written(dataset: FileDataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def read(data: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(data))
