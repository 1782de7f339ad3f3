"""Every family behind an OpenAI-compatible server, in a process of its own: what is asked, with images and
tools, is what the same model is asked here; evaluations and the other roles of agentic training use it so."""

import json
import subprocess
import sys
import urllib.request
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


@pytest.mark.slow
def test_a_policy_that_a_server_draws_is_the_one_that_is_trained(
    url: str, family: Family, pictures: tuple[ImageRef, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each generation the server has the weights of now: its log-likelihoods are those of the trainer's
    model, for the tokens that training renders."""
    pytest.importorskip("trl")
    import torch

    from medxiaohe.models.families import family as families
    from medxiaohe.train.rl import RLSettings, rl
    from medxiaohe.train.rollouts.served_policy import Drawn, PolicyServer, ServedPolicy

    compared = []
    real = ServedPolicy.draw

    def draw(self: Any, trainer: Any, talks: Any, prompts: Any, numbers: Any) -> list[Drawn]:
        found = real(self, trainer, talks, prompts, numbers)
        own = families.of(family.processor)
        for prompt, one in zip(prompts, found, strict=True):
            ids = torch.tensor([[*prompt.tokens, *one.tokens]])
            inputs = own.joined([prompt.features]) | own.per_token(ids, family.processor)
            model, training = trainer.model, trainer.model.training
            model.eval()  # TRL tells its own passes apart by this mode
            with torch.no_grad():
                out = model(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs)
            model.train(training)
            nats = out.logits[0].log_softmax(-1)
            here = nats[len(prompt.tokens) - 1 : -1].gather(1, ids[0, len(prompt.tokens) :, None])[:, 0]
            assert one.logprobs is not None and len(one.tokens) > 0
            compared.append(float((here - torch.tensor(one.logprobs)).abs().max()))
        return found

    monkeypatch.setattr(ServedPolicy, "draw", draw)
    rows = [
        Sample(
            f"r/{i}",
            (
                Message("user", (*seen(family, pictures[i : i + 1]), f"Is it the lung, {i}? Yes or no.")),
                Message("assistant", ("yes",)),
            ),
            target="yes",
            source="held_out",
        )
        for i in range(2)
    ]
    io.write_jsonl(tmp_path / "data" / "prompts.jsonl", rows)
    settings = RLSettings(
        model=str(family.folder), parts=Parts(language="lora", lora_r=2, projector=False), max_steps=2,
        per_device_train_batch_size=4, num_generations=2, max_completion_length=6, learning_rate=0.1,
        entropy_coef=0.1, allow_contaminated=True, server=PolicyServer(url, workers=2),
    )  # fmt: skip
    with io.publish(tmp_path / "out") as draft:
        found = rl(settings, draft, data=tmp_path / "data")
    assert found["rollouts"] == 8 and len(compared) == 8 and max(compared) < 1e-4
    with urllib.request.urlopen(url.replace("/v1", "/seen"), timeout=30) as answer:
        requests = json.load(answer)["requests"]
    loads = [row["lora_name"] for row in requests if row["path"] == "/v1/load_lora_adapter"][-2:]
    assert len(set(loads)) == 2, "each generation has weights of its own"
    asked = [row["model"] for row in requests if row["path"].endswith("completions")][-8:]
    assert asked[:4] == loads[:1] * 4 and asked[4:] == loads[1:] * 4


def test_only_what_reaches_a_running_server_is_trained_by_one() -> None:
    from medxiaohe.errors import ConfigError
    from medxiaohe.train.rl import RLSettings
    from medxiaohe.train.rollouts.served_policy import PolicyServer

    there = PolicyServer("http://127.0.0.1:9/v1")
    for parts in (Parts(language="full", projector=False), Parts(language="lora", projector=True)):
        with pytest.raises(ConfigError, match="only LoRA adapters reach a running server"):
            RLSettings(model="x", parts=parts, server=there)
    with pytest.raises(ConfigError, match="both say who draws"):
        RLSettings(model="x", use_vllm=True, server=there)
    with pytest.raises(ConfigError, match="server is for train"):
        AgenticSettings(model="x", form="calls", server=there)


def test_a_server_that_renders_otherwise_or_tells_no_tokens_ends_the_run(url: str, family: Family) -> None:
    from medxiaohe.errors import ModelError
    from medxiaohe.models.render import render_prompt
    from medxiaohe.train.rollouts.served_policy import PolicyServer, ServedPolicy

    policy = ServedPolicy(
        PolicyServer(url), family.processor, Path(), max_new_tokens=4, temperature=1.0, seed=0
    )
    prompt = render_prompt([Message("user", ("Is it fever?",))], family.processor)
    answer = {"choices": [{"token_ids": [1, 2]}], "prompt_token_ids": list(prompt.tokens)}
    assert policy._read(json.dumps(answer).encode(), prompt).tokens == (1, 2)
    wrong = {**answer, "prompt_token_ids": [*prompt.tokens[:-1], 0]}
    with pytest.raises(ModelError, match=f"from token {len(prompt.tokens) - 1} of"):
        policy._read(json.dumps(wrong).encode(), prompt)
    with pytest.raises(ModelError, match="does not tell its tokens"):
        policy._read(json.dumps({"choices": answer["choices"]}).encode(), prompt)
