"""Requests that a workflow may yield, and the answer that it returns.

A workflow is a generator over one case. It yields one request, or a list of requests that run at the same
time, and is sent the result, or the list of results in the same order:

    Ask(role, messages, tools)   a reply of the model that plays the role       -> Message
    Rank(messages, answers)      negative log-likelihood of each answer, nats   -> tuple[float, ...]
    Use(call)                    the result of a tool                           -> ToolResult
    Note(kind, data)             a decision to record in the trace              -> None
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medxiaohe.types import Claim, Message, Ruling, Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Ask:
    """A reply of the model that plays `role`; "" is the default role."""

    role: str
    messages: Sequence[Message]
    tools: Sequence[Tool] = ()  # that the chat template tells the model of
    stop: tuple[str, ...] = ()  # strings that end the turn of a policy in training, if it does not end it


@dataclass(frozen=True, slots=True)
class Rank:
    """Negative log-likelihoods, in nats, of `answers` as the next assistant message."""

    messages: Sequence[Message]
    answers: Sequence[str]
    role: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """The result of a tool: of a call that a model wrote, or of a tool by its name and arguments."""

    tool: ToolCall | str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def call(self, n: int) -> ToolCall:
        """Convert the request to a tool call.

        Args:
            n: number of the step, for the id of a call that no model wrote.
        """
        if isinstance(self.tool, ToolCall):
            return self.tool
        return ToolCall(f"step_{n}", self.tool, dict(self.arguments))


@dataclass(frozen=True, slots=True)
class Note:
    """A decision of the workflow itself, such as the votes of a round: JSON, recorded in the trace."""

    kind: str
    data: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Return value of a workflow.

    `messages` is the conversation to show, score and train on; by default the prompt and `text`.
    """

    text: str = ""
    claims: tuple[Claim, ...] = ()
    messages: Sequence[Message] | None = None
    error: str = ""  # why there is no answer: the trace then has stop "failed"
    rulings: tuple[Ruling, ...] = ()  # on the claims


Request = Ask | Rank | Use | Note
Flow = Callable[
    ..., Any
]  # Case and settings -> a generator of requests that returns an Answer; or a workflow
