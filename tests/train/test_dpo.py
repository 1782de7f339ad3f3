"""Preference learning: one render for tokens and mask, exact resume, and bad pairs told in one sentence
(issue: dpo; HR-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from curves import tracked

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError, MedError
from medxiaohe.models import checkpoint
from medxiaohe.models.render import IGNORED, render, render_prompt
from medxiaohe.train.dpo import DpoSettings, dpo
from medxiaohe.train.loop import resume
from medxiaohe.train.loop.pairs import FILE, PairRows, read
from medxiaohe.train.loop.parts import Parts
from medxiaohe.types import ImageRef, Message

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
LORA = Parts(language="lora", lora_r=4, projector=False)
FULL = Parts(language="full", projector=True, vision=True)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third pair has an image; the chosen reply is always yes."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pairs")
    rows: list[dict[str, Any]] = []
    for number in range(12):
        asked = f"Is number {number} red? " + "Look closely. " * (number % 4)
        row: dict[str, Any] = {"prompt": asked, "chosen": "yes", "rejected": "no, it is not"}
        if number % 3 == 0:
            Image.effect_noise((40, 40), 20 + number).save(folder / f"{number}.png")
            del row["prompt"]
            row["messages"] = [io.to_json(Message("user", (ImageRef(str(folder / f"{number}.png")), asked)))]
        rows.append(row)
    io.write_jsonl(folder / FILE, rows)
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


def short(model: Path, **given: Any) -> DpoSettings:
    base: dict[str, Any] = {
        "parts": LORA,
        "max_steps": 4,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 3,
        "save_steps": 1,
    }
    return DpoSettings(model=str(model), **(base | given))


def test_the_reply_alone_carries_loss_and_its_tokens_are_those_of_the_render(
    pairs: Path, tiny_vlm: Path
) -> None:
    processor = checkpoint.load(str(tiny_vlm)).processor
    preferences = read(pairs / FILE)
    rows = PairRows(preferences, processor, 512, "render")
    for number, pair in enumerate(preferences):
        prompt = render_prompt(pair.messages, processor)
        for reply, row in zip((pair.chosen, pair.rejected), rows.both(number), strict=True):
            assert row.tokens == render((*pair.messages, Message("assistant", (reply,))), processor).tokens
            assert row.tokens[: len(prompt.tokens)] == prompt.tokens and not any(
                row.mask[: len(prompt.tokens)]
            )
            learnt = processor.tokenizer.decode(
                [t for t, keep in zip(row.tokens, row.mask, strict=True) if keep]
            )
            assert learnt == f"{reply}<|im_end|>\n"
    tensors = rows.batch([0, 1])
    assert tensors["input_ids"].shape[0] == 4 and tensors["pixel_values"].shape[0] == 2, (
        "one image, chosen and rejected"
    )
    assert int((tensors["labels"] != IGNORED).sum()) == rows.sizes[0].trained + rows.sizes[1].trained


def test_an_earlier_turn_is_part_of_the_prompt(tiny_vlm: Path, tmp_path: Path) -> None:
    talk = [Message("user", ("Hi",)), Message("assistant", ("Hello.",)), Message("user", ("Is it red?",))]
    io.write_jsonl(
        tmp_path / FILE, [{"messages": [io.to_json(m) for m in talk], "chosen": "yes", "rejected": "no"}]
    )
    processor = checkpoint.load(str(tiny_vlm)).processor
    row, _ = PairRows(read(tmp_path / FILE), processor, 512, "render").both(0)
    assert (
        processor.tokenizer.decode([t for t, keep in zip(row.tokens, row.mask, strict=True) if keep])
        == "yes<|im_end|>\n"
    )


@pytest.mark.parametrize("parts", [LORA, FULL], ids=["adapters", "everything"])
def test_it_learns_to_prefer_and_starts_where_the_reference_is(
    parts: Parts, pairs: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    summary = dpo(short(tiny_vlm, parts=parts, max_steps=12, warmup_steps=0), tmp_path / "out", data=pairs)
    metrics = list(io.read_jsonl(tmp_path / "out" / "metrics.jsonl"))
    assert metrics[0]["loss"] == pytest.approx(0.6931, abs=2e-3), (
        "log 2: policy and reference are one model at the first step"
    )
    assert (
        summary["loss_last"] < 0.4 and summary["accuracy_last"] == 1.0 and summary["pairs_with_pixels"] == 4
    )
    assert checkpoint.load(str(tmp_path / "out" / "model"))


def test_margins_reach_a_tracker(pairs: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    dpo(short(tiny_vlm, report_to=("tensorboard",)), tmp_path / "dpo" / "1", data=pairs)
    margins = [row["margin"] for row in io.read_jsonl(tmp_path / "dpo" / "1" / "metrics.jsonl")]
    assert len(margins) == 4 and tracked(
        tmp_path / "dpo" / "tracked", "train/rewards/margins"
    ) == pytest.approx(margins, abs=1e-3)


def outcome(folder: Path) -> list[str]:
    return [io.sha256(folder / name) for name in ("metrics.jsonl", "model/model.safetensors")]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("parts", [LORA, FULL], ids=["adapters", "everything"])
def test_it_resumes_to_the_same_bits_from_every_step(
    parts: Parts, pairs: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = short(tiny_vlm, parts=parts, gradient_accumulation_steps=2)
    with io.publish(tmp_path / "whole") as draft:
        dpo(settings, draft, data=pairs)
    real = resume._save
    for step in (1, 3):

        def save(trainer: Any, *rest: Any, at: int = step) -> None:
            real(trainer, *rest)
            if trainer.state.global_step == at:
                raise Killed

        with monkeypatch.context() as context, pytest.raises(Killed):
            context.setattr(resume, "_save", save)
            with io.publish(tmp_path / "killed") as draft:
                dpo(settings, draft, data=pairs)
        with io.publish(tmp_path / "killed") as draft:
            dpo(settings, draft, data=pairs)
        assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole"), f"killed after step {step}"


GOOD = {"prompt": "Is it red?", "chosen": "yes", "rejected": "no"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"prompt": "Is it red?", "accepted": "yes", "rejected": "no"},
            "has no chosen, but accepted, prompt, rejected",
        ),
        ({**GOOD, "rejected": "yes "}, "say the same, so there is nothing to prefer"),
        ({"question": "Is it red?", "chosen": "yes", "rejected": "no"}, "this one has no 'prompt'"),
        ({**GOOD, "messages": [{"parts": ["Red?"]}]}, "this one has no 'role'"),
        (
            {**GOOD, "messages": [{"role": "assistant", "parts": ["yes"]}]},
            "must end with what is to be answered",
        ),
        (
            {**GOOD, "messages": [io.to_json(Message("user", (ImageRef("nowhere.png"), "Red?")))]},
            r"pair 2 .*no such image: nowhere\.png",
        ),
        (
            {**GOOD, "prompt": "Look closely. " * 300},
            r"pair 2 .*leaves nothing of the reply: .* raise max_length",
        ),
    ],
)
def test_a_bad_pair_is_named_before_anything_is_trained(
    row: dict[str, Any], says: str, tiny_vlm: Path, tmp_path: Path
) -> None:
    io.write_jsonl(tmp_path / FILE, [GOOD, row])
    with pytest.raises(DataError, match=says):
        dpo(short(tiny_vlm, allow_contaminated=True, max_length=256), tmp_path / "out", data=tmp_path)
    assert not (tmp_path / "out").exists()


def test_settings_and_data_that_cannot_be_meant_are_refused(
    pairs: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    io.write_jsonl(tmp_path / FILE, [GOOD])
    with pytest.raises(ConfigError, match="was compared with no test split"):
        dpo(short(tiny_vlm), tmp_path / "out", data=tmp_path)
    with pytest.raises(ConfigError, match="beta must be above 0"):
        DpoSettings(beta=0)
    with pytest.raises(DataError, match="holds no pair"):
        io.write_jsonl(tmp_path / FILE, [])
        dpo(short(tiny_vlm, allow_contaminated=True), tmp_path / "out", data=tmp_path)
    assert issubclass(DataError, MedError)
