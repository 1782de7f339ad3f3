"""Any file or folder of a user is read without flags: the reader and its options are guessed from content."""

from __future__ import annotations

import csv
import io as streams
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medxiaohe.cli import main
from medxiaohe.data.formats import sniff
from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.formats.guess import guess
from medxiaohe.data.formats.validate import Report, check
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.plugins import load
from medxiaohe.types import ImageRef, Sample

QUESTION, ANSWER = "Is there an effusion?", "No."
ASKED = {"role": "user", "content": QUESTION}
ANSWERED = {"role": "assistant", "content": ANSWER}


def checked(path: Path) -> Report:
    one = guess(path)
    return check(path, one.reader, one.options)


def samples(path: Path, reader: str = "", **options: Any) -> list[Sample]:
    one = guess(path)
    rows = list(
        load("readers", reader or one.reader)(path, **{**(one.options if not reader else {}), **options})
    )
    bad = [row for row in rows if isinstance(row, DeadLetter)]
    assert not bad, bad
    return rows


def texts(sample: Sample) -> list[str]:
    return [message.text.strip() for message in sample.messages]


def write(path: Path, value: Any, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        path.write_bytes(text.encode(encoding))
    return path


def table(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    out = streams.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def talk(image: str = "") -> list[dict[str, str]]:
    return [
        {"from": "human", "value": f"<image>\n{QUESTION}" if image else QUESTION},
        {"from": "gpt", "value": ANSWER},
    ]


# ---- the formats of the table, each as its own project writes it --------------------------------------


def test_a_llava_file_finds_its_images_in_another_folder(tmp_path: Path) -> None:
    write(tmp_path / "images" / "train" / "a.png", png(8, 6))
    path = write(
        tmp_path / "annotations" / "llava.json",
        [{"id": "1", "image": "train/a.png", "conversations": talk("a")}],
    )
    one = guess(path)
    assert (
        one.reader == "llava"
        and one.options == {"images": "../images"}
        and "images in ../images" in one.notes
    )
    report = checked(path)
    assert (report.read, report.good, report.with_images) == (1, 1, 1)


def test_images_in_two_folders_are_not_chosen_between(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "a.png", png(8, 6))
    path = write(tmp_path / "llava.json", [{"id": "1", "image": "a.png", "conversations": talk("a")}])
    one = guess(path)
    assert "images" not in one.options and "choose one with images=FOLDER" in " ".join(one.notes)


@pytest.mark.parametrize(
    ("name", "rows", "reader"),
    [
        ("sharegpt.json", [{"id": "1", "conversations": talk()}], "sharegpt"),
        ("alpaca.json", [{"instruction": QUESTION, "input": "", "output": ANSWER}], "alpaca"),
        ("openai.json", [{"messages": [ASKED, ANSWERED]}], "chat_jsonl"),
        ("qa.json", [{"question": QUESTION, "answer": ANSWER}], "table"),
        ("trl.json", [{"prompt": QUESTION, "completion": ANSWER}], "chat_jsonl"),
    ],
)  # fmt: skip
def test_a_json_file_is_known_by_its_rows(name: str, rows: Any, reader: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, rows)
    assert guess(path).reader == reader
    assert [texts(one) for one in samples(path)] == [[QUESTION, ANSWER]]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": QUESTION, "completion": ANSWER},
        {"prompt": [ASKED], "completion": [ANSWERED]},
        {"question": QUESTION, "answer": ANSWER},
        {"instruction": QUESTION, "output": ANSWER},
        {"conversations": talk()},
    ],
)  # fmt: skip
def test_a_jsonl_row_of_any_layout_is_read(row: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", json.dumps(row) + "\n")
    assert [texts(one) for one in samples(path)] == [[QUESTION, ANSWER]]


def test_openai_messages_with_text_in_one_row_and_parts_in_another_are_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.png", png(8, 6))
    rows = [
        {"messages": [ASKED, ANSWERED]},
        {"messages": [
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text", "text": QUESTION}]},
            {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]}]},
    ]  # fmt: skip
    path = write(tmp_path / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert main(["data", "check", str(path)]) == 0
    assert "2 good, 1 with images, 0 problems" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("delimiter", "encoding"),
    [(";", "utf-8"), (";", "cp1252"), ("\t", "utf-8"), ("|", "utf-16"), (",", "gb18030")],
)
def test_delimiter_and_encoding_of_a_table_are_sniffed(delimiter: str, encoding: str, tmp_path: Path) -> None:
    french = [
        {"question": f"Où siège l'épanchement, côté n° {n} ?", "answer": "À gauche, près du médiastin élargi"}
        for n in range(12)
    ]
    chinese = [
        {"question": f"患者{n}胸腔积液位于哪一侧，应如何进一步检查？", "answer": "左侧胸腔，建议超声检查"}
        for n in range(12)
    ]
    rows = chinese if encoding == "gb18030" else french
    path = write(tmp_path / "cases.csv", table(rows, delimiter), encoding)
    assert [texts(one) for one in samples(path)] == [[row["question"], row["answer"]] for row in rows]


def test_a_comma_inside_quotes_is_no_other_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'question,answer\n"a; b; c","d; e; f"\n"g; h; i","j; k; l"\n')
    assert sniff.delimiter(path, ",") == ","


def test_the_error_of_an_unknown_column_names_those_there_are_and_the_option(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "picture,finding\na.png,normal\n")
    report = checked(path)
    assert report.good == 0
    reason = report.problems[0].reason
    assert "picture, finding" in reason and "columns={" in reason


def test_a_constant_question_is_asked_of_every_image_of_a_table(tmp_path: Path) -> None:
    write(tmp_path / "a.png", png(8, 6))
    path = write(tmp_path / "labels.csv", "image,label\na.png,yes\n")
    for question in ("Is this normal?", {"constant": "Normal?"}):
        (one,) = samples(path, "table", columns={"question": question, "answer": "label", "image": "image"})
        asked = question if isinstance(question, str) else question["constant"]
        assert texts(one) == [asked, "yes"] and len(one.images) == 1


def test_a_column_that_is_there_is_never_taken_for_a_constant(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "My question,My answer\nWhy?,So.\n")
    (one,) = samples(path, "table", columns={"question": "My question", "answer": "My answer"})
    assert texts(one) == ["Why?", "So."]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"questoin": "a"}, "did you mean 'question'"),
        ({"user": "a", "question": "b"}, "another name of 'user'"),
    ],
)
def test_a_wrong_key_of_columns_is_one_sentence(columns: dict[str, str], says: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,b\n1,2\n")
    with pytest.raises(ConfigError, match=says):
        samples(path, "table", columns=columns)


# ---- published question sets, by the columns they have on the hub ---------------------------------------

PUBLISHED: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "vqa-rad, path-vqa": ({"question": QUESTION, "answer": "no"}, [QUESTION, "no"], ""),
    "slake": (
        {"img_name": "a.png", "question": QUESTION, "answer": "No", "q_lang": "en", "qid": 3},
        [QUESTION, "No"],
        "",
    ),
    "pmc-vqa, first version": (
        {"Figure_path": "a.png", "Question": "Which organ?", "Answer": "Liver", "Choice A": " A:Heart ",
         "Choice B": " B:Liver ", "Choice C": " C:Lung ", "Choice D": " D:Brain ", "Answer_label": "B"},
        ["Which organ?\nA. Heart\nB. Liver\nC. Lung\nD. Brain", "Liver"], "B",
    ),
    "pmc-vqa, second version": (
        {"Figure_path": "a.png", "Question": "Which organ?", "Choice A": "Heart", "Choice B": "Liver",
         "Choice C": "Lung", "Choice D": "Brain", "Answer": "B"},
        ["Which organ?\nA. Heart\nB. Liver\nC. Lung\nD. Brain", "B. Liver"], "B",
    ),
    "medmcqa": (
        {"question": "Which organ?", "opa": "Heart", "opb": "Liver", "opc": "Lung", "opd": "Brain", "cop": 1},
        ["Which organ?\nA. Heart\nB. Liver\nC. Lung\nD. Brain", "B. Liver"], "B",
    ),
    "medqa": (
        {"question": "Which organ?", "options": {"A": "Heart", "B": "Liver"}, "answer": "Liver",
         "answer_idx": "B"},
        ["Which organ?\nA. Heart\nB. Liver", "Liver"], "B",
    ),
    "mmlu": (
        {"question": "Which organ?", "choices": ["Heart", "Liver"], "answer": 1},
        ["Which organ?\nA. Heart\nB. Liver", "B. Liver"], "B",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_question_set_is_read_by_its_own_columns(name: str, tmp_path: Path) -> None:
    row, wanted, target = PUBLISHED[name]
    write(tmp_path / "a.png", png(8, 6))
    path = write(tmp_path / "rows.jsonl", json.dumps(row) + "\n")
    (one,) = samples(path)
    assert texts(one) == wanted and one.target == target
    assert len(one.images) == (1 if {"img_name", "Figure_path"} & row.keys() else 0)


def test_a_data_set_of_the_hub_with_image_question_and_answer_is_read(tmp_path: Path) -> None:
    datasets, pyarrow = pytest.importorskip("datasets"), pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "vqa-rad"
    folder.mkdir()
    write(folder / "README.md", "---\nlicense: cc0-1.0\n---\n")
    features = datasets.Features({
        "image": datasets.Image(), "question": datasets.Value("string"),
        "answer": datasets.ClassLabel(names=["no", "yes"]),
    })  # fmt: skip
    rows = {"image": [{"bytes": png(8, 6), "path": "a.png"}], "question": [QUESTION], "answer": [1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / "train-00000-of-00001.parquet")
    for reader in ("hub", "table"):
        (one,) = samples(folder, reader)
        assert texts(one) == [QUESTION, "yes"] and len(one.images) == 1
    assert samples(folder, "hub")[0].license == "cc0-1.0" and samples(folder, "hub")[0].split == "train"
    (one,) = samples(
        folder, "hub", columns={"question": "Is it normal?", "answer": "answer", "image": "image"}
    )
    assert texts(one) == ["Is it normal?", "yes"]
    assert pyarrow.read_table(folder / "train-00000-of-00001.parquet").num_rows == 1


# ---- what `datasets` saves, Parquet, COCO, MIMIC-CXR ----------------------------------------------------


@pytest.mark.parametrize("splits", [False, True])
def test_a_saved_data_set_is_read_as_datasets_wrote_it(splits: bool, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({
        "image": datasets.Image(), "question": datasets.Value("string"),
        "answer": datasets.ClassLabel(names=["no", "yes"]),
    })  # fmt: skip
    rows = {"image": [{"bytes": png(8, 6, n), "path": None} for n in range(3)], "question": [QUESTION] * 3,
            "answer": [0, 1, 0]}  # fmt: skip
    made = datasets.Dataset.from_dict(rows, features=features)
    saved = datasets.DatasetDict({"train": made, "validation": made.select([1])}) if splits else made
    saved.save_to_disk(tmp_path / "saved")
    assert guess(tmp_path / "saved").reader == "save_to_disk"
    found = samples(tmp_path / "saved")
    assert [one.messages[-1].text for one in found] == ["no", "yes", "no", *(["yes"] if splits else [])]
    assert [one.split for one in found] == (["train"] * 3 + ["validation"] if splits else [""] * 3)
    assert all(len(one.images) == 1 for one in found) and len({one.id for one in found}) == len(found)
    assert checked(tmp_path / "saved").good == len(found)


def test_a_parquet_file_with_the_bytes_of_its_images_is_read(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"image": {"bytes": png(8, 6), "path": "a.png"}, "question": QUESTION, "answer": ANSWER}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (one,) = samples(tmp_path / "rows.parquet")
    assert texts(one) == [QUESTION, ANSWER] and len(one.images) == 1
    assert checked(tmp_path / "rows.parquet").good == 1


def test_coco_captions_name_their_image_and_never_straddle(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a.png", png(8, 6))
    value = {
        "images": [{"id": 1, "file_name": "a.png", "license": 2}],
        "licenses": [{"id": 2, "name": "CC BY 4.0"}],
        "annotations": [
            {"id": 7, "image_id": 1, "caption": "A clear chest."},
            {"id": 8, "image_id": 1, "caption": "No effusion."},
        ],
    }
    path = write(tmp_path / "annotations" / "captions.json", value)
    assert guess(path).reader == "coco" and guess(path).options == {"images": "../train"}
    one, two = samples(path)
    assert (one.text.strip(), one.study_id, two.study_id, one.license) == (
        "A clear chest.",
        "1",
        "1",
        "CC BY 4.0",
    )
    assert len(one.images) == 1 and checked(path).good == 2
    asked, _ = samples(path, "coco", images="../train", question="Describe the image.")
    assert texts(asked) == ["Describe the image.", "A clear chest."]


def test_boxes_of_coco_and_a_missing_image_are_rejected_rows(tmp_path: Path) -> None:
    boxes = [{"id": 7, "image_id": 1, "bbox": [1, 2, 3, 4]}, {"id": 8, "image_id": 2, "caption": "x"}]
    value = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": boxes}
    path = write(tmp_path / "boxes.json", value)
    rows = list(load("readers", "coco")(path))
    assert [(type(row), row.code) for row in rows] == [(DeadLetter, "empty"), (DeadLetter, "missing")]


def mimic(root: Path) -> Path:
    study = root / "files" / "p10" / "p10000032" / "s50414267"
    write(study / "b.png", png(8, 6))
    write(study / "a.png", png(6, 8))
    report = (
        "                 FINAL REPORT\n EXAMINATION: CHEST\n\n FINDINGS:\n\n The lungs are clear.\n\n"
        " IMPRESSION:\n\n Normal.\n"
    )
    write(study.with_suffix(".txt"), report)
    write(
        root / "mimic-cxr-2.0.0-split.csv",
        "dicom_id,study_id,subject_id,split\na,50414267,10000032,validate\n",
    )
    return root


def test_the_layout_of_mimic_cxr_is_read_by_study(tmp_path: Path) -> None:
    root = mimic(tmp_path / "mimic")
    assert guess(root).reader == "mimic_cxr"
    (one,) = samples(root)
    assert (one.patient_id, one.study_id, one.split) == ("p10000032", "s50414267", "validation")
    assert [Path(image.uri).name for image in one.images] == ["a.png", "b.png"] and "FINAL REPORT" in one.text
    (one,) = samples(root, "mimic_cxr", sections=["findings"], question="Describe.")
    assert texts(one)[0] == "Describe." and texts(one)[1].split() == [
        "FINDINGS:",
        "The",
        "lungs",
        "are",
        "clear.",
    ]


def test_reports_of_mimic_cxr_may_be_in_a_folder_of_their_own(tmp_path: Path) -> None:
    root = mimic(tmp_path / "mimic")
    report = root / "files" / "p10" / "p10000032" / "s50414267.txt"
    write(tmp_path / "reports" / "files" / "p10" / "p10000032" / "s50414267.txt", report.read_bytes())
    report.unlink()
    (one,) = samples(root, "mimic_cxr", reports="../reports")
    assert len(one.images) == 2


# ---- DICOM and NIfTI as images of any table -------------------------------------------------------------


def volumes(folder: Path) -> tuple[str, str]:
    pytest.importorskip("pydicom")
    pytest.importorskip("nibabel")
    from medxiaohe.data.readers import dicom, nifti

    write(folder / "scans" / "x.dcm", dicom.tiny(frames=3))
    write(folder / "scans" / "y.nii", nifti.tiny())
    return "scans/x.dcm", "scans/y.nii"


def formats_of_rows(folder: Path, image: str) -> dict[str, Path]:
    """The same question about the same image as rows of several formats."""
    chat = {
        "messages": [
            {"role": "user", "content": f"<image>{QUESTION}"},
            {"role": "assistant", "content": ANSWER},
        ]
    }
    return {
        "csv": write(folder / "a.csv", table([{"image": image, "question": QUESTION, "answer": ANSWER}])),
        "jsonl": write(folder / "a.jsonl", json.dumps({**chat, "images": [image]}) + "\n"),
        "llava": write(folder / "a.json", [{"id": "1", "image": image, "conversations": talk("x")}]),
    }


def test_dicom_and_nifti_are_images_of_rows_of_any_format(tmp_path: Path) -> None:
    for image in volumes(tmp_path):
        for name, path in formats_of_rows(tmp_path, image).items():
            (one,) = samples(path)
            assert len(one.images) == 1 and one.images[0].sha256, (name, image)
            assert Path(one.images[0].uri).read_bytes().startswith(b"\x89PNG"), (name, image)
            assert checked(path).good == 1, (name, image)


def test_a_folder_of_dicom_files_with_a_table_of_labels_is_a_table(tmp_path: Path) -> None:
    volumes(tmp_path)
    write(tmp_path / "labels.csv", table([{"image_id": "scans/x", "report": "No effusion."}]))
    one = guess(tmp_path)
    assert one.reader == "table" and one.options["columns"]["image"] == "{image_id}.dcm"
    (sample,) = samples(tmp_path)
    assert sample.text.strip() == "No effusion." and len(sample.images) == 1


def test_a_damaged_dicom_file_of_a_table_is_a_rejected_row(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    write(tmp_path / "x.dcm", b"\0" * 128 + b"DICM" + b"\xff" * 40)
    path = write(tmp_path / "a.csv", table([{"image": "x.dcm", "question": QUESTION, "answer": ANSWER}]))
    (row,) = list(load("readers", "table")(path))
    assert isinstance(row, DeadLetter) and "x.dcm" in row.reason


# ---- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: write(folder / "a.bin", b"\0\1\2"), "cannot tell what reads it"),
        (lambda folder: write(folder / "a.json", "[1, 2"), "cannot tell what reads it"),
    ],
)
def test_what_nothing_reads_is_one_sentence(make: Callable[[Path], Path], says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        guess(make(tmp_path))


def test_an_encoding_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "question,answer\na,b\n")
    with pytest.raises((ConfigError, DataError), match="no text encoding"):
        list(load("readers", "table")(path, encoding="utf-9"))


def test_a_saved_data_set_cannot_name_files_outside_of_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from medxiaohe.data.readers.save_to_disk import EXAMPLE, arrow

    write(tmp_path / "secret.arrow", arrow({"question": "a", "answer": "b"})())
    for name, value in EXAMPLE.items():
        write(tmp_path / "saved" / name, value() if callable(value) else value)
    write(tmp_path / "saved/train/state.json", '{"_data_files": [{"filename": "../../secret.arrow"}]}')
    with pytest.raises(DataError):
        list(load("readers", "save_to_disk")(tmp_path / "saved"))
    write(tmp_path / "saved/dataset_dict.json", '{"splits": ["../.."]}')
    with pytest.raises(DataError, match="not the name of a folder"):
        list(load("readers", "save_to_disk")(tmp_path / "saved"))


def test_a_row_cannot_leave_its_folder_by_a_root_of_images_it_does_not_own(tmp_path: Path) -> None:
    write(tmp_path / "outside" / "a.png", png(8, 6))
    path = write(
        tmp_path / "in" / "a.jsonl",
        json.dumps({"image": "../outside/a.png", "question": "q?", "answer": "a"}) + "\n",
    )
    (row,) = list(load("readers", "chat_jsonl")(path))
    assert isinstance(row, DeadLetter) and row.code == "unsafe_path"
    (sample,) = list(
        load("readers", "chat_jsonl")(
            write(
                tmp_path / "in" / "b.jsonl",
                json.dumps({"image": "a.png", "question": "q?", "answer": "a"}) + "\n",
            ),
            images="../outside",
        )
    )
    assert isinstance(sample.images[0], ImageRef)
