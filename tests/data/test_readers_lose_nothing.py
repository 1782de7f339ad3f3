"""Readers neither lose nor mistake what a file says: paragraphs around figures, values of every way of
storing them, names that two files have, offsets that do not fit. Every file is made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_readers import own_cache, pixels, rows, tiny_dicom, write  # noqa: F401

from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.readers import DeadLetter

np = pytest.importorskip("numpy")

ARTICLE = """<?xml version="1.0"?>
<article xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML"><front>
<article-meta><article-id pub-id-type="pmc">PMC5</article-id>
<title-group><article-title>Two stones</article-title></title-group></article-meta></front>
<body><sec><title>Case</title>{paragraph}</sec></body></article>"""
FIGURE = (
    '<fig id="f1"><label>Fig. 1</label><caption><p>A stone.</p></caption>'
    '<graphic xlink:href="PMC5-g1"/></fig>'
)


def test_a_paragraph_keeps_its_words_on_both_sides_of_a_figure(tmp_path: Path) -> None:
    paragraph = (
        f"<p>It <italic>shows</italic> (<xref>Fig. 1</xref>) a stone.{FIGURE} It was <b>removed</b>.</p>"
    )
    write(tmp_path / "PMC5.xml", ARTICLE.format(paragraph=paragraph))
    write(tmp_path / "PMC5-g1.png", png(8, 8))
    (sample,) = rows("pmc_xml", tmp_path)
    before, image, after = sample.messages[0].parts
    assert before == "Two stones\n\nCase\n\nIt shows (Fig. 1) a stone."
    assert image.uri.endswith("PMC5-g1.png") and after == "Fig. 1 A stone.\n\nIt was removed."


def test_a_list_keeps_its_items_apart_and_a_figure_inside_of_one(tmp_path: Path) -> None:
    second = f"<list-item><p>Second.{FIGURE} Third.</p></list-item>"
    items = f"<list><list-item><p>First.</p></list-item>{second}</list>"
    write(tmp_path / "PMC5.xml", ARTICLE.format(paragraph=items))
    (sample,) = rows("pmc_xml", tmp_path)
    assert sample.text == "Two stones\n\nCase\n\nFirst. Second.\n\nFig. 1 A stone.\n\nThird."


DOCUMENT = r"\documentclass[12pt]{minimal} \usepackage{amsmath} \begin{document} $$C=25$$ \end{document}"
TEX = f"<tex-math>{DOCUMENT}</tex-math>"
MATH = "<mml:math><mml:mi>C</mml:mi><mml:mo>=</mml:mo><mml:mn>25</mml:mn></mml:math>"


@pytest.mark.parametrize("formula", [TEX + MATH, MATH + TEX, TEX, MATH])
def test_a_formula_is_read_once_and_without_its_document(formula: str, tmp_path: Path) -> None:
    inline = f"<inline-formula><alternatives>{formula}</alternatives></inline-formula>"
    write(tmp_path / "a.xml", ARTICLE.format(paragraph=f"<p>Thus {inline} ml a minute.</p>"))
    (sample,) = rows("pmc_xml", tmp_path)
    assert sample.text.endswith("Thus C=25 ml a minute.")


def enhanced(path: Path, stored: object, **of_frame: float) -> Path:
    """An enhanced CT whose scale, spacing and windows stand in its functional groups."""
    from pydicom import dcmread
    from pydicom.dataset import Dataset

    def group(**fields: object) -> Dataset:
        made = Dataset()
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    tiny_dicom(path, stored)
    data = dcmread(path)
    for name in ("RescaleSlope", "RescaleIntercept", "PixelSpacing", "SliceThickness"):
        delattr(data, name)
    measures = group(PixelSpacing=[0.5, 0.6], SliceThickness=2)
    scale = group(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    data.SharedFunctionalGroupsSequence = [
        group(PixelMeasuresSequence=[measures], PixelValueTransformationSequence=[scale])
    ]
    own = [group() for _ in range(int(data.NumberOfFrames))]
    own[-1].PixelValueTransformationSequence = [group(RescaleSlope=2, RescaleIntercept=-1000)]
    data.PerFrameFunctionalGroupsSequence = own
    data.save_as(path)
    return path


def test_an_enhanced_ct_has_the_values_and_the_spacing_of_its_functional_groups(tmp_path: Path) -> None:
    hounsfield = np.array([[-160, 40, 240], [-160, 40, 240]])
    stored = np.stack([hounsfield + 1024, (hounsfield + 1000) // 2])
    enhanced(tmp_path / "e.dcm", stored)
    tiny_dicom(tmp_path / "f.dcm", (hounsfield + 1024)[None])
    many, one = rows("dicom", tmp_path)
    assert (pixels(many, 0) == pixels(one)).all() and (pixels(many, 1) == pixels(one)).all()
    first, last = many.meta["preprocessing"]
    assert first["spacing_mm"] == [0.5, 0.6, 2.0] and first["intercept"] == -1024 and last["slope"] == 2


def test_a_palette_gives_colours_and_a_modality_table_values(tmp_path: Path) -> None:
    from pydicom import dcmread
    from pydicom.dataset import Dataset

    indices = np.array([[0, 1, 2, 3]])
    tables = {"Red": [0, 255, 0, 0], "Green": [0, 0, 255, 0], "Blue": [0, 0, 0, 255]}
    tiny_dicom(tmp_path / "p.dcm", indices[None], "US", PixelRepresentation=0)
    data = dcmread(tmp_path / "p.dcm")
    data.PhotometricInterpretation = "PALETTE COLOR"
    for colour, values in tables.items():
        data.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [4, 0, 16])
        table = (np.array(values, "<u2") * 257).tobytes()
        data.add_new(f"{colour}PaletteColorLookupTableData", "OW", table)
    data.save_as(tmp_path / "p.dcm")
    (sample,) = rows("dicom", tmp_path / "p.dcm")
    assert pixels(sample)[0].tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]

    tiny_dicom(tmp_path / "m.dcm", indices[None], "MR", PixelRepresentation=0)
    data = dcmread(tmp_path / "m.dcm")
    for name in ("RescaleSlope", "RescaleIntercept"):
        delattr(data, name)
    lut = Dataset()
    lut.add_new("LUTDescriptor", "US", [4, 0, 16])
    lut.add_new("ModalityLUTType", "LO", "US")
    lut.add_new("LUTData", "US", [0, 1000, 100, 500])
    data.ModalityLUTSequence = [lut]
    data.save_as(tmp_path / "m.dcm")
    (sample,) = rows("dicom", tmp_path / "m.dcm", preset="full_range")
    assert pixels(sample)[0, :, 0].tolist() == [0, 255, 26, 128]


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (-3, 7)])
def test_a_picture_of_two_values_is_black_and_white(values: tuple[int, int], tmp_path: Path) -> None:
    from medxiaohe.data.readers import nifti

    tiny_dicom(tmp_path / "d.dcm", np.array([[values[0], values[1]]])[None], "MR")
    (sample,) = rows("dicom", tmp_path / "d.dcm")
    assert pixels(sample)[0, :, 0].tolist() == [0, 255]
    pytest.importorskip("nibabel")
    voxels = np.resize(np.array(values, "<i2"), 6 * 5 * 4).tobytes()
    write(tmp_path / "n.nii", nifti.tiny(voxels=voxels))
    (sample,) = rows("nifti", tmp_path / "n.nii")
    assert set(np.unique(pixels(sample))) == {0, 255}


def test_a_name_of_two_images_is_refused_and_its_place_is_not(tmp_path: Path) -> None:
    for name in ("benign/1.png", "malignant/1.png", "malignant/2.png"):
        write(tmp_path / name, png(8, 8))
    write(tmp_path / "labels.csv", "file,text\n1.png,A lesion.\nmalignant/1.png,Malignant.\n2.png,Other.\n")
    found = rows("image_folder", tmp_path)
    assert isinstance(found[0], DeadLetter) and "2 images are called '1.png'" in found[0].reason
    assert [(s.id, s.text) for s in found[1:3]] == [
        ("malignant/1.png", "Malignant."),
        ("malignant/2.png", "Other."),
    ]


def test_a_caption_of_a_name_that_two_scans_have_is_given_to_neither(tmp_path: Path) -> None:
    for name in ("a/1.dcm", "b/1.dcm", "b/2.dcm"):
        tiny_dicom(tmp_path / name, np.arange(6).reshape(1, 2, 3), "MR")
    write(tmp_path / "t.csv", "file,caption\n1.dcm,One.\nb/2.dcm,Two.\n")
    first, second, third = rows("dicom", tmp_path, captions="t.csv")
    assert all(
        isinstance(one, DeadLetter) and "2 files are called '1'" in one.reason for one in (first, second)
    )
    assert third.text.endswith("Two.")
    write(tmp_path / "t.csv", "file,caption\na/1.dcm,One.\nb/1.dcm,Other.\nb/2.dcm,Two.\n")
    assert [one.text for one in rows("dicom", tmp_path, captions="t.csv")] == ["One.", "Other.", "Two."]


def test_mentions_at_other_places_than_they_say_are_refused(tmp_path: Path) -> None:
    lines = [
        "7|t|Gout.",
        "7|a|Gout hurts.",
        "7\t0\t4\tGout\tDisease\tD006073",
        "7\t{0}\t{1}\tGout\tDisease\tD006073",
    ]
    text = "\n".join(lines) + "\n\n"
    write(tmp_path / "x.txt", text.format(6, 10) + text.replace("7", "8").format(7, 11))
    good, bad = rows("pubtator", tmp_path)
    assert len(good.annotations.mentions) == 2
    assert isinstance(bad, DeadLetter) and "7 to 11 is 'out ', not 'Gout'" in bad.reason
