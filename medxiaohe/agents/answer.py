"""Workflow: let the model answer a batch of prompts, running the tools it calls until it calls none."""

from collections.abc import Sequence
from dataclasses import replace

from medxiaohe.errors import ModelError, ToolError
from medxiaohe.types import Message, Model, Prompt, Tool, ToolCall, ToolResult, Trace

MAX_TURNS = 8


def answer(prompts: Sequence[Prompt], model: Model, tools: Sequence[Tool] = ()) -> list[Trace]:
    """One trace for each prompt, in order; a conversation still calling tools after MAX_TURNS ends with an
    error."""
    talks = [list(prompt.messages) for prompt in prompts]
    waiting = list(range(len(prompts)))
    for _ in range(MAX_TURNS):
        replies = model.reply([talks[i] for i in waiting], tools) if waiting else []
        if len(replies) != len(waiting):
            raise ModelError(f"{model.name} gave {len(replies)} replies to {len(waiting)} conversations")
        for i, reply in zip(waiting, replies, strict=True):
            talks[i].append(reply)
            if reply.calls:
                talks[i].append(Message("tool", tuple(call_tool(call, tools) for call in reply.calls)))
        waiting = [i for i, reply in zip(waiting, replies, strict=True) if reply.calls]
    return [
        _trace(prompt, talk, unfinished=i in waiting)
        for i, (prompt, talk) in enumerate(zip(prompts, talks, strict=True))
    ]


def call_tool(call: ToolCall, tools: Sequence[Tool]) -> ToolResult:
    """The result of one call; what goes wrong inside a tool goes back to the model as text."""
    by_name = {tool.name: tool for tool in tools}
    if call.name not in by_name:
        return ToolResult(
            call.id, (), error=f"no tool {call.name!r}; there are {', '.join(by_name) or 'none'}"
        )
    try:
        return replace(by_name[call.name].run(**call.arguments), call_id=call.id)
    except (ToolError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        return ToolResult(call.id, (), error=f"{type(error).__name__}: {error}")


def _trace(prompt: Prompt, talk: list[Message], unfinished: bool) -> Trace:
    error = f"no answer after {MAX_TURNS} turns of tool calls" if unfinished else ""
    return Trace(prompt, tuple(talk), error)
