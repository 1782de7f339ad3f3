"""`data check` names every problem with its row, shows a decoded sample, and ends with 1 when something is
wrong (peers.md G12)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medxiaohe.cli import main
from medxiaohe.data.formats.validate import check
from medxiaohe.data.readers.chat_jsonl import chat_jsonl
from medxiaohe.types import Sample


def rows(path: Path, *given: dict[str, Any] | bytes) -> Path:
    path.write_bytes(
        b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in given)
    )
    return path


def asks(text: Any, answer: str = "Yes.", **fields: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}],
        **fields,
    }


def picture(path: Path) -> Path:
    pytest.importorskip("PIL.Image").new("RGB", (8, 6), (255, 255, 255)).save(path, "PNG")
    return path


def test_every_planted_problem_is_found_in_its_row(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    path = rows(
        tmp_path / "mine.jsonl",
        asks("<image>Effusion?", images=["a.png"], id="1", score=1),
        asks("Effusion?", images=["a.png"], id="2"),
        asks("<image>Effusion?", images=["gone.png"], id="3"),
        asks("<image>Effusion?", images=["bad.png"], id="4"),
        asks("Again?", id="1"),
        asks("Why?", answer=" ", id="6"),
        asks("Why?", id="7", score="high"),
        b'{"text": "Fi\xe8vre"}',
        b'{"text": ',
        {**asks("Why?"), "meta": {"x": float("nan")}},
    )
    report = check(path, "chat_jsonl")
    found = {(problem.where, problem.code) for problem in report.problems}
    assert found == {
        ("mine:2", "placeholder"), ("3", "missing"), ("4", "image"), ("1", "duplicate"), ("mine:6", "empty"),
        ("mine:7", "drift"), ("mine.jsonl:8", "encoding"), ("mine:9", "json"), ("mine:10", "not_finite"),
    }  # fmt: skip
    assert report.read == 10 and report.good == 2
    assert (
        next(p.reason for p in report.problems if p.code == "drift")
        == "score is text here, a number in row mine:1"
    )
    assert report.sample["id"] == "1" and report.sample["images"] == [
        {"uri": str(tmp_path / "a.png"), "width": 8, "height": 6, "mean": 255}
    ]


def test_the_verb_ends_with_one_when_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = rows(tmp_path / "good.jsonl", asks("Why?"), {"text": "On pneumonia."})
    assert main(["data", "check", str(good)]) == 0
    assert "2 rows, 2 good, 0 problems" in capsys.readouterr().out
    bad = rows(tmp_path / "bad.jsonl", asks("<image>Why?"))
    assert main(["data", "check", str(bad), "--reader", "chat_jsonl"]) == 1
    said = capsys.readouterr().out
    assert "bad:1  placeholder  1 image placeholders but 0 images" in said and "write one <image>" in said
    assert main(["data", "check", str(bad), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["counts"] == {"placeholder": 1}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nowhere.jsonl"], "no file or folder"),
        (["good.jsonl", "--reader", "chat_json"], "did you mean 'chat_jsonl'"),
        (["good.jsonl", "--set", "bad_row=skip"], "did you mean 'bad_rows'"),
        (["good.jsonl", "--set", "bad_rows"], "write option=value"),
    ],
)
def test_wrong_use_is_one_sentence(
    args: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    rows(tmp_path / "good.jsonl", asks("Why?"))
    assert main(["data", "check", *args]) == 2
    assert says in capsys.readouterr().err


def test_an_empty_file_is_a_problem(tmp_path: Path) -> None:
    assert check(rows(tmp_path / "mine.jsonl"), "chat_jsonl").counts == {"empty": 1}


LAYOUTS = {
    "OpenAI content parts": {"messages": [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text",
        "text": "Effusion?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "No."}]}]},
    "ShareGPT": {"images": ["a.png"], "conversations": [{"from": "human", "value": "<image>Effusion?"},
    {"from": "gpt", "value": "No."}]},
    "LLaVA": {"image": "a.png", "conversations": [{"from": "human", "value": "<image>\nEffusion?"},
    {"from": "gpt", "value": "No."}]},
    "Alpaca": {"images": "a.png", "instruction": "<image>", "input": "Effusion?", "output": "No."},
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_is_the_same_sample(name: str, tmp_path: Path) -> None:
    (sample,) = chat_jsonl(rows(tmp_path / "mine.jsonl", LAYOUTS[name]))
    assert isinstance(sample, Sample)
    assert [m.role for m in sample.messages] == ["user", "assistant"] and sample.text.split() == [
        "Effusion?",
        "No.",
    ]
    assert [image.uri for image in sample.images] == [str(tmp_path / "a.png")]


def test_turns_before_the_last_are_kept(tmp_path: Path) -> None:
    alpaca = {
        "instruction": "And then?",
        "output": "Rest.",
        "system": "Be brief.",
        "history": [["What is it?", "A sprain."]],
    }
    share = {"system": "Be brief.", "conversations": [
        {"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "A sprain."},
        {"from": "human", "value": "And then?"}, {"from": "gpt", "value": "Rest."}]}  # fmt: skip
    first, second = chat_jsonl(rows(tmp_path / "mine.jsonl", alpaca, share))
    assert isinstance(first, Sample) and isinstance(second, Sample)
    assert first.messages == second.messages and [m.role for m in first.messages] == [
        "system",
        *["user", "assistant"] * 2,
    ]
