"""Every family behind an OpenAI-compatible server, in a process of its own: what is asked, with images and
tools, is what the same model is asked here; evaluations and the other roles of agentic training use it so."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_families import Family

from medxiaohe import io
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.models.backends.openai_compatible import openai_compatible
from medxiaohe.models.backends.transformers import Transformers
from medxiaohe.train.agentic import AgenticSettings, Player, agentic
from medxiaohe.train.loop.parts import Parts
from medxiaohe.types import ImageRef, Message, Sample, Tool, ToolCall, ToolResult

pytest.importorskip("torch")
SERVER = Path(__file__).parent.parent / "servers" / "openai_server.py"
SCHEMA = {"type": "object", "properties": {"image": {"type": "integer"}}, "required": ["image"]}
ZOOM = Tool("zoom", "Look closer at an image.", SCHEMA, lambda image: ToolResult("", ()))
NEW = 8  # tokens of a reply
QUIZ = """
from functools import partial
from medxiaohe.scoring.exact import exact
from medxiaohe.types import ImageRef, Message, Sample, Task

def samples(pictures, split="test"):
    for number, file in enumerate(pictures):
        seen = (ImageRef(file),) if file else ()
        asked = (Message("user", (*seen, f"Is it the lung, number {number}?")),)
        yield Sample(f"q/{number}", asked, target="yes", source="quiz", split=split)

def quiz(pictures=("", "")):
    example = Sample("e", (Message("user", ("Yes?",)),), target="yes")
    tools = ("calculate", "zoom")
    return Task("quiz", partial(samples, tuple(pictures)), (exact,), example, "made", tools=tools)
"""
PANEL = """
from medxiaohe.agents.engine import Answer, Ask, workflow
from medxiaohe.types import Message

@workflow(roles=("critic",))
def panel(case):
    talk = list(case.prompt.messages)
    first = yield Ask("", talk)
    critic = yield Ask("critic", [*talk, first, Message("user", ("Is that right?",))])
    talk += [first, Message("user", (critic.text or "no",))]
    return Answer(messages=[*talk, (yield Ask("", talk))])
"""


@pytest.fixture(scope="module")
def url(tiny_vlm: Path) -> Iterator[str]:
    command = [sys.executable, str(SERVER), str(tiny_vlm)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().split()[1]}/v1"
    finally:
        process.kill()
        process.wait()


def seen(family: Family, pictures: tuple[ImageRef, ...]) -> tuple[ImageRef, ...]:
    return () if family.is_blind else pictures


def test_a_server_answers_each_family_as_the_model_here(
    url: str, family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    one, more = seen(family, pictures)[:1], seen(family, pictures)[1:]
    asked = Message("user", (*one, "Is it the lung?"))
    called = Message("assistant", ("I look closer.", ToolCall("call_0", "zoom", {"image": 1})))
    talks: list[list[Message]] = [
        [Message("system", ("You are a radiologist.",)), asked],
        [Message("user", (*one, *more, "Which shows a drug?"))],
        [asked, Message("assistant", ("No.",)), Message("user", (*more[:1], "And this?"))],
        [asked, called, Message("tool", (ToolResult("call_0", ("Closer.",)),))],
    ]
    here = Transformers(family.loaded, 4, NEW, 0.0, 0)
    there = openai_compatible(f"served:{family.folder}", url, max_new_tokens=NEW, retries=0, workers=1)
    for tools in ((), (ZOOM,)):
        assert there.reply(talks, tools) == here.reply(talks, tools)
    if not family.is_blind:  # the layout has no images in results: they follow in a turn of the user
        closer = Message("tool", (ToolResult("call_0", ("Closer.", *more[:1])),))
        told = [
            asked,
            called,
            Message("tool", (ToolResult("call_0", ("Closer.",)),)),
            Message("user", more[:1]),
        ]
        assert there.reply([[asked, called, closer]], [ZOOM]) == here.reply([told], [ZOOM])


def test_an_evaluation_with_images_and_tools_is_the_same_through_a_server(
    url: str, family: Family, pictures: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    (tmp_path / "quiz.py").write_text(QUIZ)
    args = {} if family.is_blind else {"pictures": [pictures[0].uri, "", pictures[1].uri]}
    task = TaskRun(f"{tmp_path / 'quiz.py'}:quiz", args=args)
    common: dict[str, Any] = {"tasks": (task,), "max_new_tokens": NEW, "workflow": {"name": "answer"}}
    served = RunSettings(
        model=f"served:{family.folder}",
        backend="openai_compatible",
        options={"url": url, "retries": 0},
        **common,
    )
    found = {}
    for name, settings in (("here", RunSettings(model=str(family.folder), **common)), ("there", served)):
        (tmp_path / name).mkdir()
        run(settings, tmp_path / name)
        rows = list(io.read_jsonl(tmp_path / name / "traces.jsonl"))
        found[name] = [(row["sample"]["id"], io.trace_from_json(row["trace"]).messages) for row in rows]
    assert found["here"] == found["there"] and len(found["here"]) == len(args.get("pictures", "12"))


@pytest.mark.slow
def test_another_role_of_agentic_training_answers_from_a_server(
    url: str, family: Family, pictures: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    pytest.importorskip("trl")
    (tmp_path / "panel.py").write_text(PANEL)
    rows = [
        Sample(
            f"r/{number}",
            (Message("user", (*seen(family, pictures[number : number + 1]), "Is it the lung?")),
             Message("assistant", ("yes",))),
            target="yes",
            source="held_out",
        )
        for number in range(2)
    ]  # fmt: skip
    io.write_jsonl(tmp_path / "data" / "prompts.jsonl", rows)
    critic = Player(
        f"served:{family.folder}", "openai_compatible", {"url": url, "max_new_tokens": NEW, "workers": 1}
    )
    settings = AgenticSettings(
        model=str(family.folder), parts=Parts(language="lora", lora_r=2, projector=False), max_steps=1,
        per_device_train_batch_size=4, num_generations=2, max_completion_length=NEW, max_length=2048,
        form="calls", workflow={"name": f"{tmp_path / 'panel.py'}:panel"}, cast={"critic": critic},
        allow_contaminated=True,
    )  # fmt: skip
    (tmp_path / "out").mkdir()
    assert agentic(settings, tmp_path / "out", data=tmp_path / "data")["rollouts"] == 4
    assert len(list(io.read_jsonl(tmp_path / "out" / "rollouts.jsonl"))) == 4
