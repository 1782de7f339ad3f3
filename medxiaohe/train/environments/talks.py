"""Samples of a task and conversations of a workflow about them: the basis of every environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medxiaohe import plugins
from medxiaohe.agents.engine import Cast, about, is_flow
from medxiaohe.errors import ConfigError
from medxiaohe.retrieval.resources import resources
from medxiaohe.tasks import make
from medxiaohe.tools.toolbox import task_tools
from medxiaohe.train.rollouts.talk import Talk, answer_others
from medxiaohe.types import Sample, Score, Task, Tool, Trace


@dataclass
class Talks:
    """Samples of a task, and how a conversation about one is run.

    Attributes:
        task: name of a task (`medxiaohe list tasks`), or FILE.py:NAME.
        split: of the task; `train` for training.
        workflow: name of a workflow (`medxiaohe list workflows`), or FILE.py:NAME.
        settings: of the workflow.
        tools: names of tools besides those of the task.
        library: passages that `search` searches.
        stores: further sources by name, as in `eval run`.
        policy: the role that the environment's agent plays; "" is the default role.
        cast: models of the other roles.
        limit: samples; 0: all.
    """

    task: str
    split: str = "train"
    workflow: str = "answer"
    settings: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[str] = ()
    library: str = ""
    stores: Mapping[str, str] = field(default_factory=dict)
    policy: str = ""
    cast: Mapping[str, Any] = field(default_factory=dict)
    limit: int = 0

    def __post_init__(self) -> None:
        self.made: Task = make(self.task)
        self.samples: list[Sample] = list(self.made.samples(self.split))[: self.limit or None]
        self.flow = plugins.load("workflows", self.workflow)
        if not is_flow(self.flow):
            raise ConfigError(f"the workflow {self.workflow} is no flow: put @workflow above a generator")
        self.opened: tuple[Tool, ...] = task_tools(
            self.made, self.tools, resources(self.library or None, self.stores)
        )
        roles = about(self.flow).roles
        self._cast = Cast(dict(self.cast), (*roles, self.policy) if roles else None) if self.cast else None

    def start(self, sample: Sample) -> Talk:
        """Start a conversation about a sample and run it until the policy is asked.

        Args:
            sample: of the task.

        Returns:
            A conversation that waits for the policy, or is done.

        Raises:
            ConfigError: a role is asked that nobody plays.
        """
        talk = Talk(sample.prompt, self.opened, "allowed", self.flow, self.settings, self.policy)
        self.others(talk)
        return talk

    def others(self, talk: Talk) -> None:
        """Let the models of the other roles answer.

        Args:
            talk: the conversation.

        Raises:
            ConfigError: a role is asked that nobody plays.
        """
        answer_others([talk], self._cast)

    def score(self, sample: Sample, trace: Trace) -> Score:
        """Score a trace by the task's first scorer.

        Args:
            sample: that the conversation is about.
            trace: of the conversation.

        Returns:
            The score; `value` is None where the answer could not be judged.
        """
        return self.made.scorers[0](sample, trace)
