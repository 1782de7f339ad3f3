"""Stage: reinforcement learning with a verifiable reward (MX-29, rule reward), GRPO through TRL.

A task is a benchmark and an environment: the reward of an answer is the task's own scorer on the train
split. An answer that nobody could judge (`unjudged`) is passed to TRL as None and takes no part.
The rollout's prompt is rendered by the same chat template as everything else; a test holds the tokens equal.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import images, io, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.render import chat
from medxiaohe.recipe.settings import HOW, decisive
from medxiaohe.tasks import make
from medxiaohe.train import parts as parts_of
from medxiaohe.train.fit import base_model, code, dataset, device, identity, refuse_nan
from medxiaohe.train.resume import newest, resumable
from medxiaohe.types import Message, Sample, Score, Task, Trace


@dataclass(frozen=True)
class RLSettings:
    """Names are those of TRL's GRPOConfig. One step sees `per_device_train_batch_size / num_generations` prompts."""

    model: str = ""
    parts: parts_of.Parts = field(default_factory=lambda: parts_of.Parts(projector=False))
    learning_rate: float = 1e-4
    num_generations: int = 4
    per_device_train_batch_size: int = 16
    max_steps: int = 10
    max_completion_length: int = 8
    temperature: float = 1.0
    epsilon_high: float = 0.28  # clip-higher, as in DAPO
    entropy_coef: float = 0.0
    beta: float = 0.0
    num_iterations: int = 1  # optimizer steps that use the rollouts of one generation
    seed: int = 0
    save_steps: Annotated[int, HOW] = 20  # a killed run goes on from its newest checkpoint, rollouts in use included

    def __post_init__(self) -> None:
        if self.save_steps < 1:
            raise ConfigError(f"save_steps must be at least 1, not {self.save_steps}")
        if self.num_generations < 2 or self.per_device_train_batch_size % self.num_generations:
            raise ConfigError(
                f"per_device_train_batch_size {self.per_device_train_batch_size} must be a multiple of"
                f" num_generations {self.num_generations}, which is at least 2"
            )


def rl(settings: RLSettings, out: Path, *, data: Path, model: Path | None = None, tree: Path | None = None) -> dict[str, Any]:
    """Train on `prompts.jsonl` of a mixture, whose rows are samples of tasks, with the tasks' scorers as reward."""
    base = base_model(settings, model)
    found = list(io.read_samples(data / "prompts.jsonl"))
    samples = in_batches(found, settings.per_device_train_batch_size // settings.num_generations, settings.seed)
    if not samples:
        raise DataError(f"reinforcement learning: {len(found)} prompts do not fill one batch: raise `prompts` in the mixture stage")
    tasks = {name: make(name, tree) for name in sorted({s.source for s in samples})}
    loaded = checkpoint.load(base, device())
    place = io.scratch(out, ["rl", decisive(settings), io.sha256(data / "prompts.jsonl"), identity(base), code()])
    trainer, meter, rewards = _trainer(samples, tasks, loaded, settings, place)
    before = parts_of.sizes(trainer.model)
    found = newest(place)
    meter.advance(int(Path(found).name) if found else 0)
    trainer.train(resume_from_checkpoint=found)
    meter.close()
    history = [row for row in trainer.state.log_history if "reward" in row]
    io.write_jsonl(out / "metrics.jsonl", (_row(row) for row in history))
    io.write_jsonl(out / "rollouts.jsonl", rewards)
    trained = parts_of.merged(trainer.model)
    refuse_nan(trained, "reinforcement learning")
    checkpoint.save(checkpoint.Loaded(trained, loaded.processor, base), out / "model")
    half = max(1, len(history) // 2)
    return {
        "base": base,
        "steps": trainer.state.global_step,
        "prompts": len({row["sample"] for row in rewards}),
        "rollouts": len(rewards),
        **before,
        "loss_first": round(history[0]["loss"], 4),
        "loss_last": round(history[-1]["loss"], 4),
        "reward_first": round(sum(r["reward"] for r in history[:half]) / half, 4),  # mean of the first half of the steps
        "reward_last": round(sum(r["reward"] for r in history[-half:]) / half, 4),
        "groups_without_signal": round(sum(r.get("frac_reward_zero_std", 0.0) for r in history) / len(history), 4),
    }


def in_batches(samples: Sequence[Sample], num_prompts: int, seed: int) -> list[Sample]:
    """Shuffled batches of `num_prompts`, each all with or all without images; a last batch that is not full is left out.

    TRL 1.16 passes None for the images of a text prompt to the processor, which refuses a batch that mixes both.
    """
    shuffle = random.Random(seed)
    batches: list[list[Sample]] = []
    for with_images in (True, False):
        group = [sample for sample in samples if bool(sample.images) == with_images]
        shuffle.shuffle(group)
        batches += [group[i : i + num_prompts] for i in range(0, len(group) - num_prompts + 1, num_prompts)]
    shuffle.shuffle(batches)
    return [sample for batch in batches for sample in batch]


def judge(task: Task, sample: Sample, answer: str) -> Score:
    """The score of an answer by the task's first scorer: the reward."""
    return task.scorers[0](sample, Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,)))))


def _trainer(
    samples: Sequence[Sample], tasks: dict[str, Task], loaded: checkpoint.Loaded, settings: RLSettings, place: Path
) -> tuple[Any, progress.Meter, list[dict[str, Any]]]:
    from transformers import TrainerCallback
    from transformers.trainer_callback import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    on_cpu = device() == "cpu"
    config = GRPOConfig(
        output_dir=str(place),
        use_cpu=on_cpu,
        bf16=not on_cpu,
        gradient_checkpointing=False,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant",
        num_generations=settings.num_generations,
        per_device_train_batch_size=settings.per_device_train_batch_size,
        max_steps=settings.max_steps,
        max_completion_length=settings.max_completion_length,
        temperature=settings.temperature,
        epsilon_high=settings.epsilon_high,
        entropy_coef=settings.entropy_coef,
        beta=settings.beta,
        num_iterations=settings.num_iterations,
        seed=settings.seed,
        data_seed=settings.seed,
        shuffle_dataset=False,
        logging_steps=1,
        save_strategy="steps",
        save_steps=settings.save_steps,
        report_to="none",
        disable_tqdm=True,
    )
    meter = progress.Meter("reinforcement learning", settings.max_steps)
    rollouts: list[dict[str, Any]] = []

    def reward(prompts: Any, completions: Any, row: Sequence[int], **_: Any) -> list[float | None]:
        found = []
        for completion, index in zip(completions, row, strict=True):
            answer = completion[-1]["content"] if isinstance(completion, list) else completion
            sample = samples[index]
            score = judge(tasks[sample.source], sample, answer)
            rollouts.append({"sample": sample.id, "answer": answer, "reward": score.value, "status": score.status})
            found.append(score.value)
        return found

    class Show(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.advance()

    trainer = resumable(GRPOTrainer, place, Rollouts(rollouts))(
        model=parts_of.prepare(loaded.model, settings.parts, settings.seed),
        args=config,
        reward_funcs=reward,
        train_dataset=_prompts(samples, loaded.processor),
        processing_class=loaded.processor,
        callbacks=[Show()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, meter, rollouts


class Rollouts:
    """What resuming GRPO needs besides: the rollouts that are generated but not used up, and those written down so far."""

    def __init__(self, written: list[dict[str, Any]]):
        self.written = written

    def state(self, trainer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        import torch

        values, tensors = [], {}
        for number, row in enumerate(trainer._buffered_inputs or []):
            values.append({key: value for key, value in row.items() if not isinstance(value, torch.Tensor)})
            tensors |= {f"{number} {key}": value for key, value in row.items() if isinstance(value, torch.Tensor)}
        return {"step": trainer._step, "buffered": values, "written": self.written}, tensors

    def restore(self, trainer: Any, values: dict[str, Any], tensors: Mapping[str, Any]) -> None:
        trainer._step = values["step"]
        trainer._buffered_inputs = values["buffered"] or None
        for key, tensor in tensors.items():
            number, _, name = key.partition(" ")
            trainer._buffered_inputs[int(number)][name] = tensor.to(trainer.args.device)
        self.written[:] = values["written"]


def _prompts(samples: Sequence[Sample], processor: Any) -> Any:
    """Rows for GRPOTrainer: `prompt` messages, `images` and the row number; pixels are opened when asked for."""
    with_images = any(sample.images for sample in samples)

    def fill(rows: dict[str, list[int]]) -> dict[str, list[Any]]:
        chosen = [samples[i] for i in rows["row"]]
        filled: dict[str, list[Any]] = {"row": rows["row"], "prompt": [chat(s.prompt.messages, processor) for s in chosen]}
        if with_images:
            filled["images"] = [[images.open_image(ref) for m in s.prompt.messages for ref in m.images] for s in chosen]
        return filled

    return dataset(samples).with_transform(fill)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    names = {name: name for name in ("reward", "reward_std", "entropy", "loss")} | {"completions/mean_length": "answer_tokens"}
    return {"step": row["step"], **{new: round(float(row[old]), 4) for old, new in names.items() if old in row}}
