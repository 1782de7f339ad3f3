"""The same working tools in every caller: evaluation, demonstrations, rollouts, rows of training."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from medxiaohe import images, io, plugins
from medxiaohe.errors import MedError
from medxiaohe.models import wire
from medxiaohe.tasks import make
from medxiaohe.tools.toolbox import call_tool, task_tools
from medxiaohe.types import ImageRef, Message, Sample, Task, ToolCall, ToolResult

ROOT = Path(__file__).parent.parent.parent


@functools.cache
def shipped() -> list[str]:
    """Tasks that offer tools; one whose factory reads data that is not here is none of them."""
    found = []
    for name in plugins.available("tasks"):
        try:
            found += [name] if make(name).tools else []
        except MedError:
            continue
    return found


def test_tasks_with_tools_are_found() -> None:
    assert {"bedside", "bioasq_search", "medcalc_tools"} <= set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_task_has_the_same_working_tools_in_every_caller(name: str) -> None:
    pytest.importorskip("torch")
    from medxiaohe.train.agentic import Retriever, tools_by_task
    from medxiaohe.train.loop.row_index import offered

    task = make(name)
    shown = offered(name)  # no data is read for what a row shows
    try:
        opened = task_tools(task)
    except MedError as error:
        assert "MEDXIAOHE_DATA" in str(error)
        pytest.skip(str(error))
    rolled = tools_by_task({name: task}, (), Retriever())[name]
    assert wire.schemas(opened) == wire.schemas(rolled) == wire.schemas(shown) != []
    for tools in (opened, rolled):
        for tool in tools:
            result = call_tool(ToolCall("1", tool.name, tool.example), tools, task.example.images)
            assert result.error == "" and result.parts and result.parts != ("nothing found",)


# ---- a task of the user's, with images and passages -------------------------------------------------

BOT = """
from medxiaohe.types import Message, ToolCall, ToolResult

CALLS = [{"image": 1, "left": 0, "top": 0, "right": 50, "bottom": 50},
         {"image": 2, "left": 50, "top": 50, "right": 100, "bottom": 100},
         {"image": 9, "left": 0, "top": 0, "right": 50, "bottom": 50}]

def answer(messages):
    turn = sum(message.role == "assistant" for message in messages)
    if turn < len(CALLS):
        return Message("assistant", (ToolCall(f"c{turn}", "zoom", CALLS[turn]),))
    return "yes"

def look_up(messages):
    if messages[-1].role == "tool":
        (result,) = messages[-1].parts
        return "yes" if result.evidence else "no"
    return Message("assistant", (ToolCall("c0", "search", {"query": "scurvy"}),))

class Expert:
    name = "expert"
    def reply(self, conversations, tools=()):
        said = [answer(one) for one in conversations]
        return [Message("assistant", (one,)) if isinstance(one, str) else one for one in said]

expert = Expert()
"""


def written(folder: Path, **more: Any) -> str:
    """A YAML task of six items, each with an image of its own."""
    from PIL import Image

    rows: list[dict[str, Any]] = []
    (folder / "data").mkdir()
    for i in range(6):
        Image.effect_noise((64 + 8 * i, 48), 60).convert("RGB").save(folder / "data" / f"{i}.png")
        rows.append({"question": f"Is there a shadow in {i}?", "image": f"{i}.png", "answer": "yes"})
    for split, part in (("train", rows[:3]), ("test", rows[3:])):
        lines = "".join(json.dumps(row) + "\n" for row in part)
        (folder / "data" / f"{split}.jsonl").write_text(lines)
    about = {
        "dataset_path": "data", "training_split": "train", "test_split": "test", "order": "file",
        "doc_to_text": "question", "doc_to_target": "answer", "doc_to_visual": "image", "prompt": "yes_no",
        "metric_list": ["yes_no"], "license": "CC0-1.0", "example": rows[0],
    }  # fmt: skip
    (folder / "mine.yaml").write_text(yaml.safe_dump(about | more))
    (folder / "bot.py").write_text(BOT)
    return str(folder / "mine.yaml")


def evaluated(folder: Path, bot: str = "answer", out: str = "out") -> subprocess.CompletedProcess[str]:
    words = ["--model", f"{folder}/bot.py:{bot}", "--tasks", f"{folder}/mine.yaml", "--no-page"]
    command = [sys.executable, "-m", "medxiaohe", "eval", "run", *words, "--out", str(folder / out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def crops_of(messages: tuple[Message, ...], own: ImageRef) -> None:
    """The first crop is the upper left of the item's own image, the second the lower right of that crop."""
    results = [part for m in messages for part in m.parts if isinstance(part, ToolResult)]
    first, second = (part for one in results for part in one.parts if isinstance(part, ImageRef))
    assert Path(first.uri).samefile(own.uri) and Path(second.uri).samefile(own.uri)
    whole, part, inner = (images.open_image(ref) for ref in (own, first, second))
    width, height = whole.width // 2, whole.height // 2
    assert part.tobytes() == whole.crop((0, 0, width, height)).tobytes()
    assert inner.tobytes() == part.crop((width // 2, height // 2, width, height)).tobytes()
    assert "there is no image 9: there are 1 to 3" in results[2].error


def test_an_evaluation_shows_the_pixels_of_the_item_and_of_earlier_results(tmp_path: Path) -> None:
    written(tmp_path, tools=["zoom"])
    done = evaluated(tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(io.read_jsonl(next((tmp_path / "out").rglob("traces.jsonl"))))
    assert len(rows) == 3
    for row in rows:
        sample, trace = io.sample_from_json(row["sample"]), io.trace_from_json(row["trace"])
        (own,) = sample.images
        assert not trace.error and trace.answer == "yes" and row["scores"][0]["value"] == 1.0
        crops_of(trace.messages, own)


def test_a_demonstration_shows_them_too(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from medxiaohe.train.demonstrate import DemonstrateSettings, demonstrate

    task = written(tmp_path, tools=["zoom"])
    old = Sample("old", (Message("user", ("Is 2 even?",)), Message("assistant", ("yes",))))
    io.write_jsonl(tmp_path / "m" / "instructions.jsonl", [old])
    checked = {"contamination": {"checked": {"mine": 3}, "removed": 0}}
    io.write_json(tmp_path / "m" / "mixture.json", checked)
    settings = DemonstrateSettings(task, f"{tmp_path}/bot.py:expert", number=3, replay=0.0)
    demonstrate(settings, tmp_path / "o", data=tmp_path / "m")
    rows = list(io.read_samples(tmp_path / "o" / "instructions.jsonl"))
    assert len(rows) == 3
    for row in rows:
        crops_of(row.messages, row.messages[0].images[0])


def test_a_task_gives_its_library_and_without_one_nothing_starts(tmp_path: Path) -> None:
    passages = [{"id": "p1", "text": "Scurvy is a deficiency.", "source": "mine"}]
    io.write_jsonl(tmp_path / "passages.jsonl", passages)
    written(tmp_path, tools=["search"], library="passages.jsonl")
    done = evaluated(tmp_path, "look_up")
    assert done.returncode == 0, done.stderr
    stored = io.read_jsonl(next((tmp_path / "out").rglob("traces.jsonl")))
    rows = [io.trace_from_json(row["trace"]) for row in stored]
    assert [one.id for row in rows for one in row.evidence] == ["p1"] * 3

    about = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    for library, code, sentence in (
        ("", 2, "the tool search needs a library and has none: set `library` of the task"),
        ("none.jsonl", 3, "no such file or folder: none.jsonl"),
    ):
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(about | {"library": library}))
        done = evaluated(tmp_path, "absent", f"out{code}")
        assert done.returncode == code and sentence in done.stderr and "absent" not in done.stderr


def test_the_passages_of_a_task_belong_to_what_its_numbers_depend_on(tmp_path: Path) -> None:
    from medxiaohe.tasks import _reads

    io.write_jsonl(tmp_path / "passages.jsonl", [{"id": "p1", "text": "Scurvy.", "source": "mine"}])
    task: Task = make(written(tmp_path, tools=["search"], library="passages.jsonl"))
    before = _reads.reads(task, "test")
    io.write_jsonl(tmp_path / "passages.jsonl", [{"id": "p1", "text": "Scurvy!", "source": "mine"}])
    assert _reads.reads(task, "test") != before
