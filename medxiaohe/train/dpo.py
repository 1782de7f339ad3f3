"""Stage: direct preference optimisation on pairs (Rafailov and others 2023), through TRL's DPOTrainer.

    pairs.jsonl of `data`   train/loop/pairs.py; of train.preferences, or of people

Tokens and mask are those of `models.render`, text and images in one batch. Where only adapters of the
language model are trained, the reference is the model without them; else it is a second copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from medxiaohe import io, progress
from medxiaohe.errors import ConfigError
from medxiaohe.models import checkpoint
from medxiaohe.models.render import IGNORED, Thinking
from medxiaohe.recipe import ranks
from medxiaohe.recipe.settings import HOW, decisive
from medxiaohe.train.loop import batch_plan as plans
from medxiaohe.train.loop import faults, pairs, trackers, trainer_settings
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.train.loop.fit import (
    base_model,
    checkpoints_activations,
    code,
    device,
    identity,
    num_steps,
)
from medxiaohe.train.loop.plan_trainer import dataset, planned
from medxiaohe.train.loop.resume import newest, resumable
from medxiaohe.train.loop.saving import save
from medxiaohe.train.loop.trainer_settings import SCHEDULE_OPTIONS, Schedule, TrainerSettings

LABEL = "preference learning"
KEPT = {
    "loss": "loss", "rewards/accuracies": "accuracy", "rewards/margins": "margin", "logps/chosen": "chosen",
    "logps/rejected": "rejected",
}  # fmt: skip


@dataclass(frozen=True)
class DpoSettings(TrainerSettings):
    """Names are those of TRL's DPOConfig. The defaults are HeteroRAG's: LoRA at 2e-5, four epochs."""

    model: str = ""
    thinking: Thinking = "auto"  # whether the chat template asks for thoughts; auto: as it does by itself
    parts: parts_of.Parts = field(default_factory=lambda: parts_of.Parts(projector=False))
    learning_rate: float = 2e-5
    projector_learning_rate: float | None = None
    weight_decay: float = 0.0
    warmup_steps: int = 3
    max_grad_norm: float = 1.0
    beta: float = 0.1  # of DPO: the larger, the nearer the policy stays to the reference
    loss_type: Literal["sigmoid", "hinge", "ipo", "robust", "apo_zero", "apo_down"] = "sigmoid"
    label_smoothing: float = 0.0  # assumed share of pairs whose order is wrong
    per_device_train_batch_size: int = 4  # pairs
    gradient_accumulation_steps: int = 1
    max_steps: int = 0  # 0: as many as num_train_epochs takes
    num_train_epochs: float = 4.0
    max_length: int = 1024
    lr_scheduler_type: Schedule = "linear"
    gradient_checkpointing: bool | None = None  # recompute activations; null: on an accelerator
    seed: int = 0
    allow_contaminated: bool = False  # train on pairs that were compared with no test split
    save_steps: Annotated[int, HOW] = 100  # a killed run continues from its newest checkpoint
    report_to: Annotated[tuple[str, ...], HOW] = ()  # trackers, such as tensorboard: train/loop/trackers.py

    def __post_init__(self) -> None:
        for name in (
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "max_length",
            "save_steps",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.learning_rate <= 0 or self.beta <= 0 or not 0 <= self.label_smoothing < 0.5:
            raise ConfigError(
                "learning_rate and beta must be above 0, label_smoothing at least 0 and below 0.5"
            )


def dpo(settings: DpoSettings, out: Path, *, data: Path, model: Path | None = None) -> dict[str, Any]:
    """Train on the pairs of a stage. DataError names a bad row before the first step.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a stage with pairs.jsonl.
        model: folder of a training stage to start from; None: `settings.model`.

    Returns:
        the summary of the stage: `pairs`, `kinds`, `accuracy_last`, `margin_last`, ...

    Raises:
        DataError: a bad pair, or pairs that were not compared with a test split.
    """
    refuse_unchecked(data, settings.allow_contaminated, LABEL)
    base = base_model(settings, model)
    trackers.checked(settings.report_to)
    trainer_settings.refuse(settings, device())
    preferences = pairs.read(data / pairs.FILE)
    master = settings.parts.language == "full"
    attention = settings.attn_implementation
    loaded = checkpoint.load(
        base, device(), thinking=settings.thinking, master=master, attn_implementation=attention
    )
    trainer_settings.refuse_kernels(settings, loaded.model.config.model_type)
    rows = pairs.PairRows(preferences, loaded.processor, settings.max_length, f"render {pairs.FILE}")
    if parts_of.projector_is_fresh(loaded.model) and rows.first_with(True) is not None:
        raise ConfigError(
            f"{LABEL}: the projector of {base} was never trained, and pairs have images: fine-tune with"
            " train.sft first"
        )
    scratch = io.scratch(
        out, [LABEL, decisive(settings), io.content(data, pairs.FILE), identity(base), code()]
    )
    lengths = [size.tokens for size in rows.sizes]
    epoch = plans.batches_of_an_epoch(lengths, settings.per_device_train_batch_size, settings.seed)
    steps = num_steps(settings, epoch)
    num_batches = steps * settings.gradient_accumulation_steps * ranks.world()
    batches = plans.plan(lengths, settings.per_device_train_batch_size, num_batches, settings.seed)
    with trackers.tracking(settings.report_to, out), faults.explained(LABEL, scratch):
        trainer, meter = _trainer(rows, batches, loaded, settings, scratch, steps)
        before = parts_of.sizes(trainer.model)
        checkpoint_folder = newest(scratch)
        meter.advance(int(Path(checkpoint_folder).name) if checkpoint_folder else 0)
        trainer.train(resume_from_checkpoint=checkpoint_folder)
        meter.close()
    history = [row for row in trainer.state.log_history if "loss" in row]
    save(trainer, loaded, settings.parts, out, LABEL)
    if ranks.is_first():
        io.write_jsonl(
            out / "metrics.jsonl",
            ({"step": r["step"], **{n: round(r[o], 6) for o, n in KEPT.items() if o in r}} for r in history),
        )
    kinds = [pair.kind or "given" for pair in preferences]
    return {
        "base": base,
        "steps": trainer.state.global_step,
        "pairs": len(rows),
        "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "pairs_with_pixels": sum(bool(size.num_images) for size in rows.sizes),
        **before,
        "loss_first": round(history[0]["loss"], 4),
        "loss_last": round(history[-1]["loss"], 4),
        "accuracy_last": round(history[-1]["rewards/accuracies"], 4),
        "margin_last": round(history[-1]["rewards/margins"], 4),
    }


dpo.together = True  # type: ignore[attr-defined]


def _trainer(
    rows: pairs.PairRows,
    batches: plans.Plan,
    loaded: checkpoint.Loaded,
    settings: DpoSettings,
    work: Path,
    steps: int,
) -> tuple[Any, progress.Meter]:
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    on_cpu = device() == "cpu"
    parts = settings.parts
    adapters_alone = parts.language == "lora" and not parts.projector and not parts.vision
    attention = settings.attn_implementation
    # with adapters alone, TRL takes the model without them as pi_ref; else a second copy is loaded
    reference = None
    if not adapters_alone:
        reference = checkpoint.load(loaded.name, device(), attn_implementation=attention).model
    # TRL's loss for `sigmoid`: -log sigmoid(beta [log pi/pi_ref(chosen) - log pi/pi_ref(rejected)])
    # (Rafailov and others 2023, eq. 7)
    config = DPOConfig(
        output_dir=str(work), use_cpu=on_cpu, bf16=not on_cpu,
        gradient_checkpointing=checkpoints_activations(settings.gradient_checkpointing),
        max_length=None,
        learning_rate=settings.learning_rate, weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        max_grad_norm=settings.max_grad_norm, beta=settings.beta,
        lr_scheduler_type=settings.lr_scheduler_type,
        lr_scheduler_kwargs=SCHEDULE_OPTIONS.get(settings.lr_scheduler_type),
        optim=settings.optim, use_liger_kernel=settings.use_liger_kernel,
        loss_type=[settings.loss_type],
        label_smoothing=settings.label_smoothing,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        per_device_train_batch_size=1,  # a row of the trainer's data set is a batch of the plan
        max_steps=steps, seed=settings.seed, data_seed=settings.seed, logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps", save_steps=settings.save_steps, report_to=list(settings.report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False, ddp_find_unused_parameters=parts.vision or parts.projector,
    )  # fmt: skip
    meter = progress.Meter(LABEL, steps)

    class Show(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.advance()

    class Rendered(DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset  # of numbers of batches: the collator renders them

    def collate(items: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Render the batch of the plan whose number is the one item; the reply alone is the completion.

        Returns:
            Tensors with 2 n rows, chosen first, and completion_mask (2n, T).
        """
        (number,) = (item["row"] for item in items)
        tensors = rows.batch([row for (row,) in batches[number]])
        # 1 at tokens of the reply, whose log-probabilities are summed
        tensors["completion_mask"] = (tensors.pop("labels") != IGNORED).long()
        return tensors

    trainer = planned(resumable(Rendered, work), settings)(
        model=trainer_settings.compiled(parts_of.prepare(loaded.model, parts, settings.seed), settings),
        ref_model=reference,
        args=config,
        train_dataset=dataset(batches),
        data_collator=collate,
        processing_class=checkpoint.for_trainer(loaded.processor),
        callbacks=[Show(), faults.alarms(LABEL)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, meter
