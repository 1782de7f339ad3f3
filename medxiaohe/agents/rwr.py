"""Workflow: think, query and answer in Med-RwR's turn grammar (arXiv 2510.18303; RWR-1), at most three rounds
of retrieval.

    (<think>...</think>(<query>...</query><retrieve>...</retrieve>)?)*<answer>...</answer>

A turn of the model ends with its query or with its answer. The block `<retrieve>` is a message of role
`tool`, so that what was retrieved can neither carry loss nor be forged: a `<retrieve>` in the model's own
text breaks the grammar. The paper writes the block into the model's turn; with messages of their own every
chat server can serve such a model.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Answer, Case, Example, workflow
from medxiaohe.agents.engine.tool_loop import Grammar, Need, tool_loop
from medxiaohe.types import Message, ToolCall, ToolResult, Trace

MAX_ROUNDS = 3
EXAMPLE = Example(
    "<think>clear</think><answer>B</answer>",
    Message("assistant", ("<think>more</think><query>scurvy</query>",)),
)
SEARCH = "search"  # the tool that answers queries
QUERY = re.compile(r"<query>(.*?)</query>", re.DOTALL)
ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
INSIDE = r"(?:(?!</?(?:think|query|retrieve|answer)>).)*\S(?:(?!</?(?:think|query|retrieve|answer)>).)*"
THOUGHT, ASKED, GIVEN, SAID = (
    rf"<{tag}>{INSIDE}</{tag}>" for tag in ("think", "query", "retrieve", "answer")
)
GRAMMAR = re.compile(rf"\s*(?:{THOUGHT}\s*(?:{ASKED}\s*{GIVEN}\s*)?)*{SAID}\s*", re.DOTALL)
HOW = (
    "Think between <think> and </think>. If you need to look something up, write one query between <query>"
    " and </query> and wait: passages follow between <retrieve> and </retrieve>. When you are sure, write the"
    " answer between <answer> and </answer>."
)


@workflow(roles=())
def rwr(case: Case, rounds: int = MAX_ROUNDS, use: Need = "allowed") -> Generator[Any, Any, Answer]:
    """At most `rounds` rounds of retrieval; a conversation that still asks then ends with an error."""
    if use == "none":
        case.tools = ()
    return (yield from tool_loop(case, RWR, rounds, use))


def queries(text: str, round_: int) -> tuple[ToolCall, ...]:
    """The searches of a turn; none once it has an answer. All of several queries are run: none is dropped in
    silence."""
    if ANSWER.search(text):
        return ()
    found = [query.strip() for query in QUERY.findall(text)]
    return tuple(ToolCall(f"query_{round_}_{i}", SEARCH, {"query": query}) for i, query in enumerate(found))


def retrieved(results: Sequence[ToolResult]) -> Message:
    """The block that answers a turn's queries. What a passage says cannot close the block."""
    texts = [
        part if isinstance(part, str) else ""
        for result in results
        for part in (*result.parts, result.error)
        if part
    ]
    inside = "\n".join(filter(None, texts)) or "nothing found"
    inside = re.sub(r"<(/?)(think|query|retrieve|answer)>", r"< \1\2>", inside)
    pictures = [part for result in results for part in result.parts if not isinstance(part, str)]
    evidence = tuple(e for result in results for e in result.evidence)
    return Message(
        "tool", (ToolResult(results[0].call_id, (f"<retrieve>\n{inside}\n</retrieve>", *pictures), evidence),)
    )


RWR = Grammar(
    calls=lambda reply, round_: queries(reply.text, round_),
    shown=lambda reply, results: retrieved(results),
    native=False,
    stop=("</query>", "</answer>"),
)


def transcript(trace: Trace) -> str:
    """What the model wrote and what was retrieved, one after the other."""
    texts = []
    for message in trace.messages[len(trace.prompt.messages) :]:
        if message.role == "tool":
            texts += [
                part
                for result in message.parts
                if isinstance(result, ToolResult)
                for part in result.parts
                if isinstance(part, str)
            ]
        elif message.role == "assistant":
            texts.append(message.text)
    return "".join(texts)


def conforms(trace: Trace) -> bool:
    """Whether the whole conversation is of the grammar, with at most three rounds and no block of the model's
    own making."""
    own = [
        message.text
        for message in trace.messages[len(trace.prompt.messages) :]
        if message.role == "assistant"
    ]
    if any(re.search(r"</?retrieve>", text) for text in own):
        return False
    text = transcript(trace)
    return bool(GRAMMAR.fullmatch(text)) and text.count("<query>") <= MAX_ROUNDS


def given_answer(trace: Trace) -> str:
    """What stands in the last answer, or ""."""
    found = ANSWER.findall(trace.answer)
    return found[-1].strip() if found else ""
