"""Workflow: a query for each knowledge source, then one answer (HeteroRAG, arXiv 2508.12778).

paper says                                we do, and why
one generator writes the queries of all   the role `queries`, one tag for each source that a tool searches; a
sources (MQG), trained by SFT and DPO     tag left empty is not searched; train.queries makes its pairs
at most 4 queries for a text source, one  the same; what is beyond is dropped and noted
"term, relation" for the graph
10 results, a MedCPT cross-encoder keeps  `depth` of each query, of which reciprocal rank fusion over the
2 of each source                          queries of a source keeps `keep`: no cross-encoder can be had
                                          offline, and a source may be a reranking one itself
graph: 10 relations and one hop           `depth` facts of the tool `relations`, or those of a searched graph
reports of similar images, by ModCLIP,    `similar_cases`, in a block that says that reports are a reference
as reference and never as the basis       and not the basis of the answer
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.agents.parsing.blocks import block, last_word
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.privacy.text import redact
from medxiaohe.types import Evidence, Message, Tool, ToolCall, ToolResult

GRAPH, REPORTS = "relations", "similar_cases"
TEXTS = ("search", "scholar", "clinical")  # and every search_NAME
ROUNDS = 8  # of tools, where there is no source and it answers as `answer` does
MOST = 4  # queries for a text source
LONGEST = 300  # characters of a query
OFFSET = 60  # k of reciprocal rank fusion (Cormack et al. 2009)
EXAMPLE = Example(
    "<search>scurvy</search>\nAnswer: B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),))
)


@workflow(roles=("queries",))
def hetero(
    case: Case, depth: int = 10, keep: int = 2, reports: bool = True, prompts: str = ""
) -> Generator[Any, Any, Answer]:
    """Queries by source, `keep` of the `depth` results of each, answer; without a source it just answers.

    Args:
        case: the item: prompt, tools and images.
        depth: results that are fetched for each query.
        keep: of these in the prompt.
        reports: whether similar reports are a source.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    try:
        return (yield from _hetero(case, depth, keep, reports, prompts))
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")


def _hetero(case: Case, depth: int, keep: int, reports: bool, folder: str) -> Generator[Any, Any, Answer]:
    talk, tools = case.prompt.messages, sources(case.tools)
    shown: list[str] = []
    if tools:
        listed = "\n".join(f"<{tag}></{tag}>: {tool.description}" for tag, tool in tools.items())
        message = user("hetero_queries", folder, sources=listed, most=MOST)
        reply = yield Ask("queries", (*talk, message))
        requested = queries_of(reply.text, tools)
        yield Note("queries", requested)
        calls = [(tag, query) for tag, queries in requested.items() for query in queries]
        results = yield [Use(tools[tag].name, _arguments(tools[tag], query)) for tag, query in calls]
        for tag in requested:
            own = [result for (source, _), result in zip(calls, results, strict=True) if source == tag]
            few = depth if tools[tag].name == GRAPH else keep
            if lines := fused(own, depth, few):
                shown.append(block(f"{tag} passages", "\n".join(lines)))
    if reports and case.images and any(tool.name == REPORTS for tool in case.tools):
        near = yield Use(REPORTS, {"image": 1})
        if near.evidence:
            lines = [f"[{item.id}] {item.text}" for item in near.evidence]
            shown.append(block("reports of similar images, a reference only", "\n".join(lines)))
    if not shown:
        return (yield from tool_loop(case, CALLS, ROUNDS))
    last = user("hetero_answer", folder, passages="\n\n".join(shown))
    return last_word((yield Ask("", (*talk, last))))


def sources(tools: Sequence[Tool]) -> dict[str, Tool]:
    """Map the tag of queries to the tool that searches their source.

    Returns:
        tag -> tool; search_papers has <papers>, the tool `relations` has <graph>.
    """
    result = {}
    for tool in tools:
        if tool.name in TEXTS or tool.name == GRAPH:
            result["graph" if tool.name == GRAPH else tool.name] = tool
        elif tool.name.startswith("search_"):
            result[tool.name.removeprefix("search_")] = tool
    return result


def queries_of(text: str, tools: Mapping[str, Tool]) -> dict[str, list[str]]:
    """Read the de-identified queries of each source from a reply, one a line between the tags of the source.

    Returns:
        tag -> queries, at most `MOST` (1 for the graph), each at most `LONGEST` characters; no empty lists.
    """
    result: dict[str, list[str]] = {}
    for tag, tool in tools.items():
        inside = re.findall(rf"<{re.escape(tag)}>(.*?)</{re.escape(tag)}>", text, re.DOTALL)
        lines = [line.strip(" -*\t")[:LONGEST] for part in inside for line in part.splitlines()]
        queries = [redact(line).text for line in dict.fromkeys(lines) if line]
        if queries:
            result[tag] = queries[: 1 if tool.name == GRAPH else MOST]
    return result


def fused(results: Sequence[ToolResult], depth: int, keep: int) -> list[str]:
    """Merge result lists by reciprocal rank fusion: the score of evidence is the sum of 1 / (OFFSET + rank).

    Args:
        depth: results of each list that count.
        keep: lines at most.

    Returns:
        lines with ids, the best first; of results without evidence their text.
    """
    scores: dict[str, float] = {}
    items: dict[str, Evidence] = {}
    for result in results:
        for rank, item in enumerate(result.evidence[:depth], 1):
            scores[item.id] = scores.get(item.id, 0.0) + 1 / (OFFSET + rank)  # 1 / (k + rank)
            items.setdefault(item.id, item)
    best = sorted(items, key=lambda id: (-scores[id], id))[:keep]
    plain = [part for r in results if not r.evidence for part in r.parts if isinstance(part, str)]
    return [f"[{id}] {items[id].text}" for id in best] or plain[:keep]


def _arguments(tool: Tool, query: str) -> dict[str, str]:
    """Build the arguments of a call: "term, relation" for the graph, the query for a text source."""
    if tool.name != GRAPH:
        return {"question" if tool.name == "clinical" else "query": query}
    term, _, relation = query.partition(",")
    return {"entity": term.strip(), "predicate": relation.strip()}
