"""A training run that is killed goes on to the same bits, from any step, and a spoilt checkpoint is passed
over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.train.loop import resume
from medxiaohe.train.loop.augment import Augment, augmented
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.rl import RLSettings, rl
from medxiaohe.train.sft import sft
from medxiaohe.types import ImageRef, Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
PARTS = Parts(language="lora", lora_r=4)
AUGMENT = Augment(rotate=10, crop=0.1, brightness=0.2, contrast=0.2)
STEPS = 5


class Killed(BaseException):
    pass


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    from PIL import Image

    rows = []
    for number in range(20):
        question: list[Any] = [f"Is number {number} red? " + "Look closely. " * (number % 7)]
        if number % 3:
            place = tmp_path / f"{number}.png"
            Image.effect_noise((40, 40), 20 + number).save(place)
            question.insert(0, ImageRef(str(place)))
        messages = (Message("user", tuple(question)), Message("assistant", ("yes" if number % 2 else "no",)))
        rows.append(Sample(f"r/{number}", messages, source="held_out", target="yes"))
    folder = tmp_path / "mixture"
    io.write_jsonl(folder / "instructions.jsonl", rows)
    io.write_jsonl(folder / "prompts.jsonl", [row for row in rows if row.images])
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


def killed_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies just after the checkpoint of this step; 0: never."""
    real = resume._save

    def save(trainer: Any, *rest: Any) -> None:
        real(trainer, *rest)
        if trainer.state.global_step == step:
            raise Killed

    monkeypatch.setattr(resume, "_save", save)


def outcome(folder: Path) -> dict[str, str]:
    names = ("metrics.jsonl", "model/model.safetensors", "rollouts.jsonl")
    return {name: io.sha256(folder / name) for name in names if (folder / name).is_file()}


FIT = {
    "plain": {},
    "augmented, packed, accumulated": {
        "augment": AUGMENT,
        "packing": True,
        "max_length": 150,
        "gradient_accumulation_steps": 2,
    },
    "full weights, several epochs": {
        "parts": Parts(language="full", vision=True),
        "augment": AUGMENT,
        "per_device_train_batch_size": 8,
    },
}


@pytest.mark.parametrize("kind", FIT)
def test_fine_tuning_resumed_from_any_step_is_bit_identical(
    kind: str, mixture: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"parts": PARTS, "per_device_train_batch_size": 3, "save_steps": 1, **FIT[kind]}
    settings = FitSettings(model=str(tiny_vlm), max_steps=STEPS, learning_rate=3e-3, **given)  # type: ignore[arg-type]
    with io.publish(tmp_path / "whole") as draft:
        sft(settings, draft, data=mixture)
    for step in range(1, STEPS + 1):
        with monkeypatch.context() as context, pytest.raises(Killed):
            killed_after(step, context)
            with io.publish(tmp_path / "killed") as draft:
                sft(settings, draft, data=mixture)
        (place,) = (tmp_path / ".killed.work").iterdir()
        assert resume.newest(place) == str(place / f"{step:08d}")
        assert not [p for p in place.rglob("*") if p.suffix in (".pt", ".pth", ".bin", ".pkl")]
        with io.publish(tmp_path / "killed") as draft:
            sft(settings, draft, data=mixture)
        assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole"), f"killed after step {step}"
        assert not (tmp_path / ".killed.work").exists()


def test_reinforcement_learning_resumed_from_any_step_is_bit_identical(
    mixture: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps use the rollouts of one generation, so every second checkpoint is taken with rollouts in
    hand."""
    settings = RLSettings(
        model=str(tiny_vlm), parts=PARTS, max_steps=STEPS, per_device_train_batch_size=4, num_generations=2,
        max_completion_length=4,
        num_iterations=2, save_steps=1, learning_rate=1e-2,
    )  # fmt: skip
    with io.publish(tmp_path / "whole") as draft:
        rl(settings, draft, data=mixture)
    assert len(list(io.read_jsonl(tmp_path / "whole" / "rollouts.jsonl"))) == 12, "three generations of four"
    for step in range(1, STEPS + 1):
        with monkeypatch.context() as context, pytest.raises(Killed):
            killed_after(step, context)
            with io.publish(tmp_path / "killed") as draft:
                rl(settings, draft, data=mixture)
        with io.publish(tmp_path / "killed") as draft:
            rl(settings, draft, data=mixture)
        assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole"), f"killed after step {step}"


def test_a_spoilt_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step in (1, 2):
        with io.publish(tmp_path / f"{step:08d}") as draft:
            io.write_text(draft / "rank0" / "weights.safetensors", "x" * step)
    assert resume.newest(tmp_path) == str(tmp_path / "00000002")
    (tmp_path / "00000002" / "rank0" / "weights.safetensors").write_text("x")
    assert resume.newest(tmp_path) == str(tmp_path / "00000001")
    (tmp_path / "00000001" / io.MANIFEST).unlink()
    assert resume.newest(tmp_path) is None


def test_equal_keys_give_equal_pixels_and_others_do_not() -> None:
    from PIL import Image

    image = Image.effect_noise((48, 40), 60).convert("RGB")
    one, same, other = (augmented(image, AUGMENT, key).tobytes() for key in ("a", "a", "b"))
    assert one == same != other
    assert augmented(image, Augment(), "a").tobytes() == image.tobytes()
