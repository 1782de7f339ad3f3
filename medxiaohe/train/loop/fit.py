"""Run TRL's SFTTrainer on rows of our own render: what `train.cpt` and `train.sft` share.

The trainer's collator is ours, so tokens and loss mask are those of `models.render` alone, in the batches of
`batch_plan`. Before the first step one row of each kind is passed through the model, and a part that was to
be trained but receives no gradient stops the run: training that silently ignores its images is the field's
commonest fault. A killed run resumes from its newest checkpoint (`resume`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from medxiaohe import io, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.families import family as families
from medxiaohe.models.render import Thinking
from medxiaohe.recipe import ranks
from medxiaohe.recipe.settings import HOW, content_hash, decisive
from medxiaohe.train.loop import batch_plan as plans
from medxiaohe.train.loop import estimate, faults, resume, trackers, trainer_settings
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop import validation as validating
from medxiaohe.train.loop.augment import Augment
from medxiaohe.train.loop.checks import check_gradients, check_packing
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.train.loop.plan_trainer import dataset, planned
from medxiaohe.train.loop.resume import newest, resumable
from medxiaohe.train.loop.row_index import Reading
from medxiaohe.train.loop.rows import Rows
from medxiaohe.train.loop.saving import save
from medxiaohe.train.loop.sharding import blocks, keep_head_with_root, refuse_checkpoints, share_out_on_cpu
from medxiaohe.train.loop.trainer_settings import SCHEDULE_OPTIONS, Schedule, TrainerSettings
from medxiaohe.train.loop.validation import Validation, ValidationSettings

CALIBRATION_IMAGES = 64  # their patches give the mean and standard deviation of each dimension


@dataclass(frozen=True)
class FitSettings(TrainerSettings, ValidationSettings):
    """Names are those of Hugging Face TrainingArguments; `max_steps` counts optimizer steps."""

    model: str = ""
    thinking: Thinking = "auto"  # whether the chat template asks for thoughts; auto: as it does by itself
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
    # with several processes: copies of the model (DDP), or one shared out (FSDP2)
    sharding: Literal["none", "fsdp"] = "none"
    max_length: int = 512
    # recompute activations instead of keeping them; null: on an accelerator
    gradient_checkpointing: bool | None = None
    lr_scheduler_type: Schedule = "linear"
    # area that images are resized to, for processors that resize by area; 0: as the checkpoint says
    min_pixels: int = 0
    max_pixels: int = 0  # of an image that the processor sees at most; 0: as the model's processor says
    # a row with images that is longer than max_length: an error, or it is left out and counted
    oversize: Literal["error", "drop"] = "error"
    dataloader_num_workers: Annotated[int, HOW] = 0  # processes that render batches ahead of the training
    packing: bool = False  # several rows in a sequence of max_length tokens, none sees another
    # sources that are seldom in the first batches and frequent in the last, in a straight line (MedXIAOHE)
    rising: tuple[str, ...] = ()
    # random changes of training images: rotate, crop, brightness, contrast
    augment: Augment = field(default_factory=Augment)
    # QLoRA: the language model in four bits, LoRA beside it, merged into the weights as they were
    quantize: Literal["", "4bit"] = ""
    adapter: bool = False  # leave the LoRA adapter by itself too, below adapter/
    seed: int = 0
    allow_contaminated: bool = False  # train on rows that were compared with no test split
    save_steps: Annotated[int, HOW] = 100  # a killed run continues from its newest checkpoint
    report_to: Annotated[tuple[str, ...], HOW] = ()  # trackers, such as tensorboard: train/loop/trackers.py

    def __post_init__(self) -> None:
        if (self.quantize or self.adapter) and self.parts.language != "lora":
            raise ConfigError(
                "quantize and adapter are for LoRA: set parts.language to lora, or leave them out"
            )
        for name in (
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "max_length",
            "save_steps",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be above 0, not {self.learning_rate}")


def base_model(settings: Any, model: Path | None) -> str:
    """Resolve the checkpoint a stage starts from: an earlier stage's, or the one named in its settings.

    Args:
        settings: of any training stage, with `model`.
        model: folder of an earlier training stage, whose model/ is taken; None: `settings.model`.

    Returns:
        A folder, a hub id, or `starter`.

    Raises:
        ConfigError: both name a model, or neither does.
    """
    if model is not None and settings.model:
        raise ConfigError("needs.model and with.model both name a model: keep one")
    if model is None and not settings.model:
        raise ConfigError(
            "no model: name one in with.model (starter, a folder, a hub id) or wire an earlier stage to"
            " needs.model"
        )
    return str(model / "model") if model is not None else str(settings.model)


def device() -> str:
    """Choose the device of this process.

    Returns:
        "cuda:N" with N the local rank, or "cpu" where torch sees no GPU.
    """
    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def checkpoints_activations(setting: bool | None) -> bool:
    """Decide whether activations are recomputed in the backward pass.

    Args:
        setting: `gradient_checkpointing`; None: on an accelerator, not on a CPU.

    Returns:
        True where they are recomputed.
    """
    return device() != "cpu" if setting is None else setting


def train_on(
    file: str,
    label: str,
    settings: FitSettings,
    out: Path,
    data: Path,
    model: Path | None,
    validation: Path | None = None,
) -> dict[str, Any]:
    """Run a training stage: render the samples of one file of a mixture, train, save.

    Args:
        file: documents.jsonl or instructions.jsonl; text beyond `max_length` tokens is cut.
        label: name of the stage in messages.
        settings: of the stage.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.
        model: folder of a training stage to start from; None: `settings.model`.
        validation: folder of a data.read stage, for the loss of its validation split; None: no evaluation.

    Returns:
        The summary of the stage, as `fit`.

    Raises:
        ConfigError: settings that contradict each other or do not fit the model or the machine.
        DataError: a bad row, no rows, or rows that were not compared with a test split.
        ModelError: a part without gradient, memory, or a loss or weight that is not finite.
    """
    refuse_unchecked(data, settings.allow_contaminated, label)
    base = base_model(settings, model)
    trackers.checked(settings.report_to)
    validating.checked(settings, validation)
    trainer_settings.refuse(settings, device(), settings.sharding)
    if settings.min_pixels or settings.max_pixels:
        refuse_what_cannot_be(base, settings)
    loaded = checkpoint.load(
        base,
        device(),
        four_bit=settings.quantize == "4bit",
        thinking=settings.thinking,
        master=settings.parts.language == "full" or settings.sharding == "fsdp",  # FSDP2 shards one precision
        attn_implementation=settings.attn_implementation,
    )
    trainer_settings.refuse_kernels(settings, loaded.model.config.model_type)
    if settings.min_pixels or settings.max_pixels:
        limit = families.of(loaded.processor).limit_pixels
        limit(loaded.processor, settings.min_pixels, settings.max_pixels)
    inputs = [io.content(data, file)]
    inputs += [io.content(validation, validating.FILE)] if validation is not None else []
    scratch = io.scratch(out, [label, decisive(settings), *inputs, identity(base), code()])
    rows = Rows(
        data / file,
        loaded.processor,
        reading(base, settings),
        f"render {file}",
        settings.augment,
        work=scratch,
        workers=settings.dataloader_num_workers,
    )
    if not len(rows):
        dropped = rows.index.dropped
        why = f"all {dropped} are longer than max_length" if dropped else "the mixture has none"
        raise DataError(f"{label}: no rows to train on: {why}")
    held = None
    if validation is not None:
        held = validating.rows(validation, settings, file, loaded.processor, reading(base, settings), scratch)
    return fit(rows, loaded, settings, out, scratch, label, held)


def reading(base: str, settings: FitSettings) -> Reading:
    """Collect the settings that decide how rows are rendered.

    Args:
        base: name of the checkpoint.
        settings: of the stage.

    Returns:
        What a worker process needs to render as this one does.
    """
    return Reading(
        base,
        settings.max_length,
        settings.oversize,
        settings.thinking,
        settings.min_pixels,
        settings.max_pixels,
    )


def refuse_what_cannot_be(base: str, settings: FitSettings) -> None:
    """Refuse limits of pixels that the model's family does not support, before its weights are read.

    Args:
        base: name of the checkpoint.
        settings: `min_pixels` and `max_pixels`.

    Raises:
        ConfigError: the processor has no such limits.
    """
    processor = checkpoint.processor(base)
    families.of(processor).limit_pixels(processor, settings.min_pixels, settings.max_pixels)


def identity(base: str) -> str:
    """Identify a checkpoint for the keys of unfinished work.

    Args:
        base: a folder, a hub id, or `starter`.

    Returns:
        A hub id with its commit, or the hash of the files.
    """
    if base == "starter" or Path(base).expanduser().is_dir():
        return content_hash(checkpoint.resolve(base))
    return checkpoint.pinned(base)


def code() -> str:
    """Hash the source of this module and of every module it imports: the code that decides what a step does.

    Returns:
        A hexadecimal digest.
    """
    return io.code.digest(__name__)


def fit(
    rows: Rows,
    loaded: checkpoint.Loaded,
    settings: FitSettings,
    out: Path,
    work: Path,
    label: str,
    held: Rows | None = None,
) -> dict[str, Any]:
    """Train on rows, write `model/` and `metrics.jsonl`, resume from the newest checkpoint.

    Args:
        rows: of the training data.
        loaded: model and processor.
        settings: of the stage.
        out: folder of the stage.
        work: folder of the stage's unfinished work, with its checkpoints.
        label: name of the stage in messages.
        held: rows of the validation split; None: no evaluation.

    Returns:
        The summary of the stage: base, steps, rows, tokens, fill, estimated_bytes, parameters, first and last
        loss (nats a token), and evaluations.

    Raises:
        ConfigError: `rising` names a source without rows, or DeepSpeed with checkpoints.
        ModelError: a part without gradient, packing that mixes rows, memory, or values that are not finite.
    """
    with trackers.tracking(settings.report_to, out):
        return _fit(rows, loaded, settings, out, work, label, held)


class Length(Protocol):
    """Settings that say how long a run is."""

    @property
    def max_steps(self) -> int: ...

    @property
    def num_train_epochs(self) -> float: ...

    @property
    def gradient_accumulation_steps(self) -> int: ...


def num_steps(settings: Length, epoch: int) -> int:
    """Compute the optimizer steps of a run.

    Args:
        settings: `max_steps`, or else `num_train_epochs`, and `gradient_accumulation_steps`.
        epoch: batches that hold every row once.

    Returns:
        Steps of the run, at least one; each takes a batch per process and accumulation.
    """
    each = settings.gradient_accumulation_steps * ranks.world()
    return settings.max_steps or max(1, round(epoch * settings.num_train_epochs / each))


def _fit(
    rows: Rows,
    loaded: checkpoint.Loaded,
    settings: FitSettings,
    out: Path,
    work: Path,
    label: str,
    held: Rows | None,
) -> dict[str, Any]:
    lengths = rows.tokens
    pack_to = settings.max_length if settings.packing else 0
    # optimizer steps: those that are set, else the batches of the epochs / batches of a step
    epoch = plans.batches_of_an_epoch(lengths, settings.per_device_train_batch_size, settings.seed, pack_to)
    steps = num_steps(settings, epoch)
    num_batches = steps * settings.gradient_accumulation_steps * ranks.world()
    sources = rows.index.sources
    if unknown := set(settings.rising) - set(sources):
        raise ConfigError(
            f"rising: no rows of {', '.join(sorted(unknown))}: the sources are {', '.join(sorted(sources))}"
        )
    # a flag for each row: whether its source is scheduled to rise
    requested = {number for number, name in enumerate(sources) if name in settings.rising}
    rising = bytes(number in requested for number in rows.index.source) if requested else b""
    batches = plans.plan(
        lengths, settings.per_device_train_batch_size, num_batches, settings.seed, pack_to, rising
    )
    batch_size = settings.per_device_train_batch_size
    every = validating.steps_between(settings, epoch / settings.gradient_accumulation_steps / ranks.world())
    validation = None if held is None else Validation(held, settings, batch_size, every)
    trainer, meter = _trainer(rows, batches, loaded, settings, work, steps, label, validation)
    if getattr(trainer, "is_deepspeed_enabled", False):
        refuse_checkpoints(settings.save_steps, steps)
    seconds_each = check_gradients(trainer.model, rows, settings.parts)
    if settings.packing:
        check_packing(trainer.model, rows)
    before = parts_of.sizes(trainer.model)
    # memory of the largest batch; activations are float32 on a CPU, bfloat16 on an accelerator
    most = estimate.largest(batches, lengths, rows.images)
    bytes_each = 4 if device() == "cpu" else 2
    recomputes = trainer.args.gradient_checkpointing
    needed = estimate.memory(trainer.model, *most, bytes_each, recomputes, settings.optim)
    if ranks.is_first():
        seconds = seconds_each * estimate.positions(batches, lengths) / ranks.world()
        print(
            estimate.sentence(label, needed, seconds, estimate.room_on(device())), file=sys.stderr, flush=True
        )
    rows.keep_in_step = ranks.world() > 1
    if held is not None:
        held.keep_in_step = rows.keep_in_step
    checkpoint_folder = newest(work)
    meter.advance(int(Path(checkpoint_folder).name) if checkpoint_folder else 0)
    with faults.explained(label, work):
        if checkpoint_folder and validation is not None and _had_stopped(checkpoint_folder, settings):
            resume.restore(trainer, checkpoint_folder)
        else:
            trainer.train(resume_from_checkpoint=checkpoint_folder)
    meter.close()
    history = trainer.state.log_history
    losses = [row for row in history if "loss" in row]
    if settings.load_best_model_at_end:
        validating.return_to_best(trainer, work)
    save(trainer, loaded, settings.parts, out, label, settings.adapter)
    if ranks.is_first():
        logged = ("step", "loss", "learning_rate")
        found_at = {step: {validating.LOSS: loss} for step, loss in validating.losses(history)}
        rows_of_steps = ({key: row[key] for key in logged} | found_at.get(row["step"], {}) for row in losses)
        io.write_jsonl(out / "metrics.jsonl", rows_of_steps)
    return {
        "base": loaded.name,
        "steps": trainer.state.global_step,
        "rows": len(rows),
        **({"dropped_oversize": rows.index.dropped} if rows.index.dropped else {}),
        "rows_with_pixels": rows.index.with_images,
        "tokens": rows.index.total_tokens,
        "trained_tokens": rows.index.total_trained,
        "fill": round(plans.fill(batches, lengths), 4),
        "estimated_bytes": needed.total,
        **before,
        "loss_first": round(losses[0]["loss"], 4),
        "loss_last": round(losses[-1]["loss"], 4),
        **validating.summary(history, settings),
    }


def _had_stopped(folder: str, settings: FitSettings) -> bool:
    """Whether the run of a checkpoint had stopped early at that step."""
    history = io.read_json(Path(folder) / "trainer_state.json")["log_history"]
    return bool(validating.stopped(history, settings))


def _trainer(
    rows: Rows,
    batches: plans.Plan,
    loaded: checkpoint.Loaded,
    settings: FitSettings,
    work: Path,
    steps: int,
    label: str,
    validation: Validation | None = None,
) -> tuple[Any, progress.Meter]:
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    on_cpu = device() == "cpu"
    calibrate(rows, loaded.model, settings.parts)
    model = parts_of.prepare(loaded.model, settings.parts, settings.seed)
    config = SFTConfig(
        output_dir=str(work),
        use_cpu=on_cpu,
        bf16=not on_cpu,
        gradient_checkpointing=checkpoints_activations(settings.gradient_checkpointing),
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        max_grad_norm=settings.max_grad_norm,
        lr_scheduler_type=settings.lr_scheduler_type,
        lr_scheduler_kwargs=SCHEDULE_OPTIONS.get(settings.lr_scheduler_type),
        optim=settings.optim,
        use_liger_kernel=settings.use_liger_kernel,
        per_device_train_batch_size=1,  # a row of the trainer's data set is a batch of the plan
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        max_steps=steps,
        max_length=None,
        seed=settings.seed,
        data_seed=settings.seed,
        logging_steps=1,
        save_strategy="steps",
        save_steps=settings.save_steps,
        report_to=list(settings.report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=settings.dataloader_num_workers,
        dataset_kwargs={"skip_prepare_dataset": True},
        ddp_find_unused_parameters=settings.parts.vision,  # a tower may have layers that nobody asks for
        fsdp=settings.sharding == "fsdp" or None,
        fsdp_config={"transformer_layer_cls_to_wrap": blocks(model)} if settings.sharding == "fsdp" else None,
    )
    if settings.sharding == "fsdp" and on_cpu:
        share_out_on_cpu(config)
    meter = progress.Meter(label, steps)

    class Show(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.advance()

    def collate(items: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Collate the batch of the plan whose number is the one item.

        Returns:
            Tensors of the batch, with labels.
        """
        (number,) = (item["row"] for item in items)
        return rows.batch(batches[number], key=f"{settings.seed} {number}", packed=settings.packing)

    evaluated = validating.evaluating(resumable(SFTTrainer, work), validation, work)
    evaluations = [] if validation is None else [validating.at_its_steps(validation)]
    trainer = planned(evaluated, settings)(
        model=trainer_settings.compiled(model, settings),
        args=config,
        train_dataset=dataset(batches),
        data_collator=collate,
        processing_class=checkpoint.for_trainer(loaded.processor),
        callbacks=[Show(), faults.alarms(label), *evaluations],
    )
    trainer.remove_callback(PrinterCallback)
    if settings.sharding == "fsdp":
        keep_head_with_root(trainer)
    return trainer, meter


def calibrate(rows: Rows, model: Any, parts: parts_of.Parts) -> None:
    """Initialise a fresh projector from images of the data, where it is to be trained.

    Args:
        rows: of which the first 64 with images are used.
        model: modified in place.
        parts: nothing happens unless they train the projector.
    """
    import torch

    numbers = list(islice((n for n, images in enumerate(rows.images) if images), CALIBRATION_IMAGES))
    if numbers and parts.projector and parts_of.projector_is_fresh(model):
        pixels = [rows.row(number).features["pixel_values"] for number in numbers]
        parts_of.calibrate_projector(model, torch.cat(pixels).to(model.device))
