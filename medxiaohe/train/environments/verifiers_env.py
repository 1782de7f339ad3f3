"""A task with its workflow and tools as an environment of verifiers 0.4 (`verifiers.v1`; extra `verifiers`).

verifiers finds an environment by the name of a module, so a file of one line on its path makes one:

    # medxiaohe_talks.py
    from medxiaohe.train.environments.verifiers_env import *

`TalkTaskset` yields the samples of a task, and scores with its scorer. `TalkHarness` runs the workflow in
this process: every request to a model goes to the interception server of the rollout, which records tokens
for the trainer; tools are those of the toolbox, bound to the sample's images. Under another harness the
taskset is the prompt and the score alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import verifiers.v1 as vf

from medxiaohe import io
from medxiaohe.agents.engine import run
from medxiaohe.models import wire
from medxiaohe.models.backends.openai_compatible import openai_compatible
from medxiaohe.train.environments.talks import Talks
from medxiaohe.types import Message, Sample, Trace

KEY = "MEDXIAOHE_ROLLOUT_{}"  # variable of this process that holds the key of one rollout, while it runs
_finished: dict[str, Trace] = {}  # id of a rollout -> what the workflow made of it, until it is scored


class TalkData(vf.TaskData):  # type: ignore[misc]
    """One sample: its prompt, and the row that its scorer reads."""

    row: dict[str, Any] = {}


class TalkConfig(vf.TaskConfig):  # type: ignore[misc]
    """What `Talks` takes; the harness reads it from here."""

    task_name: str = "everyday"
    split: str = "test"
    workflow: str = "answer"
    settings: dict[str, Any] = {}
    tools: list[str] = []
    library: str = ""
    stores: dict[str, str] = {}
    limit: int = 0

    def talks(self) -> Talks:
        """Open the samples, workflow and tools of this configuration.

        Returns:
            Samples and how a conversation about one is run.
        """
        return Talks(
            self.task_name, self.split, self.workflow, self.settings, self.tools, self.library, self.stores,
            limit=self.limit,
        )  # fmt: skip


class TalkTask(vf.Task[TalkData, vf.State, TalkConfig]):  # type: ignore[misc]
    """A sample of a task, with its scorer as the reward."""

    @vf.reward(weight=1.0)  # type: ignore[untyped-decorator]
    async def task_score(self, trace: vf.Trace) -> float:
        """Score the answer of a rollout by the task's scorer.

        Args:
            trace: of verifiers; where our harness ran it, the workflow's own trace is scored.

        Returns:
            The value of the score; 0 where it cannot be judged.
        """
        sample = io.sample_from_json(self.data.row)
        own = _finished.pop(trace.id, None) or answered(sample, trace)
        return float(_talks(self.config).score(sample, own).value or 0.0)


class TalksConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Settings of the taskset."""

    task: TalkConfig = TalkConfig()


class TalkTaskset(vf.Taskset[TalkTask, TalksConfig]):  # type: ignore[misc]
    """The samples of a task."""

    def load(self) -> Iterator[TalkTask]:
        """Convert the samples of the task to verifiers' tasks.

        Yields:
            One task for each sample, in order.
        """
        for sample in _talks(self.config.task).samples:
            rows = wire.conversation(sample.prompt.messages)
            data = TalkData(id=sample.id, name=sample.id, prompt=rows, row=io.to_json(sample))
            yield TalkTask(data, self.config.task)


class TalkHarnessConfig(vf.HarnessConfig):  # type: ignore[misc]
    """Settings of the harness; `talk` must be those of the taskset."""

    talk: TalkConfig = TalkConfig()
    max_new_tokens: int = 512


class TalkHarness(vf.Harness[TalkHarnessConfig]):  # type: ignore[misc]
    """Runs a workflow of medxiaohe in this process against the endpoint of the rollout."""

    APPENDS_SYSTEM_PROMPT = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self, ctx: vf.ModelContext, trace: vf.Trace, runtime: vf.Runtime, endpoint: str, secret: str,
        mcp_urls: dict[str, str], data: vf.TaskData,
    ) -> vf.ProgramResult:  # fmt: skip
        """Run one conversation against the endpoint of the rollout; its trace is kept until the task scores
        it.

        Args:
            ctx: names the model.
            trace: of verifiers, for its id.
            runtime: not used: the workflow runs in this process.
            endpoint: URL of the interception server.
            secret: its key.
            mcp_urls: not used: tools are those of the toolbox.
            data: the sample.

        Returns:
            Exit code 0, with the answer as stdout and the workflow's error as stderr.
        """
        talks, name = _talks(self.config.talk), KEY.format(trace.id)
        sample = io.sample_from_json(getattr(data, "row", {}))
        os.environ[name] = secret
        try:
            model: Any = openai_compatible(
                ctx.model, endpoint, api_key_env=name, max_new_tokens=self.config.max_new_tokens, retries=0
            )
            (own,) = await asyncio.to_thread(
                run, talks.flow, [sample.prompt], model, talks.opened, settings=dict(talks.settings)
            )
        finally:
            del os.environ[name]
        _finished[trace.id] = own
        return vf.ProgramResult(exit_code=0, stdout=own.answer, stderr=own.error)


def answered(sample: Sample, trace: vf.Trace) -> Trace:
    """Convert the rollout of another harness to a trace: the prompt and the last reply.

    Args:
        sample: that the rollout is about.
        trace: of verifiers.

    Returns:
        A trace of one answer; "" where nothing was answered.
    """
    replies = (
        [message for message in trace.branches[-1].messages if message.role == "assistant"]
        if trace.branches
        else []
    )
    text = replies[-1].content if replies else ""
    last = Message("assistant", (text if isinstance(text, str) else "",))
    return Trace(sample.prompt, (*sample.prompt.messages, last))


_made: dict[str, Talks] = {}


def _talks(config: TalkConfig) -> Talks:
    """The samples and tools of a configuration, made once in a process."""
    key = config.model_dump_json()
    if key not in _made:
        _made[key] = config.talks()
    return _made[key]


__all__ = ["TalkHarness", "TalkTaskset"]
