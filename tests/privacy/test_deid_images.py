"""Pictures lose what stands beside their pixels, and folders lose their patients: nothing planted is in any
byte of the output."""

# ruff: noqa: E501 - long rows of examples

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

Image = pytest.importorskip("PIL.Image")

import numpy as np  # noqa: E402
from PIL import ImageDraw, ImageFont, PngImagePlugin  # noqa: E402

from medxiaohe.cli import main  # noqa: E402
from medxiaohe.errors import ConfigError  # noqa: E402
from medxiaohe.privacy import collection, pictures, pixels, secret  # noqa: E402
from medxiaohe.privacy.pixels import Policy, has_ocr  # noqa: E402
from medxiaohe.privacy.quarantine import Quarantined  # noqa: E402

NAME, TRUST = "Quxleyson", Policy("trust")
needs_ocr = pytest.mark.skipif(not has_ocr(), reason="needs the extra ocr")


def photo(mode: str = "RGB") -> Image.Image:
    grey = np.linspace(0, 255, 64 * 48).astype(np.uint8).reshape(48, 64)
    return Image.fromarray(np.stack([grey, grey.T.reshape(48, 64), 255 - grey], axis=-1)).convert(mode)


def saved(path: Path) -> bytes:
    """A picture of the format of the path with the name planted wherever the format has room."""
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x0112] = NAME, f"{NAME} artist", 6
    xmp = f"<x:xmpmeta>{NAME}</x:xmpmeta>".encode()
    if path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Patient", NAME)
        info.add_text("Zip", NAME * 3, zip=True)
        info.add_itxt("Comment", NAME)
        photo().save(path, pnginfo=info, exif=exif, icc_profile=NAME.encode() * 20, dpi=(72, 72))
        path.write_bytes(path.read_bytes() + NAME.encode())
    elif path.suffix == ".jpg":
        thumbnail = b"\xff\xd8" + NAME.encode() + b"\xff\xd9"
        photo().save(
            path, exif=exif, comment=NAME.encode(), xmp=xmp, icc_profile=NAME.encode() * 20, progressive=True
        )
        data = path.read_bytes()
        iptc = b"Photoshop 3.0\x008BIM\x04\x04" + NAME.encode()
        jfxx = b"JFXX\0\x10" + thumbnail
        more = b"".join(
            bytes((0xFF, m)) + (len(b) + 2).to_bytes(2, "big") + b
            for m, b in ((0xED, iptc), (0xE0, jfxx), (0xEC, NAME.encode()))
        )
        path.write_bytes(data[:2] + more + data[2:] + NAME.encode())
    elif path.suffix == ".tif":
        photo().save(path, tiffinfo={270: NAME, 315: NAME})
    elif path.suffix == ".webp":
        photo().save(path, lossless=True, exif=exif, xmp=xmp)
    elif path.suffix == ".gif":
        photo("P").save(path, comment=NAME.encode())
    assert NAME.encode() in path.read_bytes()
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".gif"])
def test_what_stands_beside_the_pixels_goes_and_the_pixels_stay(suffix: str, tmp_path: Path) -> None:
    before = Image.open(io.BytesIO(saved(tmp_path / f"a{suffix}"))).convert("RGB")
    ((_, data),) = pictures.clean(tmp_path / f"a{suffix}", TRUST)
    after = Image.open(io.BytesIO(data))
    assert NAME.encode() not in data and not {"exif", "xmp", "comment", "icc_profile", "Patient"} & set(
        after.info
    ) - {"exif"}
    assert (np.asarray(before) == np.asarray(after.convert("RGB"))).all()
    if suffix == ".jpg":
        assert dict(after.getexif()) == {0x0112: 6}  # the picture is still shown the right way up


def test_sixteen_bits_and_several_pages_stay(tmp_path: Path) -> None:
    deep = Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20)
    deep.save(
        tmp_path / "deep.tif", save_all=True, append_images=[deep.transpose(Image.Transpose.ROTATE_180)]
    )
    first, second = pictures.clean(tmp_path / "deep.tif", TRUST)
    assert (np.asarray(Image.open(io.BytesIO(first[1]))) == np.asarray(deep)).all() and first[1] != second[1]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe1\xff\xff" + b"Quxleyson"],
)
def test_broken_pictures_are_refused_without_quoting_them(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(Quarantined) as refusal:
        pictures.clean(tmp_path / "a.png", TRUST)
    assert NAME not in str(refusal.value)


@pytest.mark.skipif(has_ocr(), reason="the OCR is installed")
def test_without_ocr_nothing_is_published_unless_the_user_says_that_there_is_no_text(tmp_path: Path) -> None:
    saved(tmp_path / "a.png")
    with pytest.raises(Quarantined, match=r"pip install 'medxiaohe\[ocr\]'"):
        pictures.clean(tmp_path / "a.png", Policy())


@needs_ocr
@pytest.mark.parametrize(("size", "contrast"), [(10, 40), (14, 70), (24, 200)])
def test_text_in_pixels_is_found(size: int, contrast: int) -> None:
    plain = np.fromfunction(lambda y, x: 60 + 30 * np.sin(x / 60) + 30 * np.cos(y / 80), (400, 400)).astype(
        np.uint8
    )
    image = Image.fromarray(plain)
    ImageDraw.Draw(image).text(
        (60, 200),
        "QUXLEYSON Jane 4711223",
        fill=int(plain[200:230, 60:300].max()) + contrast,
        font=ImageFont.load_default(size),
    )
    assert pixels.texts(plain) == [] and pixels.texts(np.asarray(image))


@needs_ocr
def test_ultrasound_is_blanked_outside_of_its_regions_only_when_the_ocr_agrees() -> None:
    pydicom = pytest.importorskip("pydicom")
    from medxiaohe.privacy import dicom
    from tests import dicom_for_tests as made

    region = pydicom.Dataset()
    (
        region.RegionLocationMinX0,
        region.RegionLocationMinY0,
        region.RegionLocationMaxX1,
        region.RegionLocationMaxY1,
    ) = 0, 60, 299, 299
    for y, refused in ((10, False), (150, True)):
        image = Image.new("L", (300, 300), 20)
        ImageDraw.Draw(image).text((20, y), "QUXLEYSON 4711223", fill=250, font=ImageFont.load_default(22))
        old = made.picture(1, "1.2.840.10008.5.1.4.1.1.6.1", "US", Rows=300, Columns=300, BitsAllocated=8, BitsStored=8, HighBit=7,
                           PixelData=image.tobytes(), SequenceOfUltrasoundRegions=[region])  # fmt: skip
        if refused:
            with pytest.raises(Quarantined, match="OCR found text"):
                dicom.clean(made.written(old), key=secret.Key(b"k" * 32), policy=Policy())
        else:
            new = made.read(
                dicom.clean(made.written(old), key=secret.Key(b"k" * 32), policy=Policy()).data
            ).pixel_array
            assert not new[:60].any() and (new[60:] == 20).all()


# ---- folders


def planted_folder(folder: Path) -> list[str]:
    """A folder of every kind of file, with what must not be in the output; the names of the files are among
    it."""
    patient = folder / f"{NAME}_Zaramund"
    patient.mkdir(parents=True)
    secrets = [NAME, "Zaramund", "4711223", "555-48-9102", "1951", "王晓燕", "13812345678"]
    note = f"Patient Name: Zaramund {NAME}\nMRN: 4711223, SSN 555-48-9102, DOB 03/14/1951. She has chest pain.\n患者姓名：王晓燕，电话13812345678。\n"
    (patient / "note.txt").write_text(note)
    (patient / "table.csv").write_text(f'patient_id,name,note\n4711223,"{NAME}, Zaramund","{note}"\n')
    saved(patient / "scan.png")
    row = {
        "id": "4711223-1",
        "messages": [{"role": "user", "parts": [note, {"type": "ImageRef", "uri": "scan.png"}]}],
        "patient_id": "4711223",
        NAME: note,
    }
    (patient / "rows.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n")
    (patient / f"{NAME}.json").write_text(json.dumps([row], ensure_ascii=False))
    (patient / "broken.jsonl").write_text(json.dumps(row) + '\n{"note": "' + NAME)
    (patient / "latin.txt").write_bytes(f"{NAME} é".encode("latin-1"))
    (patient / f"{NAME}.pdf").write_bytes(f"%PDF {NAME}".encode())
    return secrets


def is_in(data: bytes, secret: str, encoding: str) -> bool:
    """Digits count where no digit or hexadecimal letter stands beside them: a random id of 38 digits holds
    any four by chance."""
    beside = rb"[0-9a-f]" + bytes(len("0".encode(encoding)) - 1) if secret.isdigit() else rb"(?!)"
    return (
        re.search(rb"(?<!%b)%b(?!%b)" % (beside, re.escape(secret.encode(encoding)), beside), data, re.DOTALL)
        is not None
    )


def planted_in(folder: Path, secrets: list[str]) -> list[tuple[str, str]]:
    found = []
    for path in folder.rglob("*"):
        data = path.relative_to(folder).as_posix().encode() + (path.read_bytes() if path.is_file() else b"")
        found += [
            (path.name, s)
            for s in secrets
            if any(is_in(data.lower(), s.lower(), e) for e in ("utf-8", "utf-16-le"))
        ]
    return found


def test_a_folder_loses_its_patients_and_says_what_it_holds_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = planted_folder(tmp_path / "in")
    if dicom := pytest.importorskip("pydicom"):
        from tests import dicom_for_tests as made

        data, more = made.planted()
        (tmp_path / "in" / f"{NAME}_Zaramund" / "0.dcm").write_bytes(data)
        secrets += more
        assert dicom
    verb = [
        "deid",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
        "--key",
        str(tmp_path / "key"),
        "--pixels",
        "trust",
    ]
    assert main(verb) == 1  # three files are held back
    said = "".join(capfd.readouterr())
    summary = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (summary["files"], summary["written"], summary["quarantined"]) == (9, 6, 3)
    assert sorted(r["reason"] for r in summary["quarantine"]) == [
        "no de-identifier for such files",
        "not UTF-8",
        "not readable (DataError)",
    ]
    assert planted_in(tmp_path / "out", secrets) == [] and not [
        s for s in secrets if s.lower() in said.lower()
    ]
    assert "chest pain" in next((tmp_path / "out/text").iterdir()).read_text()
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    rows = [
        json.loads(line)
        for p in (tmp_path / "out/rows").glob("*.jsonl")
        for line in p.read_text().splitlines()
    ]
    (cell,) = {
        line.split(",")[0]
        for p in (tmp_path / "out/tables").iterdir()
        for line in p.read_text().splitlines()[1:2]
    }
    assert rows[0]["patient_id"] == cell and rows[0]["messages"][0]["role"] == "user"
    assert (tmp_path / "out/rows" / rows[0]["messages"][0]["parts"][1]["uri"]).is_file()


def test_the_paths_of_what_is_held_back_are_written_only_when_asked_for_and_for_the_owner(
    tmp_path: Path,
) -> None:
    planted_folder(tmp_path / "in")
    verb = [
        "deid",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
        "--key",
        str(tmp_path / "key"),
        "--pixels",
        "trust",
    ]
    assert main([*verb, "--sources", str(tmp_path / "mine.jsonl")]) == 1
    assert (
        f"{NAME}.pdf" in (tmp_path / "mine.jsonl").read_text()
        and stat.S_IMODE((tmp_path / "mine.jsonl").stat().st_mode) == 0o600
    )


def test_a_killed_run_goes_on_and_leaves_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    planted_folder(tmp_path / "in")
    key = secret.load(tmp_path / "key")
    collection.clean(tmp_path / "in", tmp_path / "whole", key=key, policy=TRUST)
    whole = {
        p.relative_to(tmp_path / "whole"): p.read_bytes()
        for p in (tmp_path / "whole").rglob("*")
        if p.is_file()
    }
    verb = [
        sys.executable,
        "-m",
        "medxiaohe",
        "deid",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
        "--key",
        str(tmp_path / "key"),
        "--pixels",
        "trust",
    ]
    for step in (1, 2, 3, 9):
        run = subprocess.run(verb, env={**os.environ, "CRASH_AT": str(step)}, capture_output=True)
        assert run.returncode == -signal.SIGKILL
    assert subprocess.run(verb, capture_output=True).returncode == 1
    assert {
        p.relative_to(tmp_path / "out"): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
    } == whole


def test_the_same_key_gives_the_same_pseudonyms_and_another_does_not(tmp_path: Path) -> None:
    one, two = secret.Key(b"a" * 32), secret.Key(b"b" * 32)
    assert one.name("patient", "x") == secret.Key(b"a" * 32).name("patient", "x") != two.name("patient", "x")
    assert one.uid("1.2.3").startswith("2.25.") and len(one.uid("1.2.3")) <= 64 and "61" * 8 not in repr(one)


def test_a_key_that_others_may_read_or_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.load(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        secret.load(tmp_path / "key")
    (tmp_path / "short").write_text("abcd")
    (tmp_path / "short").chmod(0o600)
    with pytest.raises(ConfigError, match="holds no key"):
        secret.load(tmp_path / "short")
    monkeypatch.delenv(secret.VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=secret.VARIABLE):
        secret.load()
    monkeypatch.setenv(secret.VARIABLE, "ab" * 32)
    assert secret.load().secret == b"\xab" * 32


def test_other_folders_are_not_written_into(tmp_path: Path) -> None:
    planted_folder(tmp_path / "in")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    key = secret.Key(b"k" * 32)
    for out in (tmp_path / "full", tmp_path / "in" / "out", tmp_path / "in"):
        with pytest.raises(ConfigError):
            collection.clean(tmp_path / "in", out, key=key, policy=TRUST)
    with pytest.raises(ConfigError, match="no files"):
        collection.clean(tmp_path / "nothing", tmp_path / "out", key=key, policy=TRUST)


@pytest.mark.parametrize(
    "rules",
    [
        [{"boxes": [[0, 0, 5]]}],
        [{"when": 3, "boxes": [[0, 0, 5, 5]]}],
        [{"boxes": [[5, 0, 5, 5]]}],
        ["x"],
        [{"boxes": [["a", 0, 5, 5]]}],
    ],
)
def test_boxes_that_are_none_are_refused(rules: list) -> None:
    with pytest.raises(ConfigError):
        pixels.policy("ocr", rules)
