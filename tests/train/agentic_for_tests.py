"""Fixtures and helpers of tests of agentic training: a tiny model, a mixture, a library, scripted turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.models import checkpoint
from medxiaohe.tools.search import EXAMPLE_RESOURCES, search
from medxiaohe.tools.toolbox import bind
from medxiaohe.train.agentic import AgenticSettings, Retriever
from medxiaohe.train.loop.parts import Parts
from medxiaohe.types import ImageRef, Message, Sample, ToolResult

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
SEARCH = bind(search, **EXAMPLE_RESOURCES)
FULL = Parts(language="full", projector=False)
ASKS = "<think>hm</think><query>insulin</query>"
SAYS = "<think>so</think><answer>pancreas</answer>"


@pytest.fixture(scope="module")
def loaded(tiny_vlm: Path) -> checkpoint.Loaded:
    return checkpoint.load(str(tiny_vlm))


@pytest.fixture
def picture(tmp_path: Path) -> ImageRef:
    from PIL import Image

    Image.effect_noise((48, 40), 60).convert("RGB").save(tmp_path / "a.png")
    return ImageRef(str(tmp_path / "a.png"))


def scripted(texts: list[list[str]], processor: Any) -> Any:
    """What `generate` would return if the policy wrote these turns: one list of texts for each call."""
    turns = iter(texts)

    def generate(inputs: dict[str, Any], stops: tuple[str, ...]) -> Any:
        said = [processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in next(turns)]
        end = processor.tokenizer.eos_token_id
        width = max(map(len, said)) + 1
        rows = [[*one, end] + [processor.tokenizer.pad_token_id] * (width - len(one) - 1) for one in said]
        return torch.cat([inputs["input_ids"], torch.tensor(rows)], dim=1)

    return generate


def ends(loaded: checkpoint.Loaded) -> frozenset[int]:
    return frozenset({loaded.processor.tokenizer.eos_token_id})


def decoded(loaded: checkpoint.Loaded, tokens: Any, mask: Any, kept: int) -> str:
    return str(
        loaded.processor.tokenizer.decode([t for t, keep in zip(tokens, mask, strict=True) if keep == kept])
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "passages.jsonl"
    io.write_jsonl(
        path,
        [
            {"id": f"p{i}", "text": f"Number {i} is {'odd' if i % 2 else 'even'}.", "source": "made up"}
            for i in range(12)
        ],
    )
    return path


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third prompt has an image."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("mixture")
    rows = []
    for number in range(12):
        question: list[Any] = [f"Is {number} even?"]
        if number % 3 == 0:
            Image.effect_noise((40, 40), 20 + number).save(folder / f"{number}.png")
            question.insert(0, ImageRef(str(folder / f"{number}.png")))
        said = "no" if number % 2 else "yes"
        messages = (Message("user", tuple(question)), Message("assistant", (said,)))
        rows.append(Sample(f"r/{number}", messages, source="held_out", target=said))
    io.write_jsonl(folder / "prompts.jsonl", rows)
    shown = []
    for row in rows:  # what teaches the grammar: half of the rows search first
        search_first = (
            Message("assistant", (f"<think>hm</think><query>number {row.id[2:]}</query>",)),
            Message("tool", (ToolResult("query_0_0", ("<retrieve>\nNumber 1 is odd.\n</retrieve>",)),)),
        )
        last = Message("assistant", (f"<think>so</think><answer>{row.target}</answer>",))
        talk = search_first if int(row.id[2:]) % 2 else ()
        shown.append(replace(row, messages=(row.messages[0], *talk, last)))
    io.write_jsonl(folder / "instructions.jsonl", shown)
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


@pytest.fixture(scope="module")
def knows(tiny_vlm: Path, mixture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that writes the grammar, more or less."""
    from medxiaohe.train.loop.fit import FitSettings
    from medxiaohe.train.sft import sft

    folder = tmp_path_factory.mktemp("knows") / "sft"
    settings = FitSettings(
        model=str(tiny_vlm), parts=FULL, learning_rate=5e-3, max_steps=40, per_device_train_batch_size=12
    )
    sft(settings, folder, data=mixture)
    return folder


def short(library: Path, **given_: Any) -> AgenticSettings:
    base: dict[str, Any] = {
        "parts": FULL, "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 40,
        "learning_rate": 3e-3,
        "retriever": Retriever(path=str(library), top=2), "patience": 0,
    }  # fmt: skip
    return AgenticSettings(**(base | given_))


def outcome(folder: Path) -> list[str]:
    return [
        io.sha256(folder / name) for name in ("metrics.jsonl", "rollouts.jsonl", "model/model.safetensors")
    ]
