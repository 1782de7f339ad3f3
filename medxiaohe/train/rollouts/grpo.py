"""What train.rl and train.agentic share: TRL's GRPO settings, the state of a checkpoint besides weights,
the summary of a run.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins, progress
from medxiaohe.errors import ConfigError
from medxiaohe.models.checkpoint import Loaded, for_trainer
from medxiaohe.models.render import render_prompt
from medxiaohe.recipe import ranks
from medxiaohe.train.loop import estimate, faults, trainer_settings
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop.fit import checkpoints_activations, device
from medxiaohe.train.loop.plan_trainer import dataset
from medxiaohe.train.loop.resume import newest, restore, resumable
from medxiaohe.train.loop.saving import save
from medxiaohe.train.rollouts import watch
from medxiaohe.train.rollouts.distillation import PREFIX, Teacher
from medxiaohe.train.rollouts.grpo_trainer import rolling
from medxiaohe.types import Message

PASSED_ON = (  # settings that have the name of TRL's
    "learning_rate", "num_generations", "per_device_train_batch_size", "max_steps", "max_completion_length",
    "temperature", "gradient_accumulation_steps", "optim", "use_liger_kernel",
    "epsilon_high", "loss_type", "scale_rewards", "mask_truncated_completions", "entropy_coef",
    "entropy_target", "entropy_coef_delta",
    "entropy_coef_max", "beta", "num_iterations", "seed", "save_steps",
)  # fmt: skip


def config(settings: Any, work: Path) -> Any:
    """Build the GRPOConfig of TRL.

    Args:
        settings: RLSettings, or what extends them.
        work: folder of the stage's unfinished work.

    Returns:
        A trl.GRPOConfig with a constant learning rate; fields of `PASSED_ON` keep their names.

    Raises:
        ConfigError: vLLM without a GPU.
        MissingExtra: vLLM is not installed.
    """
    from trl import GRPOConfig

    on_cpu = device() == "cpu"
    if settings.use_vllm:
        plugins.need("vllm", why="use_vllm: true")
        if on_cpu:
            raise ConfigError(
                "use_vllm: true needs a GPU, and torch sees none: leave it out, and transformers draws the"
                " answers"
            )
    return GRPOConfig(
        output_dir=str(work),
        use_cpu=on_cpu,
        bf16=not on_cpu,
        gradient_checkpointing=checkpoints_activations(settings.gradient_checkpointing),
        lr_scheduler_type="constant",
        use_adaptive_entropy=settings.entropy_target > 0,
        data_seed=settings.seed,
        shuffle_dataset=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        report_to=list(settings.report_to) or "none",
        disable_tqdm=True,
        use_vllm=settings.use_vllm,
        vllm_mode="colocate",
        # of the reference, whose weights are not trained: the policy is loaded already
        model_init_kwargs=None if on_cpu else {"dtype": "bfloat16"},
        vllm_gpu_memory_utilization=settings.vllm_gpu_memory_utilization,
        # a batch of text asks neither
        ddp_find_unused_parameters=settings.parts.vision or settings.parts.projector,
        **{name: getattr(settings, name) for name in PASSED_ON},
    )


def answers_of_a_step(settings: Any) -> int:
    """Count the answers that one optimizer step learns from, over all processes and passes.

    Args:
        settings: RLSettings.

    Returns:
        Batch size x accumulation x processes.
    """
    return int(settings.per_device_train_batch_size * settings.gradient_accumulation_steps * ranks.world())


def prompts_of_a_generation(settings: Any) -> int:
    """Count the different prompts of one generation, over all processes.

    Args:
        settings: RLSettings.

    Returns:
        Answers of a step / answers to each prompt.
    """
    return answers_of_a_step(settings) // int(settings.num_generations)


def estimated(
    model: Any, prompts: Iterable[Sequence[Message]], processor: Any, settings: Any, limit: int = 0
) -> estimate.Estimate:
    """Estimate the memory of a step; prompts are counted from their images' headers.

    Args:
        model: prepared for training.
        prompts: of the run.
        processor: of the model.
        settings: RLSettings.
        limit: tokens of a whole conversation; 0: an answer of `max_completion_length` behind the prompt.

    Returns:
        Bytes by what they are for, for the longest prompt.
    """
    # the longest prompt with the longest answer behind it; images are counted, not opened
    rows = [render_prompt(messages, processor, opener=None) for messages in prompts]
    longest = max(len(row.tokens) for row in rows)
    step = estimate.PolicyStep(
        settings.per_device_train_batch_size,
        settings.per_device_train_batch_size * settings.gradient_accumulation_steps,
        longest,
        max(1, limit - longest) if limit else settings.max_completion_length,
        max(row.num_images for row in rows),
        settings.beta > 0 and settings.parts.language != "lora",
    )
    recomputes = checkpoints_activations(settings.gradient_checkpointing)
    bytes_each = 4 if device() == "cpu" else 2
    return estimate.policy_memory(model, step, bytes_each, recomputes, settings.optim)


def announce(label: str, needed: estimate.Estimate) -> None:
    """Print an estimate to stderr, in the first process only.

    Args:
        label: of the stage.
        needed: the estimate.
    """
    if ranks.is_first():
        print(estimate.sentence(label, needed, None, estimate.room_on(device())), file=sys.stderr, flush=True)


def numbers(rows: Sequence[int]) -> Any:
    """Build the data set of GRPOTrainer: numbers of prompts, whose text our rollouts look up.

    Args:
        rows: whose length counts: prompts of the whole run.

    Returns:
        A datasets.Dataset with `row` and a `prompt` of stand-in text.
    """

    def fill(columns: dict[str, list[int]]) -> dict[str, list[Any]]:
        prompts = [[{"role": "user", "content": f"prompt {number}"}] for number in columns["row"]]
        return {"row": columns["row"], "prompt": prompts}

    return dataset(rows).with_transform(fill)


def generator(
    trainer: Any, sampling: Any, stopping: Callable[[tuple[str, ...], int], Any] | None = None
) -> Callable[..., Any]:
    """Make a function that samples from the policy as it is now, on the trainer's device.

    Args:
        trainer: a GRPOTrainer.
        sampling: a GenerationConfig.
        stopping: (strings that end a turn, number of tokens of the inputs) -> stopping criteria of
            transformers; None: only the end-of-sequence tokens of `sampling` stop.

    Returns:
        A function of padded inputs (and strings that end a turn) to tokens [batch, inputs + new].
    """
    import torch
    from trl.models import unwrap_model_for_generation

    def generate(inputs: dict[str, Any], ends_of_turns: tuple[str, ...] = ()) -> Any:
        """Sample a completion of each row, without gradient.

        Returns:
            Tokens [batch, inputs + new].
        """
        moved = {name: tensor.to(trainer.accelerator.device) for name, tensor in inputs.items()}
        stops = stopping(ends_of_turns, inputs["input_ids"].shape[1]) if stopping else None
        with (
            unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model,
            torch.no_grad(),
            parts_of.mixed(model),
        ):
            return model.generate(**moved, generation_config=sampling, stopping_criteria=stops)

    return generate


def callback(meter: progress.Meter, written: Rollouts, settings: Any) -> Any:
    """Build a callback that shows progress, updates the teacher, and stops a run without a learning signal.

    Args:
        meter: of the optimizer steps.
        written: rows of the rollouts so far; `stopped` is set on it.
        settings: RLSettings, for patience and collapse.

    Returns:
        A transformers.TrainerCallback.
    """
    from transformers import TrainerCallback

    num_prompts = prompts_of_a_generation(settings)

    class Show(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _: Any, __: Any, control: Any, model: Any = None, **___: Any) -> None:
            meter.advance()
            if written.teacher is not None:
                written.teacher.update(model)
            written.stopped = watch.diagnosis(
                written.rows, num_prompts, settings.num_generations, settings.patience
            ) or watch.collapse(
                written.rows, num_prompts * settings.num_generations, getattr(settings, "collapse", 0)
            )
            control.should_training_stop = control.should_training_stop or bool(written.stopped)

    return Show()


def build(
    settings: Any,
    loaded: Loaded,
    work: Path,
    written: Rollouts,
    *,
    rollouts: Callable[..., Sequence[Any]],
    reward: Callable[..., list[float | None]],
    meter: progress.Meter,
    label: str,
) -> Any:
    """Build the GRPO trainer of `train.rl` and `train.agentic`, which draw answers in different ways.

    Args:
        settings: of the stage.
        loaded: the policy with its processor.
        work: folder of the stage's unfinished work, with its checkpoints.
        written: rows of the rollouts so far; they are part of a checkpoint.
        rollouts: (trainer, numbers of prompts) -> what was drawn for each.
        reward: TRL's reward function, which gets the numbers of the prompts as `row`.
        meter: of the optimizer steps.
        label: name of the stage in messages.

    Returns:
        a GRPOTrainer whose rows are the numbers of the prompts of the whole run
    """
    from transformers.trainer_callback import PrinterCallback
    from trl import GRPOTrainer

    # a generation serves `num_iterations` optimizer steps
    generations = math.ceil(settings.max_steps / settings.num_iterations)
    policy = parts_of.prepare(loaded.model, settings.parts, settings.seed)
    trainer = rolling(resumable(GRPOTrainer, work, written), rollouts, loaded.processor, written.teacher)(
        model=trainer_settings.compiled(policy, settings),
        args=config(settings, work),
        reward_funcs=reward,
        train_dataset=numbers(range(generations * prompts_of_a_generation(settings))),
        processing_class=for_trainer(loaded.processor),
        callbacks=[callback(meter, written, settings), faults.alarms(label)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def train(
    trainer: Any, meter: progress.Meter, written: Rollouts, settings: Any, work: Path, label: str
) -> None:
    """Train from the newest checkpoint to the end; a checkpoint of the last step is only loaded.

    Args:
        trainer: of `build`.
        meter: of the optimizer steps.
        written: rows of the rollouts, restored with a checkpoint.
        settings: RLSettings.
        work: folder of the checkpoints.
        label: name of the stage in messages.

    Raises:
        ModelError: memory ran out, or a loss or weight is not finite.
        StorageError: the disk is full.
    """
    checkpoint = newest(work)
    meter.advance(int(Path(checkpoint).name) if checkpoint else 0)
    with faults.explained(label, work):
        if checkpoint and (int(Path(checkpoint).name) >= settings.max_steps or stopped(checkpoint)):
            restore(trainer, checkpoint, written)
        else:
            trainer.train(resume_from_checkpoint=checkpoint)
    meter.close()


def finish(
    trainer: Any,
    written: Rollouts,
    loaded: Loaded,
    settings: Any,
    out: Path,
    label: str,
    needed: estimate.Estimate,
) -> dict[str, Any]:
    """Write metrics.jsonl, rollouts.jsonl and the model.

    Args:
        trainer: after training.
        written: rows of all rollouts.
        loaded: the base, for its name and processor.
        settings: RLSettings.
        out: folder of the stage.
        label: name of the stage in messages.
        needed: the estimate, for the summary.

    Returns:
        The summary of the stage: steps, prompts, rollouts, losses, mean rewards of the first and second half
        of the steps, share of groups without signal, and why training stopped early.

    Raises:
        ModelError: a weight is not finite.
    """
    history = [row for row in trainer.state.log_history if "reward" in row]
    size = answers_of_a_step(settings)
    if ranks.is_first():
        parts = [
            watch.components(written.rows, row["step"], size, settings.num_iterations) for row in history
        ]
        io.write_jsonl(
            out / "metrics.jsonl", (metrics(row) | means for row, means in zip(history, parts, strict=True))
        )
        io.write_jsonl(out / "rollouts.jsonl", written.rows)
    save(trainer, loaded, settings.parts, out, label)
    # first and second half of the steps: means of single steps vary too much
    half = max(1, len(history) // 2)
    return {
        "base": loaded.name,
        "steps": trainer.state.global_step,
        "prompts": len({row["sample"] for row in written.rows}),
        "rollouts": len(written.rows),
        "loss_first": round(history[0]["loss"], 4),
        "loss_last": round(history[-1]["loss"], 4),
        "reward_first": mean([r["reward"] for r in history[:half]]),  # mean of the first half of the steps
        "reward_last": mean([r["reward"] for r in history[-half:]]),
        "groups_without_signal": round(
            sum(r.get("frac_reward_zero_std", 0.0) for r in history) / len(history), 4
        ),
        "estimated_bytes": needed.total,
        **({"stopped": written.stopped} if written.stopped else {}),
    }


def mean(values: Sequence[float]) -> float | None:
    """Compute the mean over steps in which an answer could be judged.

    Args:
        values: NaN for a step without one.

    Returns:
        Rounded to 4 digits; None without a finite value.
    """
    judged = [value for value in values if math.isfinite(value)]
    return round(sum(judged) / len(judged), 4) if judged else None


def metrics(row: Mapping[str, Any]) -> dict[str, Any]:
    """Select what metrics.jsonl keeps of a row of the trainer's log.

    Args:
        row: of `log_history`.

    Returns:
        {step, reward, reward_std, entropy, loss, answer_tokens, ...}, values that are not finite left out.
    """
    names = {name: name for name in ("reward", "reward_std", "entropy", "entropy_coef", "loss")} | {
        "completions/mean_length": "answer_tokens",
        "teacher_gap": "teacher_gap",
    }
    result = {new: float(row[old]) for old, new in names.items() if old in row}
    return {
        "step": row["step"],
        **{name: round(value, 4) for name, value in result.items() if math.isfinite(value)},
    }


class Rollouts:
    """What resuming GRPO needs besides: the rollouts that are generated but not used up, those written down
    so far, and the coefficient of an entropy bonus that adapts. Hints, rests and the diagnosis follow from
    the rollouts written down."""

    def __init__(self, teacher: Teacher | None = None) -> None:
        self.teacher = teacher  # whose weights a checkpoint holds
        self.rows: list[dict[str, Any]] = []
        self.stopped = ""  # why training stopped before its last step

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows of rollouts, gathered over processes in the order of the whole batch.

        Args:
            rows: of this process.
        """
        if ranks.world() > 1:
            from accelerate.utils import gather_object

            rows = gather_object(list(rows))
        self.rows.extend(rows)

    def state(self, trainer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Collect what resuming GRPO needs: buffered rollouts, rows written so far, entropy coefficient,
        teacher.

        Args:
            trainer: a GRPOTrainer that is running.

        Returns:
            (values that JSON can hold, tensors by name: "NUMBER KEY" and "NUMBER images I NAME")
        """
        import torch

        values: list[dict[str, Any]] = []
        tensors: dict[str, Any] = {}
        for number, row in enumerate(trainer._buffered_inputs or []):
            pictures = row.get("images", [])
            plain = {key: value for key, value in row.items() if key != "images"}
            arrays = {key: item for key, item in plain.items() if isinstance(item, torch.Tensor)}
            values.append({key: item for key, item in plain.items() if key not in arrays})
            values[-1]["images"] = len(pictures)
            tensors |= {f"{number} {key}": item for key, item in arrays.items()}
            for i, features in enumerate(pictures):
                tensors |= {f"{number} images {i} {name}": tensor for name, tensor in features.items()}
        tensors |= self.teacher.state() if self.teacher is not None else {}
        seen = trainer._last_world_entropy if trainer.use_adaptive_entropy else math.inf
        entropy = [trainer.entropy_coef, seen if math.isfinite(seen) else None]
        return {
            "step": trainer._step,
            "buffered": values,
            "written": self.rows,
            "entropy": entropy,
            "stopped": self.stopped,
        }, tensors

    def restore(self, trainer: Any, values: dict[str, Any], tensors: Mapping[str, Any]) -> None:
        """Take up what `state` returned.

        Args:
            trainer: a GRPOTrainer that is about to continue.
            values: the first item of `state`.
            tensors: the second; they are moved to the trainer's device, images stay on the CPU.
        """
        trainer._step = values["step"]
        trainer._buffered_inputs = values["buffered"] or None
        for row in trainer._buffered_inputs or []:
            row["images"] = [{} for _ in range(row["images"])]
        if self.teacher is not None:
            self.teacher.restore(dict(tensors), trainer.args.device)
        for key, tensor in tensors.items():
            if key.startswith(PREFIX):
                continue
            number, _, name = key.partition(" ")
            row = trainer._buffered_inputs[int(number)]
            if name.startswith("images "):
                _, i, feature = name.split(" ", 2)
                row["images"][int(i)][feature] = tensor
            else:
                row[name] = tensor.to(trainer.args.device)
        self.rows[:], self.stopped = values["written"], values["stopped"]
        trainer.entropy_coef, seen = values["entropy"]
        trainer._last_world_entropy = math.inf if seen is None else seen


def stopped(folder: str) -> bool:
    """Whether the run of a checkpoint had stopped early at that step.

    Args:
        folder: of the checkpoint.

    Returns:
        True where it holds a reason.
    """
    return bool(io.read_json(Path(folder) / "rank0" / "extra.json")["stopped"])
