"""Workflow: plan, search, note claims with quoted evidence, answer (the research agent that MedXIAOHE names,
arXiv 2602.12705).

paper says                               we do, and why
general and scholar search, visit, drug  every tool offered that takes one query; where `visit` is there, the
and clinical search                      document of the best result of each query is read as well
several steps of tools                   at most `rounds` of up to `queries` queries each; ends when a round
                                         brings no new claim, for the paper does not say when it stops
grounded answers                         a claim counts only with a quotation that its passage really has;
                                         others are dropped and noted. The answer cites claims by number
how roles are divided is not published   planner, reader and the default role, which answers
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.agents.parsing.blocks import block, last_word
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.agents.parsing.structured import ask_json, json_or
from medxiaohe.models.asking import Unreadable
from medxiaohe.privacy.text import redact
from medxiaohe.types import Claim, Evidence, Message, Tool, ToolCall

ROUNDS = 8  # of tools, where none searches and it answers as `answer` does
LONGEST = 300  # characters of a query
VISIT = "visit"
LEAST_QUOTE = 12  # characters of a quotation that can tell a passage from another
EXAMPLE = Example(
    '{"queries": ["scurvy"], "claims": []}', Message("assistant", (ToolCall("1", "again", {"word": "a"}),))
)


@workflow(roles=("planner", "reader"))
def research(case: Case, rounds: int = 3, queries: int = 3, prompts: str = "") -> Generator[Any, Any, Answer]:
    """At most `rounds` rounds of search; the answer carries the claims that it may rest on.

    Args:
        case: the item: prompt, tools and images.
        rounds: of search at most.
        queries: of a round at most.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    try:
        return (yield from _research(case, rounds, queries, prompts))
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")


def _research(case: Case, rounds: int, most: int, folder: str) -> Generator[Any, Any, Answer]:
    talk, tools = case.prompt.messages, searching(case.tools)
    claims: list[Claim] = []
    read: set[str] = set()  # ids of passages
    searched: set[str] = set()
    for round_ in range(1, rounds + 1) if tools else ():
        summary = block("claims so far", _listed(claims))
        last = user("research_plan", folder, round=round_, claims=summary, most=most)
        planned = ask_json("planner", (*talk, last), lambda value: _queries(value, most))
        requested = [query for query in (yield from json_or([], planned)) if query not in searched]
        if not requested:
            break
        searched |= set(requested)
        calls = [(tool, query) for query in requested for tool in tools]
        results = yield [Use(tool.name, {_parameter(tool): query}) for tool, query in calls]
        fresh = {item.id: item for result in results for item in result.evidence if item.id not in read}
        fresh |= yield from _visited(case, [r.evidence[0].id for r in results if r.evidence], read)
        read |= set(fresh)
        yield Note("read", sorted(fresh))
        if not fresh:
            break
        shown = block("passages", "\n".join(f"[{item.id}] {item.text}" for item in fresh.values()))
        last = user("research_read", folder, round=round_, passages=shown, claims=summary)
        noted = ask_json("reader", (*talk, last), partial(_claims, passages=fresh))
        accepted, dropped = yield from json_or(([], []), noted)
        texts = {claim.text.casefold() for claim in claims}
        new = [row for row in accepted if row[0].casefold() not in texts]
        claims += [
            Claim(str(n), text, evidence=(id,)) for n, (text, id) in enumerate(new, start=len(claims) + 1)
        ]
        yield Note("claims", {"kept": [list(row) for row in new], "dropped": dropped})
        if not new:
            break
    if not tools:
        return (yield from tool_loop(case, CALLS, ROUNDS))
    last = user("research_answer", folder, claims=block("claims", _listed(claims)))
    reply = yield Ask("", (*talk, last))
    return last_word(reply, tuple(claims))


def _visited(case: Case, best: Sequence[str], read: set[str]) -> Generator[Any, Any, dict[str, Evidence]]:
    """Read the document of the best result of each query with the tool `visit`, from its beginning."""
    if not any(tool.name == VISIT for tool in case.tools):
        return {}
    results = yield [Use(VISIT, {"id": id}) for id in dict.fromkeys(best) if id not in read]
    return {item.id: item for result in results for item in result.evidence}


def searching(tools: Sequence[Tool]) -> list[Tool]:
    """The tools that take one query of words.

    Returns:
        tools with exactly one required parameter, `query` or `question`, that write nothing.
    """
    return [tool for tool in tools if _parameter(tool) and tool.effects != "writes"]


def _parameter(tool: Tool) -> str:
    """Name of a tool's query parameter; "" if it requires something else."""
    needed = list(tool.parameters.get("required", ()))
    return needed[0] if needed in (["query"], ["question"]) else ""


def _queries(value: Any, most: int) -> list[str]:
    queries = value.get("queries") if isinstance(value, dict) else None
    if not isinstance(queries, list) or not all(isinstance(item, str) for item in queries):
        raise Unreadable('the object needs "queries": a list of texts, empty when nothing is left to look up')
    return [redact(item.strip()[:LONGEST]).text for item in queries if item.strip()][:most]


def _claims(value: Any, passages: dict[str, Evidence]) -> tuple[list[tuple[str, str]], list[str]]:
    """Check that passages contain the quotations; return (claim, id of its passage) and reasons of dropped
    claims."""
    rows = value.get("claims") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise Unreadable('the object needs "claims": a list of {"claim", "quote", "id"}')
    accepted, dropped = [], []
    for row in rows:
        fields = [row.get(key) if isinstance(row, dict) else None for key in ("claim", "quote", "id")]
        if not all(isinstance(field, str) and field.strip() for field in fields):
            raise Unreadable('each claim needs "claim", "quote" and "id"')
        claim, quote, id = (" ".join(str(field).split()) for field in fields)
        text = " ".join(passages[id].text.split()) if id in passages else ""
        if len(quote) >= LEAST_QUOTE and quote.casefold() in text.casefold():
            accepted.append((claim[:500], id))
        else:
            dropped.append(f"{id}: " + ("its passage does not have the quotation" if text else "no passage"))
    return accepted, dropped


def _listed(claims: Sequence[Claim]) -> str:
    return "\n".join(f"({c.id}) {c.text} [{', '.join(c.evidence)}]" for c in claims) or "none"
