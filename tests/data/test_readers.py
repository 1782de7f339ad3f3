"""What each reader makes of its format: pixels, places, captions, turns, and what it refuses."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import hostile_files
import pytest

from medxiaohe import images, plugins
from medxiaohe.data.formats import sandbox
from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import ConfigError, DataError, MissingExtra
from medxiaohe.types import Sample

np = pytest.importorskip("numpy")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path_factory.mktemp("cache")))


def rows(reader: str, path: Path, **options: Any) -> list[Any]:
    return list(plugins.load("readers", reader)(path, **options))


def pixels(sample: Sample, index: int = 0) -> Any:
    return np.asarray(images.open_image(sample.images[index]))


def write(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


# ---- DICOM and NIfTI: G14, pain 25 --------------------------------------------------------------------


def tiny_dicom(path: Path, stored: Any, modality: str = "CT", **fields: Any) -> Path:
    from medxiaohe.data.readers import dicom

    pytest.importorskip("pydicom")
    frames, height, width = stored.shape
    shape = {"Rows": height, "Columns": width, "PixelData": stored.astype("<i2").tobytes()}
    return write(path, dicom.tiny(modality, frames, **shape, **fields))


def test_a_ct_is_three_windows_of_hounsfield_units(tmp_path: Path) -> None:
    hounsfield = np.array([[-1350, -600, 150, -160, 40, 240, -500, 400, 1300]])
    tiny_dicom(tmp_path / "a.dcm", (hounsfield + 1024)[None])
    (sample,) = rows("dicom", tmp_path)
    red, green, blue = (pixels(sample)[0, :, channel].tolist() for channel in range(3))
    assert red[:3] == [0, 128, 255] and green[3:6] == [0, 128, 255] and blue[6:] == [0, 128, 255]
    (used,) = sample.meta["preprocessing"]
    assert used["preset"] == "ct_three_window" and used["windows"]["soft_tissue"] == [40, 400]
    assert used["spacing_mm"] == [0.7, 0.7, 5.0] and used["intercept"] == -1024


def test_a_radiograph_has_the_window_that_its_file_states_and_white_bones(tmp_path: Path) -> None:
    stored = np.array([[0, 100, 200, 1000]])[None]
    window = {"WindowCenter": [100, 500], "WindowWidth": [200, 900], "RescaleIntercept": 0}
    tiny_dicom(tmp_path / "a.dcm", stored, "DX", **window)
    tiny_dicom(tmp_path / "b.dcm", stored, "CR", **window, PhotometricInterpretation="MONOCHROME1")
    white, black = rows("dicom", tmp_path)
    assert pixels(white)[0, :, 0].tolist() == [0, 128, 255, 255] and pixels(black)[0, :, 0].tolist() == [
        255,
        127,
        0,
        0,
    ]
    assert (
        white.meta["preprocessing"][0]["preset"] == "voi" and white.meta["preprocessing"][0]["width"] == 200
    )


def test_frames_are_chosen_evenly_and_told_by_number(tmp_path: Path) -> None:
    stored = np.repeat(np.arange(20)[:, None, None] * 50, 4, axis=2)
    tiny_dicom(tmp_path / "a.dcm", stored, "MR")
    (sample,) = rows("dicom", tmp_path, max_frames=4)
    assert [used["frame"] for used in sample.meta["preprocessing"]] == [2, 7, 12, 17]
    assert "Frame 3 of 20." in sample.text and len(sample.images) == 4
    assert len(rows("dicom", tmp_path, max_frames=4, together=False)) == 4


def test_nothing_that_names_the_patient_is_read(tmp_path: Path) -> None:
    private = {
        "PatientName": "Canary^Jane",
        "PatientID": "CANARY1",
        "PatientBirthDate": "19500101",
        "StudyDescription": "Canary study",
    }
    tiny_dicom(
        tmp_path / "a.dcm", np.zeros((1, 4, 4)) + np.arange(4), **private, BodyPartExamined="CANARY of Jane"
    )
    (sample,) = rows("dicom", tmp_path)
    assert "canary" not in repr(sample).lower() and "1950" not in repr(sample) and sample.patient_id
    tiny_dicom(tmp_path / "a.dcm", np.zeros((1, 4, 4)), BurnedInAnnotation="YES")
    (letter,) = rows("dicom", tmp_path)
    assert letter.code == "burned_in"


def test_slices_lie_as_radiologists_look_at_them_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    pytest.importorskip("nibabel")
    from medxiaohe.data.readers import nifti

    volume = np.zeros((6, 5, 4), "<i2")  # to the right, the front, the head
    volume[5, 4, :] = 100  # right and in front
    plain = nifti.tiny(voxels=volume.tobytes(order="F"))
    turned = bytearray(nifti.tiny(voxels=volume[::-1].tobytes(order="F")))
    struct.pack_into("<4f", turned, 280, -2, 0, 0, 10)  # the first axis runs to the left
    write(tmp_path / "a.nii", plain)
    write(tmp_path / "b.nii", bytes(turned))
    first, second = rows("nifti", tmp_path, slices=1, preset="full_range")
    seen = pixels(first)[..., 0]
    assert seen.shape == (5, 6) and seen[0, 0] == 255 and seen.sum() == 255, (
        "right is on the left, the front is on top"
    )
    assert (pixels(second) == pixels(first)).all() and first.images[0].sha256 == second.images[0].sha256
    coronal, *_ = rows("nifti", tmp_path, slices=1, plane="coronal")
    assert pixels(coronal).shape[:2] == (4, 6) and coronal.meta["preprocessing"][0]["spacing_mm"] == [
        3.0,
        2.0,
        2.0,
    ]


def test_captions_of_a_table_go_to_their_volume(tmp_path: Path) -> None:
    pytest.importorskip("nibabel")
    from medxiaohe.data.readers import nifti

    write(tmp_path / "a.nii", nifti.tiny())
    write(tmp_path / "t.csv", "file,report\na.nii.gz,No infarct.\n")
    (sample,) = rows("nifti", tmp_path, captions="t.csv", caption="{report}", slices=2, modality="MR")
    assert sample.text.endswith("No infarct.") and len(sample.images) == 2
    with pytest.raises(DataError, match="no column 'text'"):
        rows("nifti", tmp_path, captions="t.csv", caption="text")
    with pytest.raises(ConfigError, match="plane must be"):
        rows("nifti", tmp_path, plane="axail")


def test_a_later_change_of_a_decoded_picture_is_an_error(tmp_path: Path) -> None:
    tiny_dicom(tmp_path / "a.dcm", np.arange(16).reshape(1, 4, 4))
    (sample,) = rows("dicom", tmp_path)
    kept = Path(sample.images[0].uri)
    kept.write_bytes(kept.read_bytes()[:-1] + b"\0")
    with pytest.raises(DataError, match="changed since it was read"):
        images.open_image(sample.images[0])


# ---- documents -----------------------------------------------------------------------------------------


def test_a_figure_of_a_pdf_stands_with_its_caption(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    from medxiaohe.data.readers import pdf

    grey = zlib.compress(bytes((x + y) % 256 for y in range(80) for x in range(80)))
    write(tmp_path / "a.pdf", pdf.tiny("A case.\nFigure 1. Chest radiograph with a nodule.", grey, 80))
    write(tmp_path / "b.pdf", pdf.tiny("A page with a picture that nobody names.", grey, 80))
    write(tmp_path / "c.pdf", pdf.tiny("", grey, 80))
    figured, plain, scan = rows("pdf", tmp_path)
    assert figured.images and figured.messages[0].parts[-1] == "Figure 1. Chest radiograph with a nodule."
    assert pixels(figured).shape == (80, 80, 3) and pixels(figured)[3, 4].tolist() == [7, 7, 7]
    assert isinstance(plain, Sample) and not plain.images
    assert isinstance(scan, DeadLetter) and scan.code == "empty" and "medxiaohe[ocr]" in scan.reason


def test_a_scan_is_read_with_ocr_or_the_package_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    from PIL import Image, ImageDraw, ImageFont

    from medxiaohe.data.readers import pdf

    page = Image.new("L", (600, 600), 255)
    ImageDraw.Draw(page).text((40, 200), "PNEUMOTHORAX", fill=0, font=ImageFont.load_default(size=60))
    write(tmp_path / "scan.pdf", pdf.tiny("", zlib.compress(page.tobytes()), 600))
    try:
        (sample,) = rows("pdf", tmp_path, ocr=True)
    except MissingExtra as error:
        assert "medxiaohe[ocr]" in str(error)
        pytest.skip("rapidocr is not installed")
    assert isinstance(sample, Sample), sample
    assert "PNEUMOTHORAX" in sample.text and sample.meta["scanned_pages"] == [1]


def test_a_figure_of_an_article_stands_where_its_picture_is_and_never_outside(tmp_path: Path) -> None:
    from medxiaohe.data.readers.pmc_xml import EXAMPLE

    article = str(EXAMPLE["PMC1.xml"])
    write(tmp_path / "in" / "PMC1.xml", article)
    write(tmp_path / "in" / "PMC1-g001.png", png(8, 8))
    write(tmp_path / "secret.png", png(8, 8))
    (sample,) = rows("pmc_xml", tmp_path / "in")
    text, image, caption = sample.messages[0].parts
    assert (
        text.startswith("Pneumothorax in a young man\n\nA man of 20")
        and caption == "Figure 1 Chest radiograph."
    )
    assert (
        Path(image.uri).name == "PMC1-g001.png"
        and sample.license.endswith("/by/4.0/")
        and sample.id == "PMC1"
    )
    write(tmp_path / "in" / "PMC1.xml", article.replace("PMC1-g001", "../secret"))
    (sample,) = rows("pmc_xml", tmp_path / "in")
    assert not sample.images and "Chest radiograph" in sample.text


def test_a_page_keeps_its_words_and_local_pictures_only(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a b.png", png(8, 8))
    write(tmp_path / "secret.png", png(8, 8))
    sources = [
        "a%20b.png",
        "../secret.png",
        "https://example.org/x.png",
        "/etc/passwd",
        "data:image/png;base64,xx",
        "http://[::1",
    ]
    tags = "".join(f'<img src="{source}">' for source in sources)
    body = (
        "<nav>Menu</nav><article><h1>Scurvy</h1><p>Lack of <b>vitamin</b>"
        f" C.</p>{tags}<script>x()</script></article><footer>(c)"
    )
    write(tmp_path / "in" / "p.html", f"<html><head><title>T<body>{body}")
    (sample,) = rows("html", tmp_path / "in")
    assert sample.text == "Scurvy\nLack of vitamin C." and [Path(i.uri).name for i in sample.images] == [
        "a b.png"
    ]


def test_turns_of_two_files_are_merged_by_time(tmp_path: Path) -> None:
    from medxiaohe.data.readers import textgrid as t

    def grid(*turns: tuple[float, str]) -> str:
        tier = t._TIER.format("Speaker").replace("size = 1", f"size = {len(turns)}")
        return t._HEAD + tier + "".join(t._TEXT.format(*turn) for turn in turns)

    write(
        tmp_path / "in" / "c_doctor.TextGrid",
        grid((0, "Hello. Say 7?".replace("7", '""x""')), (5, "Since when?")),
    )
    write(
        tmp_path / "in" / "c_patient.TextGrid",
        grid((2, "I <UNSURE>cough</UNSURE>."), (6, "<UNIN/>"), (7, "Monday.")),
    )
    write(tmp_path / "notes" / "c.json", json.dumps({"note": "Cough since Monday."}))
    (sample,) = rows("textgrid", tmp_path / "in")
    assert sample.text.split("\n") == [
        'Doctor: Hello. Say "x"?',
        "Patient: I cough .",
        "Doctor: Since when?",
        "Patient: Monday.",
    ]
    (asked,) = rows("textgrid", tmp_path / "in", notes="../notes")
    assert asked.messages[-1].text == "Cough since Monday." and asked.messages[0].text.endswith(
        "Patient: Monday."
    )


# ---- tables, folders, archives ---------------------------------------------------------------------------


def test_columns_become_questions_with_choices(tmp_path: Path) -> None:
    row = {"q": "Which?", "o": {"A": "x", "B": "y"}, "a": "B", "n": {"deep": ["first", "second"]}}
    write(tmp_path / "t.jsonl", json.dumps(row) + "\n" + json.dumps({**row, "a": "C"}) + "\n")
    columns = {"user": "{n.deep.1}: {q}", "choices": "o", "answer_index": "a"}
    good, bad = rows("table", tmp_path, columns=columns, meta=["n.deep.0"])
    assert good.messages[0].text == "second: Which?\nA. x\nB. y" and good.messages[1].text == "B. y"
    assert good.target == "B" and good.choices == ("x", "y") and good.meta == {"n.deep.0": "first"}
    assert (bad.code, bad.reason) == ("row", "the answer 'C' is not one of the 2 choices")
    with pytest.raises(ConfigError, match="did you mean 'user'"):
        rows("table", tmp_path, columns={"usr": "q"})
    missing = rows("table", tmp_path, columns={"text": "questoin"})
    assert all(letter.code == "row" and "no column 'questoin'" in letter.reason for letter in missing)


def test_a_table_of_bad_rows_gives_one_letter_for_each(tmp_path: Path) -> None:
    write(
        tmp_path / "t.csv",
        b'id,question,answer\n1,a,b\n2,only\n3,"x" y,z\n4,\xff,b\n5,q,\n6,"two\nlines",b\n',
    )
    found = rows("table", tmp_path)
    assert [row.id for row in found if isinstance(row, Sample)] == ["1", "6"]
    assert [row.code for row in found if isinstance(row, DeadLetter)] == ["row", "row", "encoding", "empty"]


def test_parquet_rows_and_their_pictures_are_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"question": ["Why?"], "answer": ["So."], "image": [{"bytes": png(8, 8), "path": "x"}]})
    pq.write_table(table, tmp_path / "t.parquet")
    write(tmp_path / "u.parquet", (tmp_path / "t.parquet").read_bytes()[:-20])
    good, bad = rows("table", tmp_path)
    assert good.images[0].uri.startswith("data:") and good.text.split() == ["Why?", "So."]
    assert isinstance(bad, DeadLetter) and bad.code == "format" and bad.sha256


def test_an_image_without_a_caption_and_a_caption_without_an_image_are_dead(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(8, 8))
    write(tmp_path / "b.png", png(8, 8))
    write(tmp_path / "t.csv", "image_id,label,patient_id\na,benign,p1\nzz,benign,p2\n")
    good, gone, bare = rows(
        "image_folder", tmp_path, columns={"text": "Finding: {label}.", "patient_id": "patient_id"}
    )
    assert good.text == "Finding: benign." and good.patient_id == "p1" and good.id == "a.png"
    assert (gone.code, bare.code) == ("missing", "empty")


def test_a_row_of_an_archive_may_name_its_own_images_only(tmp_path: Path) -> None:
    outside = write(tmp_path / "out.png", png(8, 8))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        turns = [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "No."}]
        named = enumerate(["i/a.png", str(outside), "../../../../x.png"], start=1)
        packed.writestr(
            "r.jsonl",
            "".join(json.dumps({"id": n, "image": i, "conversations": turns}) + "\n" for n, i in named),
        )
        packed.writestr("i/a.png", png(8, 8))
    write(tmp_path / "in" / "a.zip", content.getvalue())
    good, *bad = rows("archive", tmp_path / "in")
    assert good.id == "1" and images.open_image(good.images[0]).size == (8, 8)
    assert [letter.code for letter in bad] == ["unsafe_path", "unsafe_path"]


@pytest.mark.parametrize("kind", ["hard link", "device", "absolute", "twice", "case"])
def test_unsafe_members_of_an_archive_are_left_out(kind: str, tmp_path: Path) -> None:
    import tarfile

    member = {
        "hard link": (hostile_files.link("x", "/etc/passwd", tarfile.LNKTYPE), b""),
        "device": (hostile_files.link("x", "", tarfile.CHRTYPE), b""),
        "absolute": (tarfile.TarInfo(str(tmp_path / "escaped")), b"x"),
        "twice": (tarfile.TarInfo("good.jsonl"), hostile_files.GOOD.encode()),
        "case": (tarfile.TarInfo("GOOD.jsonl"), hostile_files.GOOD.encode()),
    }[kind]
    write(tmp_path / "in" / "a.tar", hostile_files.tar(member))
    found = rows("archive", tmp_path / "in")
    assert sum(isinstance(row, Sample) for row in found) == 1 and not (tmp_path / "escaped").exists()
    assert [row.code for row in found if isinstance(row, DeadLetter)] == [
        "duplicate" if kind in ("twice", "case") else "unsafe_path"
    ]


def test_boxes_that_are_not_in_the_image_are_refused(tmp_path: Path) -> None:
    from medxiaohe.data.readers.voc_xml import EXAMPLE

    good = str(EXAMPLE["Annotations/a.xml"])
    write(tmp_path / "Annotations" / "a.xml", good)
    write(tmp_path / "Annotations" / "b.xml", good.replace("<xmax>20", "<xmax>65"))
    write(tmp_path / "Annotations" / "c.xml", good.replace("a.jpg", "../../x.jpg"))
    sample, box, path = rows("voc_xml", tmp_path)
    assert json.loads(sample.target) == [{"label": "RBC", "box": [3, 4, 20, 30]}]
    assert (box.code, path.code) == ("lie", "unsafe_path")


# ---- the child process ------------------------------------------------------------------------------------


FAILURES = [
    ("memory", "too_large"),
    ("hang", "time"),
    ("die", "crash"),
    ("odd", "format"),
    ("deep", "too_deep"),
]


@pytest.mark.parametrize(("how", "code"), FAILURES)
def test_a_decoder_that_fails_is_a_typed_rejection_and_the_next_file_is_read(
    how: str, code: str, tmp_path: Path
) -> None:
    with pytest.raises(Rejected) as caught:
        list(sandbox.decode("decoders_for_tests:fail", write(tmp_path / "x", "x"), seconds=1.0, how=how))
    assert caught.value.code == code
    assert list(sandbox.decode("decoders_for_tests:fail", tmp_path / "x", seconds=1.0, how="fine")) == [
        {"read": "x"}
    ]


def test_a_bad_record_of_pubmed_and_a_cut_file_are_dead_and_the_rest_is_read(tmp_path: Path) -> None:
    whole = hostile_files.pubmed(b"A view.", 3).replace(b"<PMID>1</PMID>", b"")
    write(tmp_path / "a.xml", whole)
    write(tmp_path / "b.xml.gz", gzip.compress(hostile_files.pubmed(b"Cut.", 3)[:-60]))
    write(tmp_path / "c.xml", b'<?xml version="1.0" encoding="klingon"?>' + whole)
    found = rows("pubmed_xml", tmp_path)
    letters = [row for row in found if isinstance(row, DeadLetter)]
    assert [row.id for row in found if not isinstance(row, DeadLetter)] == ["0", "2", "0", "1"]
    assert [(letter.where, letter.code) for letter in letters] == [
        ("a.xml", "row"),
        ("b.xml.gz", "xml"),
        ("c.xml", "xml"),
    ]
    assert all(letter.sha256 and letter.reason for letter in letters)
