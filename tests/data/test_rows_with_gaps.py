"""Rows that a reader used to lose or shift: empty options, splits and files of one name."""

import json
from pathlib import Path
from typing import Any

import pytest

from medxiaohe.data import attach, classify
from medxiaohe.data.formats import columns
from medxiaohe.data.formats.records import Rejected
from medxiaohe.data.readers.save_to_disk import arrow, save_to_disk
from medxiaohe.types import Sample


def test_an_empty_option_before_another_is_no_row() -> None:
    with pytest.raises(Rejected, match="option B is empty"):
        columns._choices({"a": "lung", "b": "", "c": "heart", "d": ""}, ["a", "b", "c", "d"])


def test_empty_columns_behind_the_last_option_are_none() -> None:
    row = {"a": "lung", "b": "A: heart", "c": "", "d": " "}
    assert columns._choices(row, ["a", "b", "c", "d"]) == ["lung", "A: heart"]
    assert columns._choices({"options": ["A: lung", "B: heart"]}, "options") == ["lung", "heart"]


def test_splits_of_names_that_are_no_splits_are_all_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    names = ["dev_a", "dev_b", "train"]
    for name in names:
        (tmp_path / name).mkdir()
        data = arrow({"question": f"Which part is {name}?", "answer": "This one."})()
        (tmp_path / name / "data-00000-of-00001.arrow").write_bytes(data)
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": names}))
    rows = [row for row in save_to_disk(tmp_path, license="CC0-1.0") if isinstance(row, Sample)]
    assert sorted(row.split for row in rows) == ["", "", "train"]
    assert len({row.id for row in rows}) == 3


def test_text_files_of_one_name_are_passages_of_their_own(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "page.txt").write_text(f"Aspirin inhibits platelets, says {folder}.")
    settings = attach.AttachSettings(passages=str(tmp_path), license="CC0-1.0")
    passages = attach.read_passages(settings, None)
    assert len(passages) == 2 and len({passage.id for passage in passages}) == 2


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("yes.", True),
        ("no", False),
        ("**no**, it is a recipe", False),
        *((reply, None) for reply in ("not sure", "normal", "no idea", "nothing here", "yesterday")),
    ],
)
def test_only_the_word_itself_labels_a_text(reply: str, label: Any) -> None:
    assert classify._yes_or_no(reply) is label
