"""DICOM files, single and multi-frame, as 8-bit pictures windowed by modality (data/formats/windows.py).

    {reader: dicom, path: study, options: {captions: reports.csv, file: file, caption: "{findings}",
    max_frames: 8}}

`preset` "auto": CT as three windows (lung, soft tissue, bone) in red, green and blue; CR, DX and other
projections by the window the file states; MR and the rest between two percentiles. The preset, its numbers
and the spacing are in `meta.preprocessing`. The text is the caption, else what the header says the picture
is; patient, study and series are hashes. Nothing else of the header is read into a sample, but pixels may
still name a patient: de-identify first (files that say so themselves are refused).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import embedded_images, files
from medxiaohe.data.formats.captions import captions as read_captions
from medxiaohe.data.formats.frames import Row, grouped, shown
from medxiaohe.data.formats.sandbox import decode
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import Message, Sample

WORDS = {"CT": "CT image", "MR": "MR image", "CR": "Radiograph", "DX": "Radiograph", "MG": "Mammogram",
"US": "Ultrasound image",
         "XA": "Angiogram", "NM": "Scintigram", "PT": "PET image", "OP": "Fundus photograph",
         "SM": "Microscopy image"}  # fmt: skip


def tiny(modality: str = "CT", frames: int = 1, **fields: Any) -> bytes:
    """Make a valid DICOM file of 6 x 8 pixels (16-bit, explicit VR little endian), for tests and EXAMPLE.

    Args:
        modality: value of Modality (0008,0060).
        frames: number of frames.
        **fields: DICOM keyword -> value, set last.

    Returns:
        The bytes of the file.
    """
    import numpy as np
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.826.0.1.3680043.10.1",
    )
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = pydicom.Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.826.0.1.3680043.10.2", "1.2.826.0.1.3680043.10.3"
    data.PatientID, data.Modality, data.BodyPartExamined = "p1", modality, "CHEST"
    data.Rows, data.Columns, data.NumberOfFrames = 6, 8, frames
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.RescaleSlope, data.RescaleIntercept, data.PixelSpacing, data.SliceThickness = 1, -1024, [0.7, 0.7], 5
    data.PixelData = (np.arange(frames * 48, dtype="<i2") * (2048 // (frames * 48))).tobytes()
    for name, value in fields.items():
        setattr(data, name, value)
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


EXAMPLE = {"scan.dcm": tiny}


def dicom(
    path: Path,
    *,
    preset: str = "auto",
    max_frames: int = 8,
    together: bool = True,
    captions: str = "",
    file: str = "file",
    caption: str = "caption",
    allow_burned_in: bool = False,
    license: str = "not stated",
) -> Iterator[Sample | DeadLetter]:
    """Read DICOM files as 8-bit pictures.

    Args:
        path: a file, or a folder of them.
        preset: how stored values become 8 bits (data/formats/windows.py).
        max_frames: frames of a file at most, evenly chosen.
        together: whether the frames of a file are one sample; else each is one.
        captions: a table of captions, from the folder; "": what the header says.
        file: column of that table with the name of the file.
        caption: column with the caption, or a template such as "{findings}".
        allow_burned_in: read files whose header says that pixels may name the patient.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    if max_frames < 1:
        raise ConfigError(f"max_frames must be at least 1, not {max_frames}")
    folder = path if path.is_dir() else path.parent
    every = _files(path)
    places = [dicom_path.relative_to(folder).as_posix() for dicom_path in every]
    caption_of = read_captions(folder / captions if captions else None, file, caption, places)
    options: dict[str, Any] = {
        "folder": str(embedded_images.folder()),
        "preset": preset,
        "max_frames": max_frames,
        "allow_burned_in": allow_burned_in,
    }

    def read(dicom_path: Path) -> Iterator[Sample | DeadLetter]:
        """Decode one file in the sandbox.

        Yields:
            One Sample of all frames, or one for each.
        """
        rows = list(decode("medxiaohe.data.formats.decode_dicom:frames", dicom_path, **options))
        name = dicom_path.relative_to(folder).as_posix()
        for id, group in grouped(name, rows, "frame", together or len(rows) == 1):
            yield _sample(id, group, caption_of.get(name), license)

    yield from files.each(every, read, path)


def _files(path: Path) -> list[Path]:
    """List files with an ending of DICOM, or with no ending and its mark. A DICOMDIR is not followed."""
    if not path.is_dir():
        return files.files(path)
    paths = [
        p
        for p in sorted(path.rglob("*"))
        if p.is_file() and not p.is_symlink() and p.name != "DICOMDIR" and is_dicom(p)
    ]
    if not paths:
        raise DataError(f"no DICOM file in {path}")
    return paths


def is_dicom(file: Path) -> bool:
    """Check whether a file is DICOM by its ending, or without one by the mark DICM at byte 128 (PS3.10, 7.1).

    Args:
        file: a file that exists; endings that are only digits, as those of UIDs, count as none.

    Returns:
        True for .dcm, .dicom and .ima, and for files without an ending that have the mark.
    """
    if file.suffix.lower() in (".dcm", ".dicom", ".ima"):
        return True
    if file.suffix and not file.suffix[1:].isdigit():
        return False
    with open(file, "rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def _sample(id: str, rows: Sequence[Row], caption: str, license: str) -> Sample:
    attributes = rows[0]["told"]
    words = [WORDS.get(attributes.get("Modality", ""), "Medical image")]
    words += [
        value.replace("_", " ").lower()
        for k in ("BodyPartExamined", "Laterality", "ImageLaterality")
        if (value := attributes.get(k))
    ]
    words += [f"{attributes['ViewPosition']} view"] if attributes.get("ViewPosition") else []
    parts = shown(
        rows, lambda row: f"Frame {row['frame'] + 1} of {row['frames']}." if row["frames"] > 1 else ""
    )
    parts.append(caption or ", ".join(words) + ".")
    ids = {name: attributes[name] for name in ("patient", "study", "series") if name in attributes}
    return Sample(
        id=id,
        messages=(Message("document", tuple(parts)),),
        source="dicom",
        license=license,
        patient_id=ids.get("patient", ""),
        study_id=ids.get("study", ""),
        meta={
            "preprocessing": [row["preprocessing"] for row in rows],
            "modality": attributes.get("Modality", ""),
            "series": ids.get("series", ""),
        },
    )
