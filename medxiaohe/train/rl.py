"""Stage: reinforcement learning with a verifiable reward (MedXIAOHE), GRPO through TRL.

A task is a benchmark and an environment: the reward of an answer is the task's own scorer on the train
split, or the hybrid reward around it. An answer that could not be judged (`unjudged`) is passed to TRL as
None and takes no part. The rollout's prompt is rendered by the same chat template as everything else; a test
compares the tokens. Several processes (torchrun) share one schedule of prompts and all rewards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from medxiaohe import images, io, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.backends.transformers import generation, special_ids
from medxiaohe.models.render import Thinking, render_prompt
from medxiaohe.recipe.settings import HOW, decisive
from medxiaohe.scoring.judges import use
from medxiaohe.tasks import make
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop import trackers, trainer_settings
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.train.loop.fit import base_model, code, device, identity
from medxiaohe.train.loop.trainer_settings import TrainerSettings
from medxiaohe.train.rollouts import answer_rewards, grpo
from medxiaohe.train.rollouts.answer_rewards import Rewarding, RewardSettings
from medxiaohe.train.rollouts.grpo import Rollouts
from medxiaohe.train.rollouts.hints import hinted, share_at
from medxiaohe.train.rollouts.prompt_schedule import Schedule, in_batches
from medxiaohe.train.rollouts.prompt_tasks import ScoresPrompts
from medxiaohe.train.rollouts.served_policy import (
    PolicyServer,
    ServedPolicy,
    refuse_what_cannot_be_served,
)
from medxiaohe.train.rollouts.single_turn import Answered, answered, answers
from medxiaohe.types import Message, Sample, Score, Task, Trace

LABEL = "reinforcement learning"


@dataclass(frozen=True)
class RLSettings(TrainerSettings, ScoresPrompts):
    """Names are those of TRL's GRPOConfig. One step sees `per_device_train_batch_size *
    gradient_accumulation_steps` answers, `num_generations` to each prompt; `per_device_train_batch_size` of
    them go through the model together. The step is the same whatever their product is made of."""

    model: str = ""
    thinking: Thinking = "auto"  # whether the chat template asks for thoughts; auto: as it does by itself
    parts: parts_of.Parts = field(default_factory=lambda: parts_of.Parts(projector=False))
    learning_rate: float = 1e-4
    num_generations: int = 4  # answers to each prompt (the group of GRPO)
    per_device_train_batch_size: int = 16
    gradient_accumulation_steps: int = 1  # passes whose gradients make one step
    max_steps: int = 10
    max_completion_length: int = 8  # tokens of an answer at most
    temperature: float = 1.0
    epsilon_high: float = 0.28  # clip-higher, as in DAPO
    # dapo: the mean over all tokens of the batch
    loss_type: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = "dapo"
    # advantages are divided by the standard deviation of the group, the batch, or not
    scale_rewards: Literal["group", "batch", "none"] = "group"
    mask_truncated_completions: bool = False  # answers cut at the token limit give no gradient
    entropy_coef: float = 0.0  # weight of the entropy bonus
    # nats a token: below it entropy_coef grows by entropy_coef_delta a step, above it falls; 0: it stays
    entropy_target: float = 0.0
    entropy_coef_delta: float = 0.005  # change of entropy_coef in a step
    entropy_coef_max: float = 1.0  # largest entropy_coef
    gradient_checkpointing: bool | None = None  # recompute activations; null: on an accelerator
    beta: float = 0.0  # weight of the KL penalty to the model that training starts from; 0: none
    num_iterations: int = 1  # optimizer steps that use the rollouts of one generation
    reward: RewardSettings = field(default_factory=RewardSettings)
    hint_steps: int = 0  # hints fade over so many steps (MedXIAOHE); 0: none
    rest: int = 0  # generations that a prompt is left out after its answers were all right or all wrong
    # generations in a row without a signal, after which training stops and says why; 0: never
    patience: int = 20
    use_vllm: bool = False  # answers are drawn by vLLM on the same GPU (extra vllm), not by transformers
    vllm_gpu_memory_utilization: float = 0.3  # share of the GPU's memory that vLLM takes
    server: PolicyServer = field(default_factory=PolicyServer)  # a vLLM server that draws the answers
    seed: int = 0
    allow_contaminated: bool = False  # learn from prompts that were compared with no test split
    # a killed run continues from its newest checkpoint, rollouts in use included
    save_steps: Annotated[int, HOW] = 20
    report_to: Annotated[tuple[str, ...], HOW] = ()  # trackers, such as tensorboard: train/loop/trackers.py

    def __post_init__(self) -> None:
        if self.save_steps < 1:
            raise ConfigError(f"save_steps must be at least 1, not {self.save_steps}")
        if self.server.url:
            refuse_what_cannot_be_served(self.parts)
            if self.use_vllm:
                raise ConfigError("server.url and use_vllm both say who draws the answers: keep one")
        if min(self.hint_steps, self.rest, self.patience, self.entropy_target) < 0:
            raise ConfigError("hint_steps, rest, patience and entropy_target must be at least 0")
        if self.beta and self.parts.language == "lora" and (self.parts.projector or self.parts.vision):
            raise ConfigError(
                "beta compares with the model without its adapters, and a projector or vision tower that is"
                " trained would move that too: set beta to 0, or train the language model with lora alone"
            )
        if min(self.per_device_train_batch_size, self.gradient_accumulation_steps) < 1:
            raise ConfigError(
                "per_device_train_batch_size and gradient_accumulation_steps must be at least 1, not"
                f" {self.per_device_train_batch_size} and {self.gradient_accumulation_steps}"
            )
        size = self.per_device_train_batch_size * self.gradient_accumulation_steps
        if self.num_generations < 2 or size % self.num_generations:
            raise ConfigError(
                f"per_device_train_batch_size {self.per_device_train_batch_size} times"
                f" gradient_accumulation_steps {self.gradient_accumulation_steps} must be a multiple of"
                f" num_generations {self.num_generations}, which is at least 2"
            )


def rl(
    settings: RLSettings, out: Path, *, data: Path, model: Path | None = None, tree: Path | None = None
) -> dict[str, Any]:
    """Train on `prompts.jsonl` of a mixture, whose rows are samples of tasks, with the tasks' scorers as
    reward.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.
        model: folder of a training stage to start from; None: `settings.model`.
        tree: folder of a built tree, for tasks and rewards that need one.

    Returns:
        the summary of the stage: `steps`, `reward_first`, `reward_last`, `stopped`, ...

    Raises:
        DataError: the prompts do not fill one batch, or were not compared with a test split.
    """
    refuse_unchecked(data, settings.allow_contaminated, LABEL)
    base = base_model(settings, model)
    trackers.checked(settings.report_to)
    trainer_settings.refuse(settings, device())
    prompts = list(io.read_samples(data / "prompts.jsonl"))
    samples = in_batches(prompts, grpo.prompts_of_a_generation(settings), settings.seed)
    if not samples:
        raise DataError(
            f"{LABEL}: {len(prompts)} prompts do not fill one batch: raise `prompts` in the mixture stage"
        )
    tasks = {name: make(name, tree, from_data=True) for name in sorted({s.source for s in samples})}
    master = settings.parts.language == "full"
    attention = settings.attn_implementation
    loaded = checkpoint.load(
        base, device(), thinking=settings.thinking, master=master, attn_implementation=attention
    )
    trainer_settings.refuse_kernels(settings, loaded.model.config.model_type)
    scratch = io.scratch(
        out,
        [
            "rl",
            decisive(settings),
            io.content(data, "prompts.jsonl"),
            identity(base),
            code(),
            answer_rewards.code(settings.reward.rules),
        ],
    )
    earned = Rewarding(tasks, settings.reward, tree)
    written = Rollouts()
    with trackers.tracking(settings.report_to, out), earned.judge(tree) as judge_of_run:
        trainer, meter = _trainer(samples, earned, loaded, settings, scratch, written)
        before = parts_of.sizes(trainer.model)
        conversations = (sample.prompt.messages for sample in samples)
        needed = grpo.estimated(trainer.model, conversations, loaded.processor, settings)
        grpo.announce(LABEL, needed)
        grpo.train(trainer, meter, written, settings, scratch, LABEL)
    summary = grpo.finish(trainer, written, loaded, settings, out, LABEL, needed)
    return {**summary, **before, **({"judge": use.record(judge_of_run)} if judge_of_run is not None else {})}


rl.together = True  # type: ignore[attr-defined]


def judge(task: Task, sample: Sample, answer: str) -> Score:
    """Score an answer by the task's first scorer: the reward.

    Args:
        task: of the sample.
        sample: the prompt with its gold answer.
        answer: text of the policy.

    Returns:
        The score; `value` is None where the answer could not be judged.
    """
    return task.scorers[0](
        sample, Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))
    )


def _trainer(
    samples: Sequence[Sample],
    earned: Rewarding,
    loaded: checkpoint.Loaded,
    settings: RLSettings,
    work: Path,
    written: Rollouts,
) -> tuple[Any, progress.Meter]:
    meter = progress.Meter(LABEL, settings.max_steps)
    num_prompts = grpo.prompts_of_a_generation(settings)
    schedule = Schedule(samples, num_prompts, settings.num_generations, settings.rest, written.rows)

    def ask(number: int) -> tuple[Sample, float]:
        """Look up the `number`-th prompt of the run, with the share of its hint.

        Returns:
            (sample with its hint, share from 0 to 1)
        """
        share = share_at(number // num_prompts * settings.num_iterations, settings.hint_steps)
        return hinted(samples[schedule.prompt(number)], share), share

    def reward(prompts: Any, completions: Any, row: Sequence[int], **_: Any) -> list[float | None]:
        """Score the completions of a generation; the row of each is written to the rollouts.

        Returns:
            Rewards in the order of `row`; None where an answer could not be judged.
        """
        answers = [
            completion[-1]["content"] if isinstance(completion, list) else completion
            for completion in completions
        ]
        hinted_samples = [ask(number) for number in row]
        rewards = earned.of([sample for sample, _ in hinted_samples], answers)
        rows = [
            answer_rewards.row(sample, answer, item_reward, settings.reward.kind == "hybrid")
            | ({"hint": round(share, 4)} if settings.hint_steps else {})
            for (sample, share), answer, item_reward in zip(hinted_samples, answers, rewards, strict=True)
        ]
        written.write(rows)
        return [item.total for item in rewards]

    _, ends = special_ids(loaded)
    sampling = generation(loaded, settings.max_completion_length, settings.temperature)
    served = None
    if settings.server.url:
        served = ServedPolicy(
            settings.server,
            loaded.processor,
            work,
            max_new_tokens=settings.max_completion_length,
            temperature=settings.temperature,
            seed=settings.seed,
        )

    def rollouts(trainer: Any, numbers: Sequence[int]) -> list[Answered]:
        """Draw an answer to each prompt: by a server, by vLLM on the same GPU, or by transformers.

        Returns:
            Token rows in the order of the numbers.
        """
        talks = [ask(number)[0].prompt.messages for number in numbers]
        prompts = [render_prompt(messages, loaded.processor) for messages in talks]
        if served is not None:
            drawn_there = served.draw(trainer, talks, prompts, numbers)
            return [
                answered(prompt, answer.tokens, loaded.processor, ends, answer.logprobs)
                for prompt, answer in zip(prompts, drawn_there, strict=True)
            ]
        if settings.use_vllm:
            pictures = [[images.open_image(ref) for m in messages for ref in m.images] for messages in talks]
            drawn, logprobs = trainer._generate_single_turn(
                [list(prompt.tokens) for prompt in prompts],
                pictures if any(pictures) else None,
                {},
                settings.num_generations,
            )
            rows = zip(prompts, drawn, logprobs, strict=True)
            return [answered(prompt, new, loaded.processor, ends, own) for prompt, new, own in rows]
        return answers(prompts, loaded.processor, grpo.generator(trainer, sampling), ends)

    trainer = grpo.build(
        settings, loaded, work, written, rollouts=rollouts, reward=reward, meter=meter, label=LABEL
    )
    return trainer, meter
