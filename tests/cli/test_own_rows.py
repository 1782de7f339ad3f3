"""A stage verb takes a plain file or folder of rows: `--data PATH`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medxiaohe.cli import main, own_rows
from medxiaohe.errors import ConfigError


def rows(path: Path, num: int = 6) -> Path:
    lines = ["question;answer;split"]
    lines += [f"What is {n} + 1?;{n + 1};{'test' if n == 0 else 'train'}" for n in range(num)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_training_stage_gets_the_rows_of_a_table_as_a_mixture(tmp_path: Path) -> None:
    said: list[str] = []
    data = str(rows(tmp_path / "cases.csv"))
    role, folder = own_rows.prepare(data, "train.sft", tmp_path / "out", {}, say=said.append)
    assert role == "data" and said[0] == f'{data}: read by table with delimiter: ";"'
    lines = (folder / "instructions.jsonl").read_text().splitlines()
    answers = {json.loads(line)["messages"][-1]["parts"][0] for line in lines}
    assert answers == {"2", "3", "4", "5", "6"}  # the row of the test split is not trained on
    again = own_rows.prepare(data, "train.sft", tmp_path / "out", {}, say=said.append)
    assert again == (role, folder)


def test_other_stages_get_the_rows_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["data", "curate", "--data", str(rows(tmp_path / "a.csv")), "--out", str(out)]) == 0
    assert "read 6, kept 5" in capsys.readouterr().out
    assert (
        len((out / "data_curate/1/samples.jsonl").read_text().splitlines()) == 5
    )  # not the row of the test split


def test_a_stage_without_its_input_says_what_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "sft", "--model", "starter"]) == 2
    assert (
        "train.sft needs its data: give --data FILE with rows, or --input data=DIR" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("uses", "given", "says"),
    [
        ("entity.build", {}, "works on no rows"),
        ("train.sft", {"data": Path("x")}, "has its data by --input already"),
    ],
)
def test_rows_that_a_stage_cannot_take_are_refused(
    uses: str, given: dict[str, Path], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        own_rows.prepare(str(rows(tmp_path / "a.csv")), uses, tmp_path, given, say=print)


def test_the_folder_of_a_finished_stage_is_an_input_and_no_rows(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text("")
    with pytest.raises(ConfigError, match="write --input data="):
        own_rows.prepare(str(tmp_path), "train.sft", tmp_path / "out", {}, say=print)


def test_training_stages_consent_to_rows_that_were_compared_with_no_test() -> None:
    said: list[str] = []
    assert own_rows.consent("train.sft", say=said.append) == ["allow_contaminated=true"]
    assert "compared with no test split" in said[0]
    assert own_rows.consent("data.curate", say=said.append) == []
