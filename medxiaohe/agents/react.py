"""Workflow: think, search, and decide, in plain text lines (ReAct, Yao and others 2023), for models with or
without tool calls.

A reply of the model is one step. A reply that fits SEARCH is answered with what the tool `search` finds, and
the model goes on; every other reply is its last word, which the caller reads. A model that calls tools the
native way may do so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from medxiaohe.agents.answer import call_tool
from medxiaohe.errors import ModelError
from medxiaohe.types import Message, Model, Prompt, Step, Tool, ToolCall, ToolResult, Trace

MAX_STEPS = 6
SEARCH = re.compile(r"\s*Thought:[ \t]*(?P<thought>\S[^\n]*)\n+Search:[ \t]*(?P<query>\S[^\n]{0,300})\s*")
NOTHING = "nothing found"


def react(prompts: Sequence[Prompt], model: Model, tools: Sequence[Tool] = ()) -> list[Trace]:
    """One trace for each prompt, in order; one that is still searching after MAX_STEPS replies ends with an
    error."""
    talks = [list(prompt.messages) for prompt in prompts]
    steps: list[list[Step]] = [[] for _ in prompts]
    waiting = list(range(len(prompts)))
    for step in range(MAX_STEPS):
        replies = model.reply([talks[i] for i in waiting], ()) if waiting else []
        if len(replies) != len(waiting):
            raise ModelError(f"{model.name} gave {len(replies)} replies to {len(waiting)} conversations")
        going = []
        for i, reply in zip(waiting, replies, strict=True):
            talks[i].append(reply)
            results = _results(reply, step, tools)
            if results:
                first = len(steps[i])
                steps[i] += [Step(first + n, "use", "search", got=result) for n, result in enumerate(results)]
                talks[i].append(_observed(results) if not reply.calls else Message("tool", tuple(results)))
                going.append(i)
        waiting = going
    errors = {i: f"no decision after {MAX_STEPS} steps" for i in waiting}
    return [
        Trace(prompt, tuple(talk), errors.get(i, ""), tuple(done))
        for i, (prompt, talk, done) in enumerate(zip(prompts, talks, steps, strict=True))
    ]


def _results(reply: Message, step: int, tools: Sequence[Tool]) -> list[ToolResult]:
    if reply.calls:
        return [call_tool(call, tools) for call in reply.calls]
    match = SEARCH.fullmatch(reply.text)
    return (
        [call_tool(ToolCall(f"step_{step}", "search", {"query": match["query"].strip()}), tools)]
        if match
        else []
    )


def _observed(results: Sequence[ToolResult]) -> Message:
    texts = [
        part for result in results for part in (result.error, *result.parts) if isinstance(part, str) and part
    ]
    return Message("user", ("Observation: " + ("\n".join(texts) or NOTHING),))
