"""Stage: reinforcement learning over several turns with tools (MedXIAOHE; Med-RwR), GRPO through TRL.

    metrics.jsonl    {step, reward, ..., rounds, cut_off, format, accuracy, query, confidence}
    rollouts.jsonl   {sample, answer, reward, parts, asked, rounds, ...} of every conversation

A turn is the model's; what a tool answers, text or image, is put behind it by the same render and carries no
loss: the gradient with respect to the logits of its tokens is exactly zero. Tools are those of the prompt's
task, those named in `tools`, and `search` where `retriever` names passages or a service. A retriever that is
down stops the run with RetrieverDown; the checkpoint before it is intact.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io, plugins, progress
from medxiaohe.agents.engine import Cast, about, is_flow, options
from medxiaohe.agents.engine.tool_loop import Need
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.backends.transformers import generation, special_ids
from medxiaohe.models.players import Player, load_player
from medxiaohe.recipe.settings import InputPath, decisive
from medxiaohe.retrieval import assets
from medxiaohe.retrieval.library import open_library
from medxiaohe.rewards.rwr import RwrWeights
from medxiaohe.scoring.judges import use as judges
from medxiaohe.tasks import make
from medxiaohe.tools.toolbox import task_tools
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop import trackers, trainer_settings
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.train.loop.fit import base_model, code, device, identity
from medxiaohe.train.rl import RLSettings
from medxiaohe.train.rollouts import answer_rewards, conversation_rewards, grpo
from medxiaohe.train.rollouts.distillation import Distillation, Teacher, outcome
from medxiaohe.train.rollouts.grpo_trainer import episodes
from medxiaohe.train.rollouts.hints import hinted, share_at
from medxiaohe.train.rollouts.prompt_schedule import Schedule, in_batches
from medxiaohe.train.rollouts.rollout import Rollout, roll, stopping
from medxiaohe.train.rollouts.talk import FLOWS, Form, Talk
from medxiaohe.types import Sample, Task, Tool

LABEL = "agentic reinforcement learning"
NEEDS = "tool_need.jsonl"  # of train.tool_need


@dataclass(frozen=True)
class Retriever:
    """Passages in a file (retrieval/passages.py), found by BM25, or a service that is asked over HTTP
    (retrieval/service.py)."""

    path: InputPath = ""
    url: str = ""
    privacy: Literal["local_only", "deid", "off"] = "local_only"
    top: int = 3  # passages for a query (Med-RwR)

    def __post_init__(self) -> None:
        if self.path and self.url:
            raise ConfigError("a retriever has a path or a url: keep one")
        if self.top < 1:
            raise ConfigError(f"top must be at least 1, not {self.top}")


@dataclass(frozen=True)
class AgenticSettings(RLSettings):
    """`max_completion_length` is that of one turn; `max_length` that of a whole conversation."""

    form: Form = "rwr"  # rwr: Med-RwR's grammar; calls: the model's own tool calls
    # {name: mine/panel.py:panel, rounds: 2}: any workflow with its settings, instead of the one of the form
    workflow: dict[str, Any] = field(default_factory=dict)
    policy: str = ""  # the role that is trained; "" is the default role
    cast: dict[str, Player] = field(default_factory=dict)  # who plays the other roles; "" plays all of them
    # filtered: what train.tool_need says of each prompt
    use: Literal["none", "allowed", "forced", "filtered"] = "allowed"
    max_rounds: int = 3
    max_length: int = 1024  # tokens of a whole conversation at most
    max_completion_length: int = 64  # tokens of one turn at most
    # beside those of the tasks: names of `medxiaohe list tools`, or mine/eye.py:eye
    tools: tuple[str, ...] = ()
    retriever: Retriever = field(default_factory=Retriever)
    earns: Literal["task", "rwr"] = "task"  # rwr: the paper's four rewards around the task's
    # of the four rewards of `earns: rwr` (Med-RwR)
    weights: RwrWeights = field(default_factory=RwrWeights)
    # generations in which few turns call tools and turns are long, compared with the ones that called most,
    # after which training stops and says so (train/rollouts/watch.py); 0: never
    collapse: int = 10
    # a term from an average of the policy that knows the outcome (train/rollouts/distillation.py)
    distillation: Distillation = field(default_factory=Distillation)
    # mine/clip.py:near, a function of an image and a text, for the third term of the query reward
    similarity: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.collapse < 0:
            raise ConfigError("collapse must be at least 0")
        if self.max_rounds < 1 or self.max_length < 2:
            raise ConfigError("max_rounds must be at least 1 and max_length at least 2")
        if self.server.url:
            raise ConfigError(
                "server is for train.rl: conversations with tools are drawn by transformers, so leave it out"
            )
        if self.use_vllm:
            raise ConfigError(
                "use_vllm is for train.rl: conversations with tools are drawn by transformers, so leave"
                " it out"
            )
        if self.workflow:
            chosen = {key: value for key, value in self.workflow.items() if key != "name"}
            options(flow_of(self), chosen)
            if self.use in ("forced", "filtered"):
                needs_use(flow_of(self), self.use)
        for role in self.cast:
            if role == self.policy and role:
                raise ConfigError(f"the role {role!r} is the policy: leave it out of the cast")
        asks_retriever = not self.workflow and self.form == "rwr"
        if asks_retriever and self.use != "none" and not (self.retriever.path or self.retriever.url):
            raise ConfigError(
                "the form rwr asks a retriever: give retriever.path or retriever.url, or set use to none"
            )


def agentic(
    settings: AgenticSettings, out: Path, *, data: Path, model: Path | None = None, tree: Path | None = None
) -> dict[str, Any]:
    """Train on `prompts.jsonl` of a mixture or of train.tool_need, whose rows are samples of tasks.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture or of train.tool_need.
        model: folder of a training stage to start from; None: `settings.model`.
        tree: folder of a built tree, for tasks and rewards that need one.

    Returns:
        the summary of the stage: `steps`, rewards of first and last step, `conversations_with_tools`, ...

    Raises:
        ConfigError: a setting, workflow or tool that cannot be used.
        DataError: the prompts do not fill one batch, or were not compared with a test split.
    """
    refuse_unchecked(data, settings.allow_contaminated, LABEL)
    base = base_model(settings, model)
    trackers.checked(settings.report_to)
    trainer_settings.refuse(settings, device())
    uses = use_of(settings, data)
    prompts = [sample for sample in io.read_samples(data / "prompts.jsonl") if uses(sample) is not None]
    samples = in_batches(prompts, grpo.prompts_of_a_generation(settings), settings.seed)
    if not samples:
        raise DataError(
            f"{LABEL}: {len(prompts)} prompts do not fill one batch: raise `prompts` in the mixture stage"
        )
    tasks = {name: make(name, tree, from_data=True) for name in sorted({s.source for s in samples})}
    tools = tools_by_task(tasks, settings.tools, settings.retriever)
    master = settings.parts.language == "full"
    attention = settings.attn_implementation
    loaded = checkpoint.load(
        base, device(), thinking=settings.thinking, master=master, attn_implementation=attention
    )
    trainer_settings.refuse_kernels(settings, loaded.model.config.model_type)
    inputs = [io.content(data, name) for name in ("prompts.jsonl", NEEDS) if (data / name).is_file()]
    scratch = io.scratch(
        out,
        [
            "agentic",
            decisive(settings),
            inputs,
            identity(base),
            code(),
            answer_rewards.code(settings.reward.rules),
        ],
    )
    flow, chosen = flow_of(settings), {k: v for k, v in settings.workflow.items() if k != "name"}
    if not settings.workflow:
        chosen["rounds"] = settings.max_rounds
    earned = conversation_rewards.Earning(
        answer_rewards.Rewarding(tasks, settings.reward, tree),
        "rwr" if flow is FLOWS["rwr"] else "calls",
        settings.weights if settings.earns == "rwr" else None,
        tree,
        settings.similarity,
    )
    teacher = Teacher(settings.distillation, loaded.processor) if settings.distillation.coef else None
    written = grpo.Rollouts(teacher)

    def start(sample: Sample) -> Talk:
        """Start the conversation about a sample, with the tools of its task.

        Returns:
            A conversation that waits for the policy.
        """
        need = uses(sample) or "allowed"
        return Talk(sample.prompt, tools[sample.source], need, flow, chosen, settings.policy)

    with trackers.tracking(settings.report_to, out), earned.earned.judge(tree) as judge_of_run:
        trainer, meter = _trainer(samples, start, tasks, earned, loaded, settings, scratch, written)
        before = parts_of.sizes(trainer.model)
        conversations = (sample.prompt.messages for sample in samples)
        needed = grpo.estimated(trainer.model, conversations, loaded.processor, settings, settings.max_length)
        grpo.announce(LABEL, needed)
        grpo.train(trainer, meter, written, settings, scratch, LABEL)
    summary = grpo.finish(trainer, written, loaded, settings, out, LABEL, needed)
    used = sum(row["parts"]["used"] for row in written.rows) / max(1, len(written.rows))
    judged = {"judge": judges.record(judge_of_run)} if judge_of_run is not None else {}
    return {**summary, **before, "conversations_with_tools": round(used, 4), **judged}


agentic.together = True  # type: ignore[attr-defined]


def flow_of(settings: AgenticSettings) -> Any:
    """Load the workflow that the settings name, or the one of their form.

    Args:
        settings: of the stage.

    Returns:
        A workflow for one case.

    Raises:
        ConfigError: `workflow` has no name, or names a plug-in that is no generator of one case.
    """
    if not settings.workflow:
        return FLOWS[settings.form]
    name = settings.workflow.get("name")
    if not isinstance(name, str):
        raise ConfigError("workflow has no name: write workflow: {name: panel}")
    result = plugins.load("workflows", name)
    if not is_flow(result):
        raise ConfigError(f"the workflow {name} is no flow: put @workflow above a generator of one case")
    return result


def needs_use(flow: Any, use: str) -> None:
    """Check that a workflow can force tools or take them away.

    Args:
        flow: a workflow.
        use: the setting, for the message.

    Raises:
        ConfigError: the workflow has no setting `use`.
    """
    if "use" not in inspect.signature(about(flow).flow).parameters:
        raise ConfigError(f"use: {use} needs a workflow with a setting `use`, as answer and rwr have")


def cast_of(settings: AgenticSettings) -> Cast | None:
    """Load the models of the roles that are not trained.

    Args:
        settings: of the stage.

    Returns:
        Models by role; None where the policy plays every role.

    Raises:
        ConfigError: a player that cannot be loaded, or a role that the workflow does not have.
    """
    if not settings.cast:
        return None
    result = {role: load_player(player) for role, player in settings.cast.items()}
    return Cast(result, (*roles, settings.policy) if (roles := about(flow_of(settings)).roles) else None)


def use_of(settings: AgenticSettings, data: Path) -> Callable[[Sample], Need | None]:
    """Decide of each prompt whether it is answered with tools.

    Args:
        settings: of the stage.
        data: folder with tool_need.jsonl, for `use: filtered`.

    Returns:
        A function of a sample to "none", "allowed" or "forced"; None: train.tool_need left the prompt out.

    Raises:
        ConfigError: `use: filtered` without tool_need.jsonl.
    """
    if settings.use != "filtered":
        fixed: Need = settings.use
        return lambda _: fixed
    if not (data / NEEDS).is_file():
        raise ConfigError(
            f"use: filtered reads {NEEDS}, which {data} has not: wire a train.tool_need stage to needs.data"
        )
    needs = {row["id"]: row["need"] for row in io.read_jsonl(data / NEEDS)}
    return lambda sample: needs.get(sample.id) or None


def tools_by_task(
    tasks: Mapping[str, Task], names: Sequence[str], retriever: Retriever
) -> dict[str, tuple[Tool, ...]]:
    """Collect the tools of each task: `search` where there is a retriever, those the settings name, and its
    own.

    Args:
        tasks: by name.
        names: of further tools.
        retriever: passages or a service for `search`; without path and url there is no `search`.

    Returns:
        Tools by name of the task.

    Raises:
        ConfigError: an unknown tool, two of one name, or one whose resource is missing.
        DataError: a library that cannot be opened.
    """
    resources: dict[str, Any] = dict(assets.resources())
    if retriever.path or retriever.url:
        library = open_library(retriever.path, retriever.url, retriever.privacy)
        names = ["search", *names]
        resources |= {"search.library": library, "search.top": retriever.top}
    resources["privacy"] = retriever.privacy
    return {name: task_tools(task, names, resources) for name, task in tasks.items()}


def _trainer(
    samples: Sequence[Sample],
    start: Callable[[Sample], Talk],
    tasks: dict[str, Task],
    earned: conversation_rewards.Earning,
    loaded: checkpoint.Loaded,
    settings: AgenticSettings,
    work: Path,
    written: grpo.Rollouts,
) -> tuple[Any, progress.Meter]:
    meter = progress.Meter(LABEL, settings.max_steps)
    num_prompts = grpo.prompts_of_a_generation(settings)
    schedule = Schedule(samples, num_prompts, settings.num_generations, settings.rest, written.rows)
    _, ends = special_ids(loaded)
    sampling = generation(loaded, settings.max_completion_length, settings.temperature)
    cast = cast_of(settings)

    def ask(number: int) -> Sample:
        """Look up the `number`-th prompt of the run, with its hint.

        Returns:
            The sample; its hint fades with the optimizer step.
        """
        share = share_at(number // num_prompts * settings.num_iterations, settings.hint_steps)
        return hinted(samples[schedule.prompt(number)], share)

    def rollouts(trainer: Any, numbers: Sequence[int]) -> list[Rollout]:
        """Run the conversations about the prompts of these numbers to their end.

        Returns:
            Token rows in the order of the numbers.
        """
        generate = grpo.generator(trainer, sampling, partial(stopping, loaded.processor))
        talks = [start(ask(number)) for number in numbers]
        return roll(talks, loaded.processor, settings.max_length, generate, ends, cast)

    def reward(prompts: Any, row: Sequence[int], **_: Any) -> list[float | None]:
        """Score the conversations in hand; the row of each is written to the rollouts.

        Returns:
            Rewards in the order of `row`; None where an answer could not be judged.
        """
        talks = [episode.talk for episode in episodes(trainer.rolled)]
        pairs = [(ask(number), talk) for number, talk in zip(row, talks, strict=True)]
        model = trainer.accelerator.unwrap_model(trainer.model)

        def gains(conversations: Sequence[tuple[Sample, Talk]]) -> list[float | None]:
            """Compute the confidence gains with the policy's current weights.

            Returns:
                Nats a token, in order.
            """
            return conversation_rewards.gains(
                conversations, tasks, model, loaded.processor, settings.per_device_train_batch_size
            )

        rewards = earned.of(pairs, gains)
        if written.teacher is not None:
            written.teacher.outcomes = {
                id(talk): outcome(tasks[sample.source].gold(sample), item_reward.total)
                for (sample, talk), item_reward in zip(pairs, rewards, strict=True)
            }
        sampled = conversation_rewards.sampled_tokens(trainer.rolled)
        written.write(
            [
                record(sample, talk, reward, sampled[id(talk)])
                for (sample, talk), reward in zip(pairs, rewards, strict=True)
            ]
        )
        return [item.total for item in rewards]

    def record(sample: Sample, talk: Talk, earned_reward: Any, tokens: int) -> dict[str, Any]:
        """Format a row of rollouts.jsonl.

        Returns:
            {sample, answer, reward, parts, asked, error, ...}
        """
        parts = {
            **earned_reward.parts,
            **talk.measured(tokens),
            "used": float(talk.used),
            "rounds": float(talk.rounds),
            "cut_off": float(bool(talk.error)),
        }
        answer = answer_rewards.row(sample, talk.trace.answer, earned_reward, hybrid=True) | {"parts": parts}
        return answer | {
            "asked": conversation_rewards.asked_for(talk, earned.form),
            "error": talk.error,
        }

    trainer = grpo.build(
        settings, loaded, work, written, rollouts=rollouts, reward=reward, meter=meter, label=LABEL
    )
    return trainer, meter
