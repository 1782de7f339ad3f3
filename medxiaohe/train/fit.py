"""Run TRL's SFTTrainer on rows of our own render: what `train.cpt` and `train.sft` share.

The trainer's collator is ours, so tokens and mask are those of `models.render` and of nothing else.
Before the first step one row of each kind is passed through the model, and a part that was to be trained
but receives no gradient stops the run: training that silently ignores its images is the field's commonest fault.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io, progress
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.models import checkpoint
from medxiaohe.models.render import Rendered, batch, render
from medxiaohe.train import parts as parts_of

CALIBRATION_IMAGES = 64


@dataclass(frozen=True)
class FitSettings:
    """Names are those of Hugging Face TrainingArguments; `max_steps` counts optimizer steps."""

    model: str = ""
    parts: parts_of.Parts = field(default_factory=parts_of.Parts)
    learning_rate: float = 5e-4
    projector_learning_rate: float | None = 1e-3
    weight_decay: float = 0.0
    warmup_steps: int = 3
    max_grad_norm: float = 1.0
    per_device_train_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    max_steps: int = 0  # 0: as many as num_train_epochs takes
    num_train_epochs: float = 1.0
    max_length: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("per_device_train_batch_size", "gradient_accumulation_steps", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be above 0, not {self.learning_rate}")


def base_model(settings: Any, model: Path | None) -> str:
    """The checkpoint a stage starts from: an earlier stage's, or the one named in its settings."""
    if model is not None and settings.model:
        raise ConfigError("needs.model and with.model both name a model: keep one")
    if model is None and not settings.model:
        raise ConfigError("no model: name one in with.model (starter, a folder, a hub id) or wire an earlier stage to needs.model")
    return str(model / "model") if model is not None else str(settings.model)


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def train_on(file: str, label: str, settings: FitSettings, out: Path, data: Path, model: Path | None) -> dict[str, Any]:
    """A training stage: render the samples of one file of a mixture, fit, save. A text over `max_length` tokens is cut."""
    base = base_model(settings, model)
    loaded = checkpoint.load(base, device())
    samples = list(io.read_samples(data / file))
    rows = [render(s.messages, loaded.processor).cut(settings.max_length) for s in progress.track(samples, f"render {file}")]
    return fit(rows, loaded, settings, out, label, base)


def fit(rows: Sequence[Rendered], loaded: checkpoint.Loaded, settings: FitSettings, out: Path, label: str, base: str) -> dict[str, Any]:
    """Train on the rows, write `model/` and `metrics.jsonl` below `out`, return the stage's summary."""
    if not rows:
        raise DataError(f"{label}: no rows to train on: look at the mixture stage's counts")
    trainer, meter = _trainer(rows, loaded, settings, out, label)
    check_gradients(trainer.model, rows, loaded.processor, settings.parts)
    before = parts_of.sizes(trainer.model)
    trainer.train()
    meter.close()
    shutil.rmtree(trainer.args.output_dir, ignore_errors=True)
    losses = [row for row in trainer.state.log_history if "loss" in row]
    kept = ("step", "loss", "learning_rate")
    io.write_jsonl(out / "metrics.jsonl", ({key: row[key] for key in kept} for row in losses))
    model = parts_of.merged(trainer.model)
    refuse_nan(model, label)
    checkpoint.save(checkpoint.Loaded(model, loaded.processor, base), out / "model")
    return {
        "base": base,
        "steps": trainer.state.global_step,
        "rows": len(rows),
        "rows_with_pixels": sum(bool(row.num_images) for row in rows),
        "tokens": sum(len(row.tokens) for row in rows),
        "trained_tokens": sum(sum(row.mask) for row in rows),
        **before,
        "loss_first": round(losses[0]["loss"], 4),
        "loss_last": round(losses[-1]["loss"], 4),
    }


def _trainer(
    rows: Sequence[Rendered], loaded: checkpoint.Loaded, settings: FitSettings, out: Path, label: str
) -> tuple[Any, progress.Meter]:
    import torch
    from torch.utils.data import SequentialSampler
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    on_cpu = device() == "cpu"
    pixels = [row.features["pixel_values"] for row in rows if row.num_images]
    if pixels and settings.parts.projector and parts_of.projector_is_fresh(loaded.model):
        parts_of.calibrate_projector(loaded.model, torch.cat(pixels[:CALIBRATION_IMAGES]).to(loaded.model.device))
    model = parts_of.prepare(loaded.model, settings.parts, settings.seed)
    size = settings.per_device_train_batch_size * settings.gradient_accumulation_steps
    steps = settings.max_steps or max(1, round(len(rows) * settings.num_train_epochs / size))
    config = SFTConfig(
        output_dir=str(out / ".trainer"),
        use_cpu=on_cpu,
        bf16=not on_cpu,
        gradient_checkpointing=not on_cpu,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        max_grad_norm=settings.max_grad_norm,
        lr_scheduler_type="linear",
        per_device_train_batch_size=settings.per_device_train_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        max_steps=steps,
        max_length=None,
        seed=settings.seed,
        data_seed=settings.seed,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    meter = progress.Meter(label, steps)

    class Show(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.advance()

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return SequentialSampler(self.train_dataset)  # `ordered` has shuffled

    rows = ordered(rows, settings.per_device_train_batch_size, settings.seed)
    trainer = InOrder(
        model=model,
        args=config,
        train_dataset=dataset(rows),
        data_collator=lambda items: batch([rows[item["row"]] for item in items], loaded.processor),
        processing_class=loaded.processor,
        callbacks=[Show()],
        optimizers=(parts_of.optimizer(model, settings.learning_rate, settings.projector_learning_rate, settings.weight_decay), None),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, meter


def ordered(rows: Sequence[Rendered], batch_size: int, seed: int) -> list[Rendered]:
    """The rows shuffled so that each batch holds rows of about one length: padding costs as much as text.

    Rows are shuffled, cut into windows of eight batches, sorted by length inside a window, and the batches of
    a window are shuffled again.
    """
    shuffle = random.Random(seed)
    mixed = list(rows)
    shuffle.shuffle(mixed)
    out: list[Rendered] = []
    for start in range(0, len(mixed), 8 * batch_size):
        window = sorted(mixed[start : start + 8 * batch_size], key=lambda row: len(row.tokens))
        batches = [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
        shuffle.shuffle(batches)
        out += [row for batch_rows in batches for row in batch_rows]
    return out


def dataset(rows: Sequence[Any]) -> Any:
    """Row numbers as a datasets.Dataset: the collator looks the rows up."""
    from datasets import Dataset

    return Dataset.from_dict({"row": list(range(len(rows)))})


def check_gradients(model: Any, rows: Sequence[Rendered], processor: Any, parts: parts_of.Parts) -> None:
    """One backward pass over a row with and a row without images; ModelError names a part that learns nothing."""
    import torch

    first = {bool(row.num_images): row for row in reversed(rows)}
    state = torch.get_rng_state()
    model.train()
    for row in first.values():
        model(**batch([row], processor)).loss.backward()
    reached = {parts_of.part_of(n) for n, w in model.named_parameters() if w.grad is not None and bool(w.grad.abs().sum() > 0)}
    model.zero_grad(set_to_none=True)
    torch.set_rng_state(state)
    wanted = {"language"} if parts.language != "frozen" else set()
    if True in first:  # text alone cannot reach the projector or the vision tower
        wanted |= {name for name in ("projector", "vision") if getattr(parts, name)}
    if missing := wanted - reached:
        raise ModelError(f"no gradient reaches the {' and '.join(sorted(missing))}, which was to be trained: check parts and data")


def refuse_nan(model: Any, label: str) -> None:
    import torch

    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise ModelError(f"{label}: {name} is not finite after training: lower the learning rate")
