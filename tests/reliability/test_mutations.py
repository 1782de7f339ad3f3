"""Damaged files are read, or refused with a typed reason: never a crash, a hang or an error of another kind
(reliability.md section 2).

MEDXIAOHE_MUTATIONS says how many files in all; the promise is 10,000, continuous integration takes fewer.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_files
import pytest

from medxiaohe import images, plugins
from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.readers import CODES, DeadLetter, dicom, nifti, npz, pdf, pmc_xml, textgrid, voc_xml
from medxiaohe.data.readers.html import EXAMPLE as HTML
from medxiaohe.errors import DataError
from medxiaohe.types import ImageRef, Sample

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")
pytest.importorskip("pypdf")
TOTAL = int(os.environ.get("MEDXIAOHE_MUTATIONS", "600"))


def picture(form: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((48, 40), 60).convert("RGB").save(out, form)
    return out.getvalue()


def article() -> bytes:
    return pdf.tiny("Figure 1. A view.", zlib.compress(bytes(range(256)) * 16), 64)


SEEDS: dict[str, tuple[str, str, Callable[[], bytes], dict[str, Any]]] = {
    "DICOM": ("dicom", "x.dcm", lambda: dicom.tiny(frames=2), {}),
    "NIfTI": ("nifti", "x.nii", nifti.tiny, {}),
    "NIfTI, packed": ("nifti", "x.nii.gz", lambda: gzip.compress(nifti.tiny()), {}),
    "PDF": ("pdf", "x.pdf", article, {}),
    "NumPy": ("npz", "x.npz", npz._tiny, {}),
    "PNG": ("image_folder", "x.png", lambda: png(48, 40), {"text": "A view."}),
    "JPEG": ("image_folder", "x.jpg", lambda: picture("JPEG"), {"text": "A view."}),
    "TIFF": ("image_folder", "x.tif", lambda: picture("TIFF"), {"text": "A view."}),
    "WebP": ("image_folder", "x.webp", lambda: picture("WEBP"), {"text": "A view."}),
    "JSON lines": ("chat_jsonl", "x.jsonl", lambda: hostile_files.GOOD.encode() * 3, {"bad_rows": "skip"}),
    "JSON": (
        "llava",
        "x.json",
        lambda: plugins.load("readers", "llava").__globals__["EXAMPLE"]["llava.json"].encode(),
        {},
    ),
    "CSV": ("table", "x.csv", lambda: b'id,question,answer\n1,"Which, then?",This.\n2,Why?,So.\n', {}),
    "JATS": ("pmc_xml", "x.xml", lambda: pmc_xml.EXAMPLE["PMC1.xml"].encode(), {}),
    "PubMed": ("pubmed_xml", "x.xml", lambda: hostile_files.pubmed(b"A view.", 4), {}),
    "PubMed, packed": (
        "pubmed_xml",
        "x.xml.gz",
        lambda: gzip.compress(hostile_files.pubmed(b"A view.", 4)),
        {},
    ),
    "MedQuAD": ("medquad_xml", "x.xml", lambda: hostile_files.MEDQUAD.encode(), {}),
    "VOC": ("voc_xml", "x.xml", lambda: voc_xml.EXAMPLE["Annotations/a.xml"].encode(), {}),
    "HTML": ("html", "x.html", lambda: HTML["page.html"].encode(), {}),
    "TextGrid": (
        "textgrid",
        "x_doctor.TextGrid",
        lambda: textgrid.EXAMPLE["day1_doctor.TextGrid"].encode(),
        {},
    ),
    "zip": ("archive", "x.zip", hostile_files.zipped, {"options": {"bad_rows": "skip"}}),
    "tar": ("archive", "x.tar", hostile_files.tar, {"options": {"bad_rows": "skip"}}),
}


OTHERS = sorted(set(plugins.shipped("readers")) - {reader for reader, *_ in SEEDS.values()} - {"hub"})


def examples(reader: str) -> dict[str, bytes]:
    """The files of a reader's EXAMPLE."""
    made = {
        name: content() if callable(content) else content
        for name, content in plugins.load("readers", reader).__globals__["EXAMPLE"].items()
    }
    return {name: text.encode() if isinstance(text, str) else text for name, text in made.items()}


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Bytes changed near the head or anywhere, a piece cut out, doubled or cut off."""
    found = bytearray(data)
    for _ in range(dice.choice((1, 1, 3, 10))):
        place = dice.randrange(min(len(found), dice.choice((64, 400, len(found)))))
        found[place] = dice.choice(
            (0, 255, 127, found[place] ^ (1 << dice.randrange(8)), dice.randrange(256))
        )
    how, a, b = dice.random(), dice.randrange(len(found)), dice.randrange(len(found))
    if how < 0.1:
        return bytes(found[: max(1, a)])
    if how < 0.2:
        del found[min(a, b) : max(a, b)]
    elif how < 0.3:
        found[a:a] = found[min(a, b) : max(a, b)]
    return bytes(found) or b"\0"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_are_read_or_refused_with_a_reason(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    reader, file, make, options = SEEDS[name]
    data, dice, read = make(), random.Random(name), plugins.load("readers", reader)
    path = tmp_path / "in" / file
    path.parent.mkdir()
    outcomes = {"read": 0, "refused": 0}
    for _ in range(-(-TOTAL // (len(SEEDS) + len(OTHERS)))):
        path.write_bytes(mutated(data, dice))
        refused = False
        try:
            for row in read(path.parent, **options):
                if isinstance(row, DeadLetter):
                    assert row.code in CODES and row.reason
                    refused = True
                elif reader == "image_folder":
                    assert isinstance(row, Sample)
                    images.open_image(ImageRef(str(path)))
        except DataError as error:
            assert str(error)
            refused = True
        outcomes["refused" if refused else "read"] += 1
    assert outcomes["refused"], "a test in which nothing is refused tests nothing"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", OTHERS)
def test_damaged_examples_of_all_other_readers_are_read_or_refused_with_a_reason(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    files, dice, read = examples(reader), random.Random(reader), plugins.load("readers", reader)
    refused = 0
    for number in range(-(-TOTAL // (len(SEEDS) + len(OTHERS)))):
        folder = tmp_path / str(number)
        damaged = dice.choice(sorted(files))
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(mutated(data, dice) if name == damaged else data)
        try:
            for row in read(folder):
                assert not isinstance(row, DeadLetter) or (row.code in CODES and row.reason)
                refused += isinstance(row, DeadLetter)
        except DataError as error:
            assert str(error)
            refused += 1
        shutil.rmtree(folder)
    assert refused, "a test in which nothing is refused tests nothing"
