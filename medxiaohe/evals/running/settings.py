"""Settings of an evaluation: the tasks, the model, its decoding, and further measures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from medxiaohe import plugins
from medxiaohe.agents.parsing.prompts import prompt_files
from medxiaohe.errors import ConfigError
from medxiaohe.evals.reporting import peer_scorers
from medxiaohe.evals.running import other_readings
from medxiaohe.evals.running.workflows import chosen
from medxiaohe.models.players import Player
from medxiaohe.recipe.identity import Reads
from medxiaohe.recipe.settings import InputPath
from medxiaohe.retrieval.controls import Knowledge
from medxiaohe.scoring.judges.use import JudgeSettings
from medxiaohe.tasks import check_options, reads
from medxiaohe.tools.toolbox import describe_tools

BASELINES = ("random", "blind")  # the constant answer is always there


@dataclass(frozen=True)
class TaskRun:
    name: str
    limit: int | None = None  # the first items in the task's own order, which is shuffled
    split: str = "test"
    args: dict[str, Any] = field(default_factory=dict)
    label: str = ""  # the name in the results, when one task runs twice

    @property
    def shown(self) -> str:
        """Name of the task in the results.

        Returns:
            its label; without one the name of the task, or the stem of its file
        """
        return self.label or Path(self.name.partition(":")[0]).stem


@dataclass(frozen=True)
class Rewriter:
    """A model that rewrites questions for the perturbation `paraphrase`; without one that works by
    templates."""

    model: str = ""
    backend: str = "transformers"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSettings:
    tasks: tuple[TaskRun, ...] = ()  # names of `medxiaohe tasks`, or {name, limit, split, args}
    # for a model that is no earlier stage: starter, a folder, a hub id, a served name, file.py:function
    model: str = ""
    backend: str = "transformers"
    options: dict[str, Any] = field(default_factory=dict)  # of the backend: url, api_key_env, ...
    perplexity: int = 0  # how many test documents of the `data` stage to measure
    batch_size: int = 16
    max_new_tokens: int = 64
    seed: int = 0
    # rank: the most likely of the answer options, nothing is generated
    mode: Literal["generate", "rank"] = "generate"
    # {name: panel, rounds: 2, budget: {asks: 20}}: how each item is asked, instead of the task's workflow
    workflow: dict[str, Any] = field(default_factory=dict)
    # role of the workflow -> its model; `model` plays the roles that are not named
    cast: dict[str, Player] = field(default_factory=dict)
    tools: tuple[str, ...] = ()  # instead of the task's
    library: InputPath | None = None  # passages for the tool `search`, instead of the task's
    # more sources: `graph` for relations and neighbours, `cases` for similar_cases; NAME makes search_NAME
    stores: dict[str, InputPath] = field(default_factory=dict)
    # none, dead, exchanged, rewired: controls that a gain by knowledge has to beat (retrieval/controls.py)
    knowledge: Knowledge = "right"
    samples: int = 1  # answers drawn for each item; more than one needs a temperature
    temperature: float = 0.0  # of sampling; 0 takes the most likely token
    baselines: tuple[str, ...] = ()  # random, blind
    perturb: tuple[str, ...] = ()  # names of `medxiaohe list perturbations`, or all
    # the model that rewords questions for the perturbation `rewrite`
    rewriter: Rewriter = field(default_factory=Rewriter)
    confidence: bool = False  # calibration, from the likelihood of the answer options
    calibrate: int = 0  # validation items to fit a temperature and conformal sets on
    compat: tuple[str, ...] = ()  # published scorers to show beside ours (evals/reporting/peer_scorers.py)
    judge: JudgeSettings = field(default_factory=JudgeSettings)  # of scorers that need one, and of `parsers`
    # readings of the replies beside the strict one, which is the score: lenient, judge
    parsers: tuple[str, ...] = ()
    cache: bool = False  # replies of deterministic decoding are kept between runs
    min_items: int = 10  # of a tree node, to be reported

    def __post_init__(self) -> None:
        if not self.tasks and not self.perplexity:
            raise ConfigError("give `tasks`, or a number of documents as `perplexity`")
        if self.batch_size < 1 or self.max_new_tokens < 1 or self.perplexity < 0:
            raise ConfigError("batch_size and max_new_tokens must be at least 1, perplexity at least 0")
        if self.samples < 1 or self.temperature < 0 or self.calibrate < 0 or self.min_items < 1:
            raise ConfigError(
                "samples and min_items must be at least 1, temperature and calibrate at least 0"
            )
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError(
                f"{self.samples} samples of greedy decoding are one answer: set `temperature`, such as 0.7"
            )
        if self.mode == "rank" and (self.workflow or self.tools or self.cast):
            raise ConfigError("mode rank asks no workflow: leave out workflow, tools and cast")
        if self.mode == "rank" and (self.samples > 1 or self.temperature):
            raise ConfigError("mode rank draws nothing: leave `samples` at 1 and `temperature` at 0")
        describe_tools(self.tools)
        other_readings.check(self.parsers, self.judge)
        if wrong := [name for name in self.stores if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name)]:
            raise ConfigError(f"stores: {wrong[0]!r} is no name of a store: use small letters, digits and _")
        for name in self.baselines:
            if name not in BASELINES:
                raise ConfigError(f"no baseline {name!r}{plugins.nearest(name, BASELINES)}")
        for name in self.compat:
            if name not in peer_scorers.SCORERS:
                raise ConfigError(
                    f"no published scorer {name!r}{plugins.nearest(name, peer_scorers.SCORERS)}"
                )
        for name in self.perturb:
            if name != "all":
                plugins.load("perturbations", name)
        for task in self.tasks:
            instance = check_options(task.name, task.args)
            if workflow := str(self.workflow.get("name") or (instance.workflow if instance else "")):
                chosen(workflow, self.workflow).check_roles(self.cast)
            if task.limit is not None and task.limit < 1:
                raise ConfigError(f"the limit of task {task.shown!r} must be at least 1, not {task.limit}")
        if len({task.shown for task in self.tasks}) < len(self.tasks):
            raise ConfigError("two tasks have the same name: give one of them a `label`")

    def reads(self, inputs: Mapping[str, Path]) -> Reads:
        """Files and code that the tasks, scorers, tools and workflow read (recipe/identity.py).

        Args:
            inputs: role -> folder of a stage; `tree` and `data` are used.

        Returns:
            what the stage's identity depends on beside its settings
        """
        folders = {"tree": inputs.get("tree"), "data": inputs.get("data")}
        files = Reads(prompt_files(str(self.workflow.get("prompts") or "")))
        for task in self.tasks:
            for split in dict.fromkeys([task.split, *(["validation"] if self.calibrate else [])]):
                files |= reads(task.name, task.args, split=split, **folders)
        return files

    @property
    def perturbations(self) -> tuple[str, ...]:
        """Names of the perturbations.

        Returns:
            all that exist if `perturb` has "all"
        """
        return tuple(plugins.available("perturbations")) if "all" in self.perturb else self.perturb
