"""Stage: reinforcement learning over several turns with tools (MX-22, RWR-1, RWR-4, RWR-5), GRPO through TRL.

    metrics.jsonl    {step, reward, ..., rounds, cut_off, format, accuracy, query, confidence}
    rollouts.jsonl   {sample, answer, reward, parts, asked, rounds, ...} of every conversation

A turn is the model's; what a tool answers, text or image, is put behind it by the same render and carries no
loss: the gradient with respect to the logits of its tokens is exactly zero. Tools are those of the prompt's
task, those named in `tools`, and `search` where `retriever` names passages or a service. A retriever that is
down stops the run with RetrieverDown; the checkpoint before it is intact.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io, plugins, progress
from medxiaohe.agents._loop import Form, Talk, Use, started
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.backends.transformers import _generation, _special_ids
from medxiaohe.recipe.settings import InputPath, decisive
from medxiaohe.retrieval import passages
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.service import Service
from medxiaohe.rewards.rwr import RwrWeights
from medxiaohe.scoring.judges import use as judges
from medxiaohe.tasks import make
from medxiaohe.tools import tool
from medxiaohe.train.loop import faults, trackers
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.train.loop.fit import base_model, code, dataset, device, identity
from medxiaohe.train.loop.resume import resumable
from medxiaohe.train.rl import RLSettings
from medxiaohe.train.rollouts import answer_rewards, conversation_rewards, grpo
from medxiaohe.train.rollouts.grpo_trainer import rolling
from medxiaohe.train.rollouts.hints import hinted, share_at
from medxiaohe.train.rollouts.prompt_schedule import Schedule, in_batches
from medxiaohe.train.rollouts.rollout import Rollout, Turns, roll, stopping
from medxiaohe.types import Evidence, Prompt, Sample, Task, Tool

LABEL = "agentic reinforcement learning"
NEEDS = "tool_need.jsonl"  # of train.tool_need


@dataclass(frozen=True)
class Retriever:
    """Passages in a file (retrieval/passages.py), found by BM25, or a service that is asked over HTTP
    (retrieval/service.py)."""

    path: InputPath = ""
    url: str = ""
    privacy: Literal["local_only", "deid", "off"] = "local_only"
    top: int = 3  # passages for a query (RWR-1)

    def __post_init__(self) -> None:
        if self.path and self.url:
            raise ConfigError("a retriever has a path or a url: keep one")
        if self.top < 1:
            raise ConfigError(f"top must be at least 1, not {self.top}")


@dataclass(frozen=True)
class AgenticSettings(RLSettings):
    """`max_completion_length` is that of one turn; `max_length` that of a whole conversation."""

    form: Form = "rwr"  # rwr: Med-RwR's grammar; calls: the model's own tool calls
    # filtered: what train.tool_need says of each prompt
    use: Literal["none", "allowed", "forced", "filtered"] = "allowed"
    max_rounds: int = 3
    max_length: int = 1024
    max_completion_length: int = 64
    # beside those of the tasks: names of `medxiaohe list tools`, or mine/eye.py:eye
    tools: tuple[str, ...] = ()
    retriever: Retriever = field(default_factory=Retriever)
    earns: Literal["task", "rwr"] = "task"  # rwr: the paper's four rewards around the task's
    weights: RwrWeights = field(default_factory=RwrWeights)
    # mine/clip.py:near, a function of an image and a text, for the third term of the query reward
    similarity: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_rounds < 1 or self.max_length < 2:
            raise ConfigError("max_rounds must be at least 1 and max_length at least 2")
        if self.use_vllm:
            raise ConfigError(
                "use_vllm is for train.rl: conversations with tools are drawn by transformers, so leave"
                " it out"
            )
        if self.form == "rwr" and self.use != "none" and not (self.retriever.path or self.retriever.url):
            raise ConfigError(
                "the form rwr asks a retriever: give retriever.path or retriever.url, or set use to none"
            )


def agentic(
    settings: AgenticSettings, out: Path, *, data: Path, model: Path | None = None, tree: Path | None = None
) -> dict[str, Any]:
    """Train on `prompts.jsonl` of a mixture or of train.tool_need, whose rows are samples of tasks."""
    refuse_unchecked(data, settings.allow_contaminated, LABEL)
    base = base_model(settings, model)
    trackers.checked(settings.report_to)
    uses = use_of(settings, data)
    prompts = [sample for sample in io.read_samples(data / "prompts.jsonl") if uses(sample) is not None]
    samples = in_batches(prompts, grpo.prompts_of_a_generation(settings), settings.seed, mixed=True)
    if not samples:
        raise DataError(
            f"{LABEL}: {len(prompts)} prompts do not fill one batch: raise `prompts` in the mixture stage"
        )
    tasks = {name: make(name, tree) for name in sorted({s.source for s in samples})}
    tools = toolbox(settings.tools, settings.retriever)
    loaded = checkpoint.load(base, device())
    faults.agree(loaded)
    inputs = [io.content(data, name) for name in ("prompts.jsonl", NEEDS) if (data / name).is_file()]
    place = io.scratch(
        out, ["agentic", decisive(settings), inputs, identity(base), code(), answer_rewards.code()]
    )
    earned = conversation_rewards.Earning(
        answer_rewards.Rewarding(tasks, settings.reward),
        settings.form,
        settings.weights if settings.earns == "rwr" else None,
        tree,
        settings.similarity,
    )
    written = grpo.Rollouts()

    def start(sample: Sample) -> Talk:
        return started(sample.prompt, tools(sample.prompt, tasks[sample.source]), uses(sample) or "allowed")

    with trackers.tracking(settings.report_to, out), earned.earned.judge(tree) as judge_of_run:
        trainer, meter = _trainer(samples, start, tasks, earned, loaded, settings, place, written)
        before = parts_of.sizes(trainer.model)
        grpo.train(trainer, meter, written, settings, place, LABEL)
    found = grpo.finish(trainer, written, loaded, settings, out, LABEL)
    used = sum(row["parts"]["used"] for row in written.rows) / max(1, len(written.rows))
    judged = {"judge": judges.record(judge_of_run)} if judge_of_run is not None else {}
    return {**found, **before, "conversations_with_tools": round(used, 4), **judged}


agentic.together = True  # type: ignore[attr-defined]


def use_of(settings: AgenticSettings, data: Path) -> Callable[[Sample], Use | None]:
    """Whether a prompt is to be answered with tools; None: train.tool_need found nothing to learn from it."""
    if settings.use != "filtered":
        fixed: Use = settings.use
        return lambda _: fixed
    if not (data / NEEDS).is_file():
        raise ConfigError(
            f"use: filtered reads {NEEDS}, which {data} has not: wire a train.tool_need stage to needs.data"
        )
    needs = {row["id"]: row["need"] for row in io.read_jsonl(data / NEEDS)}
    return lambda sample: needs.get(sample.id) or None


def toolbox(names: Sequence[str], retriever: Retriever) -> Callable[[Prompt, Task], list[Tool]]:
    """The tools of a prompt. One that is made by a function with a parameter `pictures` gets those of the
    prompt."""
    searches = [search(retriever)] if retriever.path or retriever.url else []
    found = {name: plugins.load("tools", name) for name in names}

    def tools(prompt: Prompt, task: Task) -> list[Tool]:
        pictures = tuple(image for message in prompt.messages for image in message.images)
        wanted = [*names, *(name for name in task.tools if name not in found)]
        made = [_made(found.get(name) or plugins.load("tools", name), pictures) for name in wanted]
        return [*searches, *(one for one in made if not searches or one.name != searches[0].name)]

    return tools


def _made(found: Any, pictures: Sequence[Any]) -> Tool:
    if isinstance(found, Tool):
        return found
    made = found(pictures) if "pictures" in inspect.signature(found).parameters else found()
    if not isinstance(made, Tool):
        raise ConfigError(f"{getattr(found, '__name__', found)} is no tool: it made a {type(made).__name__}")
    return made


def search(retriever: Retriever) -> Tool:
    """The tool `search` over the passages or the service that the settings name."""
    index: Any = (
        Service(retriever.url, retriever.privacy)
        if retriever.url
        else BM25(passages.read(Path(retriever.path)))
    )

    @tool
    def search(query: str) -> tuple[Evidence, ...]:
        """Passages of the medical library that match the query, best first."""
        return tuple(index.search(query, retriever.top))

    return search


def _trainer(
    samples: Sequence[Sample],
    start: Callable[[Sample], Talk],
    tasks: dict[str, Task],
    earned: conversation_rewards.Earning,
    loaded: checkpoint.Loaded,
    settings: AgenticSettings,
    place: Path,
    written: grpo.Rollouts,
) -> tuple[Any, progress.Meter]:
    from transformers.trainer_callback import PrinterCallback
    from trl import GRPOTrainer

    meter = progress.Meter(LABEL, settings.max_steps)
    num_prompts = grpo.prompts_of_a_generation(settings)
    schedule = Schedule(
        samples, num_prompts, settings.num_generations, settings.rest, written.rows, mixed=True
    )
    pad, ends = _special_ids(loaded)
    generation = _generation(settings.max_completion_length, settings.temperature, pad, ends)
    turns = Turns(settings.form, settings.max_rounds, settings.max_length)

    def ask(number: int) -> Sample:
        """The `number`-th prompt of the run, with its hint."""
        share = share_at(number // num_prompts * settings.num_iterations, settings.hint_steps)
        return hinted(samples[schedule.prompt(number)], share)

    def rollouts(trainer: Any, numbers: Sequence[int]) -> list[Rollout]:
        import torch
        from trl.models import unwrap_model_for_generation

        def generate(inputs: dict[str, Any]) -> Any:
            moved = {name: tensor.to(trainer.accelerator.device) for name, tensor in inputs.items()}
            stops = stopping(loaded.processor, settings.form, inputs["input_ids"].shape[1])
            with (
                unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model,
                torch.no_grad(),
            ):
                return model.generate(**moved, generation_config=generation, stopping_criteria=stops)

        return roll([start(ask(number)) for number in numbers], loaded.processor, turns, generate, ends)

    def reward(prompts: Any, row: Sequence[int], **_: Any) -> list[float | None]:
        pairs = [(ask(number), one.talk) for number, one in zip(row, trainer.rolled, strict=True)]
        model = trainer.accelerator.unwrap_model(trainer.model)

        def gains(asked: Sequence[tuple[Sample, Talk]]) -> list[float | None]:
            return conversation_rewards.gains(
                asked, tasks, model, loaded.processor, settings.form, settings.per_device_train_batch_size
            )

        found = earned.of(pairs, gains)
        written.write(
            [
                record(sample, one, reward)
                for (sample, _), one, reward in zip(pairs, trainer.rolled, found, strict=True)
            ]
        )
        return [one.total for one in found]

    def record(sample: Sample, one: Rollout, found: Any) -> dict[str, Any]:
        parts = {
            **found.parts,
            "used": float(one.talk.used),
            "rounds": float(one.talk.rounds),
            "cut_off": float(bool(one.talk.error)),
        }
        said = answer_rewards.row(sample, one.talk.trace.answer, found, hybrid=True) | {"parts": parts}
        return said | {
            "asked": conversation_rewards.asked_for(one.talk, settings.form),
            "error": one.talk.error,
        }

    generations = math.ceil(settings.max_steps / settings.num_iterations)
    trainer = rolling(resumable(GRPOTrainer, place, written), rollouts)(
        model=parts_of.prepare(loaded.model, settings.parts, settings.seed),
        args=grpo.config(settings, place),
        reward_funcs=reward,
        train_dataset=_numbers(range(generations * num_prompts)),
        processing_class=loaded.processor,
        callbacks=[grpo.callback(meter, written, settings), faults.alarms(LABEL)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, meter


def _numbers(numbers: Sequence[int]) -> Any:
    """Rows for GRPOTrainer: the number of a prompt; what the prompt says is looked up by our rollouts."""

    def fill(rows: dict[str, list[int]]) -> dict[str, list[Any]]:
        return {
            "row": rows["row"],
            "prompt": [[{"role": "user", "content": f"prompt {number}"}] for number in rows["row"]],
        }

    return dataset(numbers).with_transform(fill)
