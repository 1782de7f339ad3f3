"""The header of a DICOM file, without its patient."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from medxiaohe.errors import ToolError
from medxiaohe.plugins import need
from medxiaohe.privacy import dicom_keep
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, ToolResult

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_FILE = 200 * 2**20  # bytes
MOST_VALUES = 12  # of one attribute
LONGEST_NAME = 500  # characters


@cache
def _example() -> _Folder:
    return _Folder()


class _Folder:
    """A folder with one made-up file, for the contract test; no task gets it."""

    def __init__(self) -> None:
        need("pydicom", why="a DICOM header")
        import pydicom
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

        self._place = TemporaryDirectory()
        data = pydicom.Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.10.1"
        data.PatientName, data.Modality, data.KVP, data.SliceThickness = "Doe^Jane", "CT", 120, 5
        data.save_as(Path(self._place.name) / "scan.dcm", enforce_file_format=True)

    def __fspath__(self) -> str:
        return self._place.name


EXAMPLE_RESOURCES = {"studies": _example}


@tool(effects="reads", example={"file": "scan.dcm"})
def dicom(file: str, *, studies: Path) -> ToolResult:
    """What the header of a DICOM file says about its picture: modality, geometry, acquisition. `file` is a
    name in the folder of studies. Only numbers and terms of the standard are told, nothing about the patient,
    dates or places, and no free text."""
    path = _inside(file, Path(studies))
    attributes = header(path)
    if not attributes:
        raise ToolError(f"the header of {file} says nothing about its picture")
    text = "\n".join(f"{name}: {value}" for name, value in attributes.items())
    evidence = Evidence(
        f"dicom/{hashlib.sha256(file.encode()).hexdigest()[:12]}",
        text,
        "header of a DICOM file",
        kind="record",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        by="dicom",
    )
    return ToolResult("", (f"[{evidence.id}]\n{text}",), evidence=(evidence,), data=attributes)


def _inside(file: str, folder: Path) -> Path:
    if not file.strip() or len(file) > LONGEST_NAME or "\0" in file:
        raise ToolError(f"file is the name of a DICOM file, at most {LONGEST_NAME} characters")
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ToolError(f"there is no file {file[:80]!r} in the folder of studies")
    if path.stat().st_size > MAX_FILE:
        raise ToolError(f"{file[:80]} is larger than {MAX_FILE >> 20} MiB")
    return path


def header(path: Path) -> dict[str, Any]:
    """Read the attributes of a DICOM header that are numbers or terms of the standard
    (privacy/dicom_keep.py).

    Args:
        path: a DICOM file; its pixels are not read.

    Returns:
        keyword -> value.

    Raises:
        ToolError: the file is no DICOM file, or is damaged.
    """
    need("pydicom", why="a DICOM header")
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        data = pydicom.dcmread(path, stop_before_pixels=True)
        return {element.keyword: value for element in data if (value := _told(element)) is not None}
    except InvalidDicomError as error:
        raise ToolError(f"{path.name} is no DICOM file: it has no DICM after its preamble") from error
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise ToolError(f"the header of {path.name} cannot be read: {str(error)[:120]}") from error


def _told(element: Dataset) -> Any:
    """The value of an attribute as numbers or terms, or None where it may not be told."""
    name, value = element.keyword, element.value
    several = list(value) if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    if not 0 < len(several) <= MOST_VALUES:
        return None
    if name in dicom_keep.NUMBERS:
        if not all(dicom_keep.NUMBER.fullmatch(str(item)) for item in several):
            return None
        numbers = [float(str(item)) for item in several]
        return numbers if len(numbers) > 1 else numbers[0]
    if name in dicom_keep.TERMS:
        words = [str(item) for item in several if str(item) in dicom_keep.TERMS[name]]
        return " ".join(words) or None
    return None
