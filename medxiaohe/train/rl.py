"""Stage: reinforcement learning with a verifiable reward (MX-29), GRPO through TRL.

A task is a benchmark and an environment: the reward of an answer is the task's own scorer on the train
split, or the hybrid reward around it. An answer that nobody could judge (`unjudged`) is passed to TRL as None and takes no part.
The rollout's prompt is rendered by the same chat template as everything else; a test holds the tokens equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from medxiaohe import images, io, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.render import chat
from medxiaohe.recipe.settings import HOW, decisive
from medxiaohe.scoring.judges import use
from medxiaohe.tasks import make
from medxiaohe.train import parts as parts_of
from medxiaohe.train import rewarding, watch
from medxiaohe.train.fit import base_model, code, dataset, device, identity, refuse_nan
from medxiaohe.train.hints import hinted, share_at
from medxiaohe.train.resume import newest, restore, resumable
from medxiaohe.train.rewarding import Rewarding, RewardSettings
from medxiaohe.train.schedule import Schedule, in_batches
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
    loss_type: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = "dapo"  # dapo: the mean over all tokens of the batch
    scale_rewards: Literal["group", "batch", "none"] = "group"
    mask_truncated_completions: bool = False
    entropy_coef: float = 0.0
    entropy_target: float = 0.0  # nats a token: below it entropy_coef grows by entropy_coef_delta a step, above it falls; 0: it stays
    entropy_coef_delta: float = 0.005
    entropy_coef_max: float = 1.0
    beta: float = 0.0
    num_iterations: int = 1  # optimizer steps that use the rollouts of one generation
    reward: RewardSettings = field(default_factory=RewardSettings)
    hint_steps: int = 0  # hints fade over so many steps (MX-32); 0: none
    rest: int = 0  # generations that a prompt is left out after its answers were all right or all wrong
    patience: int = 20  # generations in a row without a signal, after which training stops and says why; 0: never
    seed: int = 0
    save_steps: Annotated[int, HOW] = 20  # a killed run goes on from its newest checkpoint, rollouts in use included

    def __post_init__(self) -> None:
        if self.save_steps < 1:
            raise ConfigError(f"save_steps must be at least 1, not {self.save_steps}")
        if min(self.hint_steps, self.rest, self.patience, self.entropy_target) < 0:
            raise ConfigError("hint_steps, rest, patience and entropy_target must be at least 0")
        if self.num_generations < 2 or self.per_device_train_batch_size % self.num_generations:
            raise ConfigError(
                f"per_device_train_batch_size {self.per_device_train_batch_size} must be a multiple of"
                f" num_generations {self.num_generations}, which is at least 2"
            )


def rl(settings: RLSettings, out: Path, *, data: Path, model: Path | None = None, tree: Path | None = None) -> dict[str, Any]:
    """Train on `prompts.jsonl` of a mixture, whose rows are samples of tasks, with the tasks' scorers as reward."""
    base = base_model(settings, model)
    prompts = list(io.read_samples(data / "prompts.jsonl"))
    samples = in_batches(prompts, settings.per_device_train_batch_size // settings.num_generations, settings.seed)
    if not samples:
        raise DataError(f"reinforcement learning: {len(prompts)} prompts do not fill one batch: raise `prompts` in the mixture stage")
    tasks = {name: make(name, tree) for name in sorted({s.source for s in samples})}
    loaded = checkpoint.load(base, device())
    place = io.scratch(out, ["rl", decisive(settings), io.sha256(data / "prompts.jsonl"), identity(base), code(), rewarding.code()])
    earned = Rewarding(tasks, settings.reward)
    written = Rollouts()
    trainer, meter = _trainer(samples, earned, loaded, settings, place, written)
    before = parts_of.sizes(trainer.model)
    found = newest(place)
    meter.advance(int(Path(found).name) if found else 0)
    with earned.judge(tree) as judge_of_run:
        if found and (int(Path(found).name) >= settings.max_steps or stopped(found)):
            restore(trainer, found, written)
        else:
            trainer.train(resume_from_checkpoint=found)
    meter.close()
    history = [row for row in trainer.state.log_history if "reward" in row]
    size = settings.per_device_train_batch_size
    parts = [watch.components(written.rows, row["step"], size, settings.num_iterations) for row in history]
    io.write_jsonl(out / "metrics.jsonl", (_row(row) | more for row, more in zip(history, parts, strict=True)))
    io.write_jsonl(out / "rollouts.jsonl", written.rows)
    trained = parts_of.merged(trainer.model)
    refuse_nan(trained, "reinforcement learning")
    checkpoint.save(checkpoint.Loaded(trained, loaded.processor, base), out / "model")
    half = max(1, len(history) // 2)
    return {
        "base": base,
        "steps": trainer.state.global_step,
        "prompts": len({row["sample"] for row in written.rows}),
        "rollouts": len(written.rows),
        **before,
        "loss_first": round(history[0]["loss"], 4),
        "loss_last": round(history[-1]["loss"], 4),
        "reward_first": _mean([r["reward"] for r in history[:half]]),  # mean of the first half of the steps
        "reward_last": _mean([r["reward"] for r in history[-half:]]),
        "groups_without_signal": round(sum(r.get("frac_reward_zero_std", 0.0) for r in history) / len(history), 4),
        **({"stopped": written.stopped} if written.stopped else {}),
        **({"judge": use.record(judge_of_run)} if judge_of_run is not None else {}),
    }


def _mean(values: Sequence[float]) -> float | None:
    """Of steps in which an answer could be judged."""
    judged = [value for value in values if math.isfinite(value)]
    return round(sum(judged) / len(judged), 4) if judged else None


def judge(task: Task, sample: Sample, answer: str) -> Score:
    """The score of an answer by the task's first scorer: the reward."""
    return task.scorers[0](sample, Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,)))))


def _trainer(
    samples: Sequence[Sample], earned: Rewarding, loaded: checkpoint.Loaded, settings: RLSettings, place: Path, written: Rollouts
) -> tuple[Any, progress.Meter]:
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
        loss_type=settings.loss_type,
        scale_rewards=settings.scale_rewards,
        mask_truncated_completions=settings.mask_truncated_completions,
        entropy_coef=settings.entropy_coef,
        use_adaptive_entropy=settings.entropy_target > 0,
        entropy_target=settings.entropy_target,
        entropy_coef_delta=settings.entropy_coef_delta,
        entropy_coef_max=settings.entropy_coef_max,
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
    num_prompts = settings.per_device_train_batch_size // settings.num_generations
    schedule = Schedule(samples, num_prompts, settings.num_generations, settings.rest, written.rows)

    def ask(number: int) -> tuple[Sample, float]:
        """The `number`-th prompt of the run, with the share of its hint."""
        share = share_at(number // num_prompts * settings.num_iterations, settings.hint_steps)
        return hinted(samples[schedule.prompt(number)], share), share

    def reward(prompts: Any, completions: Any, row: Sequence[int], **_: Any) -> list[float | None]:
        answers = [one[-1]["content"] if isinstance(one, list) else one for one in completions]
        asked = [ask(number) for number in row]
        found = earned.of([sample for sample, _ in asked], answers)
        for (sample, share), answer, one in zip(asked, answers, found, strict=True):
            said = rewarding.row(sample, answer, one, settings.reward.kind == "hybrid")
            written.rows.append(said | ({"hint": round(share, 4)} if settings.hint_steps else {}))
        return [one.total for one in found]

    class Show(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _: Any, __: Any, control: Any, **___: Any) -> None:
            meter.advance()
            written.stopped = watch.diagnosis(written.rows, num_prompts, settings.num_generations, settings.patience)
            control.should_training_stop = control.should_training_stop or bool(written.stopped)

    generations = math.ceil(settings.max_steps / settings.num_iterations)
    trainer = resumable(GRPOTrainer, place, written)(
        model=parts_of.prepare(loaded.model, settings.parts, settings.seed),
        args=config,
        reward_funcs=reward,
        train_dataset=_prompts(ask, range(generations * num_prompts), any(s.images for s in samples), loaded.processor),
        processing_class=loaded.processor,
        callbacks=[Show()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, meter


class Rollouts:
    """What resuming GRPO needs besides: the rollouts that are generated but not used up, those written down so far, and the
    coefficient of an entropy bonus that adapts. Hints, rests and the diagnosis follow from the rollouts written down."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.stopped = ""  # why training stopped before its last step

    def state(self, trainer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        import torch

        values: list[dict[str, Any]] = []
        tensors: dict[str, Any] = {}
        for number, row in enumerate(trainer._buffered_inputs or []):
            values.append({key: value for key, value in row.items() if not isinstance(value, torch.Tensor)})
            tensors |= {f"{number} {key}": value for key, value in row.items() if isinstance(value, torch.Tensor)}
        seen = trainer._last_world_entropy if trainer.use_adaptive_entropy else math.inf
        entropy = [trainer.entropy_coef, seen if math.isfinite(seen) else None]
        return {"step": trainer._step, "buffered": values, "written": self.rows, "entropy": entropy, "stopped": self.stopped}, tensors

    def restore(self, trainer: Any, values: dict[str, Any], tensors: Mapping[str, Any]) -> None:
        trainer._step = values["step"]
        trainer._buffered_inputs = values["buffered"] or None
        for key, tensor in tensors.items():
            number, _, name = key.partition(" ")
            trainer._buffered_inputs[int(number)][name] = tensor.to(trainer.args.device)
        self.rows[:], self.stopped = values["written"], values["stopped"]
        trainer.entropy_coef, seen = values["entropy"]
        trainer._last_world_entropy = math.inf if seen is None else seen


def stopped(folder: str) -> bool:
    """Whether the run of a checkpoint had stopped by itself at that step."""
    return bool(io.read_json(Path(folder) / "rank0" / "extra.json")["stopped"])


def _prompts(ask: Callable[[int], tuple[Sample, float]], numbers: Sequence[int], with_images: bool, processor: Any) -> Any:
    """Rows for GRPOTrainer: `prompt` messages, `images` and the row number; a prompt is made and pixels opened when asked for."""

    def fill(rows: dict[str, list[int]]) -> dict[str, list[Any]]:
        chosen = [ask(number)[0] for number in rows["row"]]
        filled: dict[str, list[Any]] = {"row": rows["row"], "prompt": [chat(s.prompt.messages, processor) for s in chosen]}
        if with_images:
            filled["images"] = [[images.open_image(ref) for m in s.prompt.messages for ref in m.images] for s in chosen]
        return filled

    return dataset(numbers).with_transform(fill)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    names = {name: name for name in ("reward", "reward_std", "entropy", "entropy_coef", "loss")} | {
        "completions/mean_length": "answer_tokens"
    }
    found = {new: float(row[old]) for old, new in names.items() if old in row}
    return {"step": row["step"], **{name: round(value, 4) for name, value in found.items() if math.isfinite(value)}}
