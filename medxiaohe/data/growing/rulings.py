"""Rule on conflicts about new entities with an agent that searches the passages and the tree before it
decides (MedXIAOHE).

The model answers in a strict grammar: "Thought: ..." and then "Search: words" or "Decide: number". A last
word that does not fit leaves the conflict undecided: nothing is guessed. A ruling keeps every thought, every
search and what was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from medxiaohe.agents.react import SEARCH, react
from medxiaohe.entity.literature.conflicts import Conflict, decided
from medxiaohe.entity.literature.passages import Passage
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.progress import Meter
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.tools.search import search
from medxiaohe.tools.toolbox import bind
from medxiaohe.types import Evidence, Message, Model, Prompt, Tool, Trace

DECIDE = re.compile(r"\s*Thought:[ \t]*(?P<thought>\S[^\n]*)\n+Decide:[ \t]*(?P<option>\d{1,2})\.?\s*")
NUM_FOUND = 3  # passages that a search returns
MAX_PASSAGE = 600  # characters of a passage
TOGETHER = 16  # conflicts of a batch

ASK = """\
{question}

{options}

Search the library of medical passages and definitions before you decide. Answer with two lines and nothing else, either
Thought: what you need to know
Search: words to look for
or, when the evidence is enough,
Thought: what the evidence says
Decide: the number of one of the lines above"""  # noqa: E501


def library(passages: Sequence[Passage], tree: Tree) -> Tool:
    """Build the search tool over passages and definitions of the tree (BM25).

    Args:
        passages: cut at MAX_PASSAGE characters.
        tree: its entities with a definition.

    Returns:
        The tool `search`, which returns NUM_FOUND passages.
    """
    results = [
        Evidence(passage.id, passage.text[:MAX_PASSAGE], passage.source or "passages") for passage in passages
    ]
    results += [
        Evidence(e.id, f"{e.name}: {e.definition[:MAX_PASSAGE]}", e.source)
        for e in tree.entities.values()
        if e.definition
    ]
    return bind(search, library=BM25(results), top=NUM_FOUND)


def rule(conflicts: Sequence[Conflict], model: Model, tool: Tool) -> Iterator[dict[str, Any]]:
    """Ask an agent to rule on conflicts.

    Args:
        conflicts: each with numbered options.
        model: the agent.
        tool: of `library`.

    Yields:
        A row of rulings.jsonl for each conflict, in order; `decision` is None where the reply is not in
        the grammar, or the model failed.
    """
    meter = Meter("rule on conflicts", len(conflicts))
    for start in range(0, len(conflicts), TOGETHER):
        block = conflicts[start : start + TOGETHER]
        for conflict, trace in zip(
            block, react([_prompt(item) for item in block], model, (tool,)), strict=True
        ):
            yield _ruling(conflict, trace, model.name)
        meter.advance(len(block))
    meter.close()


def _prompt(conflict: Conflict) -> Prompt:
    options = "\n".join(f"{i}. {option.words}" for i, option in enumerate(conflict.options, 1))
    return Prompt(
        conflict.entity, (Message("user", (ASK.format(question=conflict.question, options=options),)),)
    )


def _ruling(conflict: Conflict, trace: Trace, by: str) -> dict[str, Any]:
    match = DECIDE.fullmatch(trace.answer)
    option = int(match["option"]) if match else 0
    why = trace.error
    if not why and not match:
        why = "the last reply has no decision in the grammar"
    elif not why and not 1 <= option <= len(conflict.options):
        why = f"there is no option {option}"
    return {
        "id": conflict.entity, "name": conflict.name, "conflict": conflict.kind,
        "question": conflict.question,
        "options": conflict.options, "by": by,
        "status": "undecided" if why else "decided", "why": why,
        "decision": None if why else decided(conflict, option),
        "reasoning": [m["thought"] for m in _said(trace)],
        "searches": list(_searches(trace)),
        "replies": [message.text for message in trace.messages if message.role == "assistant"],
    }  # fmt: skip


def _said(trace: Trace) -> Iterator[re.Match[str]]:
    for message in trace.messages:
        if message.role == "assistant" and (
            match := SEARCH.fullmatch(message.text) or DECIDE.fullmatch(message.text)
        ):
            yield match


def _searches(trace: Trace) -> Iterator[dict[str, Any]]:
    """List each query with the observation that answered it."""
    for message, after in zip(trace.messages, trace.messages[1:], strict=False):
        if message.role == "assistant" and (match := SEARCH.fullmatch(message.text)):
            yield {"query": match["query"].strip(), "found": after.text}
