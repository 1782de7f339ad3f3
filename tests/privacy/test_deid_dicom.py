"""No planted identifier of a DICOM file is in the bytes of its de-identified copy, and the picture is the
same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pydicom = pytest.importorskip("pydicom")

import numpy as np  # noqa: E402

from medxiaohe.privacy import dicom, dicom_keep, dicom_scan  # noqa: E402
from medxiaohe.privacy.pixels import Policy, Rule, has_ocr  # noqa: E402
from medxiaohe.privacy.quarantine import Quarantined  # noqa: E402
from medxiaohe.privacy.secret import Key  # noqa: E402
from tests import dicom_for_tests as made  # noqa: E402

KEY, TRUST = Key(b"k" * 32), Policy("trust")
PACK = Path(os.environ.get("MEDXIAOHE_DATA", "/nowhere"))


def found_in(data: bytes, planted: list[str]) -> list[str]:
    """Planted values that stand in the bytes, in any case and encoding."""
    lower = data.lower()
    return [
        v for v in planted if any(v.lower().encode(e) in lower for e in ("utf-8", "utf-16-le", "utf-16-be"))
    ]


@pytest.mark.parametrize("frames", [1, 4])
def test_every_planted_value_is_gone_and_the_pixels_are_the_same(frames: int) -> None:
    data, planted = made.planted(seed=frames, frames=frames)
    assert len(planted) == len(set(planted)) >= 543
    assert len(found_in(data, planted)) == len(planted)  # the search would find them
    cleaned = dicom.clean(data, key=KEY, policy=TRUST)
    assert found_in(cleaned.data, planted) == []
    old, new = made.read(data), made.read(cleaned.data)
    length = old.Rows * old.Columns * 2 * frames
    assert new.PixelData == old.PixelData[:length] and new.pixel_array.size == length // 2
    assert new.preamble == b"\0" * 128 and new.PatientIdentityRemoved == "YES"
    assert not any(tag.is_private for tag in new.keys())


def test_uids_are_mapped_alike_in_every_file_and_the_tree_of_files_stays() -> None:
    a, b = made.picture(), made.picture(SOPInstanceUID="1.3.6.1.4.1.5.1.10")
    item = pydicom.Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = made.CT, a.SOPInstanceUID
    b.ReferencedImageSequence = [item]
    new_a, new_b = (made.read(dicom.clean(made.written(one), key=KEY, policy=TRUST).data) for one in (a, b))
    assert new_a.StudyInstanceUID == new_b.StudyInstanceUID != a.StudyInstanceUID
    assert (
        new_b.ReferencedImageSequence[0].ReferencedSOPInstanceUID
        == new_a.SOPInstanceUID
        != new_b.SOPInstanceUID
    )
    assert new_b.ReferencedImageSequence[0].ReferencedSOPClassUID == made.CT and new_a.SOPInstanceUID.is_valid
    other = made.read(dicom.clean(made.written(a), key=Key(b"o" * 32), policy=TRUST).data)
    assert (other.SOPInstanceUID, other.PatientID) != (new_a.SOPInstanceUID, new_a.PatientID)


def test_dates_move_by_one_amount_for_a_patient_so_that_intervals_stay() -> None:
    first = made.picture(
        StudyDate="20200131", StudyTime="235930", AcquisitionDate="20200201", AcquisitionTime="000030.5"
    )
    later = made.picture(StudyDate="20210131", StudyTime="235930")
    other = made.picture(StudyDate="20200131", StudyTime="235930", PatientID="9918273")
    one, two, three = (
        made.read(dicom.clean(made.written(d), key=KEY, policy=TRUST).data) for d in (first, later, other)
    )

    def when(dataset: pydicom.Dataset, name: str) -> np.datetime64:
        d, t = dataset[f"{name}Date"].value, dataset[f"{name}Time"].value
        return np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}T{t[:2]}:{t[2:4]}:{t[4:6]}")

    assert when(one, "Acquisition") - when(one, "Study") == np.timedelta64(60, "s")
    assert when(two, "Study") - when(one, "Study") == np.timedelta64(366, "D")
    assert when(one, "Study") < np.datetime64("2020-01-31") and three.StudyDate != one.StudyDate


@pytest.mark.parametrize(
    ("age", "kept"),
    [("045Y", "045Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("097Y", "090Y"), ("011M", "011M")],
)
def test_ages_over_89_become_90(age: str, kept: str) -> None:
    assert (
        made.read(
            dicom.clean(made.written(made.picture(PatientAge=age)), key=KEY, policy=TRUST).data
        ).PatientAge
        == kept
    )


def test_what_is_no_term_number_or_uid_of_the_standard_does_not_stay_in_a_kept_attribute() -> None:
    data = made.picture(
        Modality="MILLER",
        ImageType=["ORIGINAL", "PRIMARY", "MILLER"],
        Manufacturer="Dr Miller",
        BodyPartExamined="MILLER",
    )
    new = made.read(dicom.clean(made.written(data), key=KEY, policy=TRUST).data)
    assert list(new.ImageType) == ["ORIGINAL", "PRIMARY", "OTHER"]
    assert not {"Modality", "Manufacturer", "BodyPartExamined"} & {e.keyword for e in new}


def test_the_rescan_refuses_a_file_when_the_keep_list_lets_a_value_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = made.written(made.picture(PatientName="Quxley^Zara", ExposureIndex="7731942"))
    assert dicom_scan.hits({"quxley"}, "…QUXLEY…".encode("utf-16-le"), b"", [], []) == 1
    # the id is also a number that is kept
    with pytest.raises(Quarantined, match="re-scan found 1 of") as refusal:
        dicom.clean(data, key=KEY, policy=TRUST)
    assert "7731942" not in str(refusal.value)
    monkeypatch.setattr(dicom_keep, "TERMS", {**dicom_keep.TERMS, "PatientComments": frozenset(["QUXLEY"])})
    monkeypatch.setattr(dicom._Work, "said", lambda self, text: text)
    with pytest.raises(Quarantined, match="re-scan"):
        dicom.clean(
            made.written(made.picture(PatientName="Quxley^Zara", PatientComments="QUXLEY")),
            key=KEY,
            policy=TRUST,
        )


RISKY = {
    "ultrasound": ("1.2.840.10008.5.1.4.1.1.6.1", "US", {}),
    "secondary capture": ("1.2.840.10008.5.1.4.1.1.7", "OT", {}),
    "endoscopy": ("1.2.840.10008.5.1.4.1.1.77.1.1", "ES", {}),
    "screenshot": (made.CT, "CT", {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}),
    "burned in": (made.CT, "CT", {"BurnedInAnnotation": "YES"}),
    "burned in, oddly written": (made.CT, "CT", {"BurnedInAnnotation": "MAYBE"}),
    "dose report": ("1.2.840.10008.5.1.4.1.1.88.67", "SR", {}),
    "scanned document": ("1.2.840.10008.5.1.4.1.1.104.1", "DOC", {}),
    "waveform": ("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG", {}),
    "no class": ("1.2.3.4", "CT", {}),
}


@pytest.mark.parametrize("name", RISKY)
def test_risky_classes_are_refused_even_when_the_user_trusts_the_pixels(name: str) -> None:
    sop_class, modality, more = RISKY[name]
    with pytest.raises(Quarantined):
        dicom.clean(made.written(made.picture(1, sop_class, modality, **more)), key=KEY, policy=TRUST)


def test_given_boxes_are_blanked_and_nothing_else() -> None:
    policy = Policy("trust", (Rule({"Modality": "US"}, ((0, 0, 16, 4),)),))
    old = made.picture(3, *RISKY["ultrasound"][:2])
    cleaned = dicom.clean(made.written(old), key=KEY, policy=policy)
    before, after = made.read(made.written(old)).pixel_array, made.read(cleaned.data).pixel_array
    assert (
        not after[:, :4].any()
        and before[:, :4].any()
        and (after[:, 4:] == before[:, 4:]).all()
        and cleaned.counts["pixels_blanked"]
    )
    assert "113101" in [item.CodeValue for item in made.read(cleaned.data).DeidentificationMethodCodeSequence]


@pytest.mark.skipif(has_ocr(), reason="the OCR is installed")
def test_without_ocr_and_without_trust_nothing_is_published() -> None:
    with pytest.raises(Quarantined, match=r"pip install 'medxiaohe\[ocr\]'"):
        dicom.clean(made.written(made.picture()), key=KEY, policy=Policy())


def test_old_overlays_in_unused_bits_are_cleared_and_values_stay() -> None:
    old = made.picture()
    plain = np.frombuffer(old.PixelData, np.uint16)
    old.PixelData = (plain | (np.arange(256, dtype=np.uint16) % 16 << 12)).tobytes()
    new = made.read(dicom.clean(made.written(old), key=KEY, policy=TRUST).data)
    assert new.PixelData == plain.tobytes()


def test_comments_of_compressed_frames_are_dropped_and_the_frames_decode_alike() -> None:
    import io

    from PIL import Image
    from pydicom.encaps import encapsulate, generate_frames
    from pydicom.uid import JPEGBaseline8Bit

    out = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(
        out, "JPEG", comment=b"Patient Quxleyson Zara"
    )
    old = made.picture(BitsAllocated=8, BitsStored=8, HighBit=7)
    old.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    old.PixelData = encapsulate([out.getvalue() + b"\0" * (len(out.getvalue()) % 2)])
    old["PixelData"].is_undefined_length, old["PixelData"].VR = True, "OB"
    assert b"Quxleyson" in made.written(old)
    cleaned = dicom.clean(made.written(old), key=KEY, policy=TRUST)
    frame = next(generate_frames(made.read(cleaned.data).PixelData, number_of_frames=1))
    assert b"Quxleyson" not in cleaned.data
    assert (np.asarray(Image.open(io.BytesIO(frame))) == np.asarray(Image.open(out))).all()


@pytest.mark.parametrize(
    "data", [b"", b"not DICOM", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 400]
)
def test_what_is_no_dicom_file_is_refused_without_quoting_it(data: bytes) -> None:
    with pytest.raises(Quarantined):
        dicom.clean(data, key=KEY, policy=TRUST)


def test_a_mutated_file_is_refused_or_clean() -> None:
    data, planted = made.planted(seed=9)
    random = np.random.default_rng(0)
    for _ in range(12):
        mutated = bytearray(data)
        for at in random.integers(132, len(data), 8):
            mutated[at] = int(random.integers(256))
        try:
            cleaned = dicom.clean(bytes(mutated), key=KEY, policy=TRUST)
        except Quarantined:
            continue
        assert found_in(cleaned.data, planted) == []


@pytest.mark.skipif(not (PACK / "volumes/nibabel/0.dcm").exists(), reason="needs MEDXIAOHE_DATA")
def test_siemens_private_headers_of_a_real_file_go_and_its_pixels_stay(tmp_path: Path) -> None:
    source = PACK / "volumes/nibabel/0.dcm"
    cleaned = dicom.deidentify(source, tmp_path / "out.dcm", key=KEY, policy=TRUST)
    old, new = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "out.dcm")
    assert (old.pixel_array == new.pixel_array).all() and cleaned.counts["searched"] > 1000
    assert not any(tag.is_private for tag in new.keys()) and any(tag.is_private for tag in old.keys())
    assert found_in(cleaned.data, ["dft patient name", "35119", "CBU", "19800102", "20100114"]) == []
