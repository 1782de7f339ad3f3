"""A conversation of several turns with tools, in two forms; the same steps for rollouts in training and for
evaluation.

    calls   the model's own way to call a tool, `<tool_call>{...}</tool_call>` where the chat template has no
            other
    rwr     Med-RwR's turn grammar (RWR-1): a query in the text, answered with passages of the tool `search`
            (agents/rwr.py)

`use` says whether tools are needed (MX-25): with "none" there are none; with "forced" a first answer without
any is sent back once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from medxiaohe.agents.answer import call_tool
from medxiaohe.errors import ModelError
from medxiaohe.models import wire
from medxiaohe.types import Message, Model, Prompt, Tool, ToolResult, Trace

Form = Literal["calls", "rwr"]
Use = Literal["none", "allowed", "forced"]
FORCED = "Use a tool before you answer."


@dataclass
class Talk:
    """A conversation on its way."""

    prompt: Prompt
    tools: Sequence[Tool]
    use: Use = "allowed"
    messages: list[Message] = field(default_factory=list)
    rounds: int = 0  # turns that were answered with results of tools
    used: bool = False  # a tool has answered, not with an error
    sent_back: bool = False
    done: bool = False
    error: str = ""

    def __post_init__(self) -> None:
        self.messages = list(self.prompt.messages)

    @property
    def results(self) -> list[ToolResult]:
        own = self.messages[len(self.prompt.messages) :]
        return [part for message in own for part in message.parts if isinstance(part, ToolResult)]

    @property
    def trace(self) -> Trace:
        return Trace(self.prompt, tuple(self.messages), self.error)


def started(prompt: Prompt, tools: Sequence[Tool], use: Use) -> Talk:
    return Talk(prompt, () if use == "none" else tools, use)


def offered(talk: Talk, form: Form) -> Sequence[Tool]:
    """The tools that the chat template is to tell the model of; the grammar has its query in the text."""
    return talk.tools if form == "calls" else ()


def parsed(text: str, talk: Talk, form: Form) -> Message:
    """What the model wrote, as a message."""
    return (
        wire.reply_from_text(text, talk.messages, offered(talk, form))
        if form == "calls"
        else Message("assistant", (text,))
    )


def advance(talk: Talk, reply: Message, form: Form, max_rounds: int) -> None:
    """Add the reply and what answers it; the talk is done when nothing does.

    A fault of a call goes back to the model as text; a dead retriever (RetrieverDown) goes up: nobody can
    learn from that.
    """
    from medxiaohe.agents import rwr

    talk.messages.append(reply)
    calls = reply.calls if form == "calls" else rwr.queries(reply.text, talk.rounds)
    if not calls:
        if talk.use == "forced" and not talk.used and not talk.sent_back:
            talk.sent_back = True
            talk.messages.append(Message("user", (FORCED,)))
            return
        talk.done = True
        return
    if talk.rounds >= max_rounds:
        talk.done, talk.error = True, f"no answer after {max_rounds} rounds of tools"
        return
    talk.rounds += 1
    results = [call_tool(call, talk.tools) for call in calls]
    talk.used = talk.used or any(not result.error for result in results)
    talk.messages.append(rwr.retrieved(results) if form == "rwr" else Message("tool", tuple(results)))


def converse(
    prompts: Sequence[Prompt],
    model: Model,
    tools: Sequence[Tool] | Sequence[Sequence[Tool]],
    form: Form = "calls",
    use: Use = "allowed",
    max_rounds: int = 3,
) -> list[Trace]:
    """One trace for each prompt, in order. `tools` are those of all prompts, or a list of them for each."""
    each = [tools] * len(prompts) if not tools or isinstance(tools[0], Tool) else tools
    talks = [started(prompt, own, use) for prompt, own in zip(prompts, each, strict=True)]  # type: ignore[arg-type]
    while waiting := [talk for talk in talks if not talk.done]:
        for names in dict.fromkeys(tuple(tool.name for tool in offered(talk, form)) for talk in waiting):
            alike = [talk for talk in waiting if tuple(tool.name for tool in offered(talk, form)) == names]
            replies = model.reply([talk.messages for talk in alike], offered(alike[0], form))
            if len(replies) != len(alike):
                raise ModelError(f"{model.name} gave {len(replies)} replies to {len(alike)} conversations")
            for talk, reply in zip(alike, replies, strict=True):
                advance(talk, reply, form, max_rounds)
    return [talk.trace for talk in talks]
