"""The header of a DICOM file tells the picture and never the patient."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import ToolCall, ToolResult

pydicom = pytest.importorskip("pydicom")
SECRETS = {
    "PatientName": "Okonkwo^James", "PatientID": "MRN8841234", "PatientBirthDate": "19610412",
    "InstitutionName": "Saint Elsewhere", "StudyDate": "20200131", "SeriesDescription": "thorax of Okonkwo",
    "AccessionNumber": "ACC-77", "ReferringPhysicianName": "Abernathy", "StationName": "CT-ROOM-9",
    "ProtocolName": "Okonkwo follow-up", "PatientComments": "lives at 12 Maple Street",
}  # fmt: skip


def used(folder: Path, file: str) -> ToolResult:
    tools = open_tools(["dicom"], {"studies": folder})
    return call_tool(ToolCall("1", "dicom", {"file": file}), tools)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from medxiaohe.data.readers.dicom import tiny

    studies = tmp_path / "studies"
    studies.mkdir()
    hidden = {**SECRETS, "ImageType": ["ORIGINAL", "OKONKWO"], "KVP": "120"}
    (studies / "scan.dcm").write_bytes(tiny(**hidden))
    (studies / "note.txt").write_text("no picture")
    (studies / "cut.dcm").write_bytes((studies / "scan.dcm").read_bytes()[:200])
    (tmp_path / "outside.dcm").write_bytes(tiny())
    return studies


def test_the_picture_is_told_and_nothing_of_the_patient(folder: Path) -> None:
    result = used(folder, "scan.dcm")
    assert result.error == "" and result.data["Modality"] == "CT" and result.data["KVP"] == 120
    assert result.data["PixelSpacing"] == [0.7, 0.7] and result.data["ImageType"] == "ORIGINAL"
    shown = f"{result}".lower()
    for secret in SECRETS.values():
        for word in secret.replace("^", " ").split():
            assert len(word) < 4 or word.lower() not in shown, word
    assert "okonkwo" not in shown and "1.2.826" not in shown and "maple" not in shown


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("../outside.dcm", "no file"),
        ("nothing.dcm", "no file"),
        ("note.txt", "no DICOM file"),
        ("cut.dcm", "says nothing"),
        ("", "name of a DICOM file"),
        ("a\0b", "name of a DICOM file"),
    ],
)
def test_what_is_no_header_is_one_sentence(folder: Path, file: str, words: str) -> None:
    error = used(folder, file).error
    assert words in error and "\n" not in error


def test_a_real_file_with_private_headers_tells_no_text_of_its_own(tmp_path: Path) -> None:
    pack: Any = Path(os.environ.get("MEDXIAOHE_DATA", "")) / "volumes/nibabel/0.dcm"
    if not pack.is_file():
        pytest.skip("needs the data pack")
    shutil.copy(pack, tmp_path / "0.dcm")
    result = used(tmp_path, "0.dcm")
    told = str(result.parts[0]).lower()
    assert result.data["Modality"] == "MR" and result.data["MagneticFieldStrength"] > 0
    data = pydicom.dcmread(pack, stop_before_pixels=True)
    for element in data.iterall():
        if element.VR in ("PN", "LO", "SH", "LT", "ST", "UT", "DA", "UI") and element.keyword != "ImageType":
            for value in str(element.value).lower().split("\\"):
                assert len(value) < 4 or value not in told, (element.keyword, value)
