"""Fixtures and helpers of tests of the curriculum: a mixture, a tiny model, killed and resumed runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from medxiaohe import io
from medxiaohe.train.loop import resume
from medxiaohe.train.rl import RLSettings, rl
from medxiaohe.types import ImageRef, Message, Sample

QUICK = settings(max_examples=60, deadline=None)


def samples(number: int, every_third_has_an_image: bool = False) -> list[Sample]:
    def parts(i: int) -> tuple[Any, ...]:
        return (*([ImageRef("x.png")] if every_third_has_an_image and i % 3 == 0 else []), f"Is {i} even?")

    return [Sample(f"s/{i}", (Message("user", parts(i)),), "yes", source="held_out") for i in range(number)]


class Killed(BaseException):
    pass


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    rows = [
        Sample(
            f"r/{i}",
            (
                Message("user", (f"Is {i} even? Answer yes or no.",)),
                Message("assistant", ("yes" if i % 2 else "no",)),
            ),
            source="held_out",
        )
        for i in range(16)
    ]
    rows = [replace(row, target=row.messages[-1].text) for row in rows]
    io.write_jsonl(tmp_path / "mixture" / "instructions.jsonl", rows)
    io.write_jsonl(tmp_path / "mixture" / "prompts.jsonl", rows)
    io.write_json(
        tmp_path / "mixture" / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}}
    )
    return tmp_path / "mixture"


@pytest.fixture(scope="module")
def knows(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that was taught to say yes or no, and not when."""
    from medxiaohe.train.loop.fit import FitSettings
    from medxiaohe.train.loop.parts import Parts
    from medxiaohe.train.sft import sft

    folder = tmp_path_factory.mktemp("knows")
    rows = [
        Sample(
            f"r/{i}",
            (
                Message("user", (f"Is {i} even? Answer yes or no.",)),
                Message("assistant", ("yes" if i % 3 else "no",)),
            ),
        )
        for i in range(16)
    ]
    io.write_jsonl(folder / "data" / "instructions.jsonl", rows)
    io.write_json(
        folder / "data" / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}}
    )
    parts = Parts(language="full", projector=False)
    sft(
        FitSettings(model=str(tiny_vlm), parts=parts, learning_rate=3e-3, max_steps=10),
        folder / "sft",
        data=folder / "data",
    )
    return folder / "sft"


def short(**given_: Any) -> RLSettings:
    from medxiaohe.train.loop.parts import Parts

    base: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 4,
        "learning_rate": 3e-3,
    }
    return RLSettings(
        parts=Parts(language="full", projector=False), **({"allow_contaminated": True} | base | given_)
    )


def outcome(folder: Path) -> list[str]:
    return [
        io.sha256(folder / name) for name in ("metrics.jsonl", "rollouts.jsonl", "model/model.safetensors")
    ]


def killed_and_resumed(
    settings: RLSettings, step: int, data: Path, model: Path, folder: Path, patch: pytest.MonkeyPatch
) -> list[str]:
    real = resume._save

    def save(trainer: Any, *rest: Any) -> None:
        real(trainer, *rest)
        if trainer.state.global_step == step:
            raise Killed

    with patch.context() as context, pytest.raises(Killed):
        context.setattr(resume, "_save", save)
        with io.publish(folder) as draft:
            rl(settings, draft, data=data, model=model)
    with io.publish(folder) as draft:
        rl(settings, draft, data=data, model=model)
    return outcome(folder)
