"""Workflow: intents of the query activate agents, whose contributions one of them leads and a synthesis
cites (MedAide, arXiv 2410.12532).

paper says                                we do, and why
query regularised; symptoms, state and    the role `regulariser`, JSON; sub-queries pass six rules in code
history extracted; sub-queries by rules   (parsing/subqueries.py), so that they can be tested
guidelines retrieved for it               tools that search, asked with the sub-queries
17 intents by cosine to prototypes, all   the tool `intents` where it is there (prototypes of your labelled
above a threshold                         questions, threshold from dev); else the role `router` names agents.
                                          Nothing medical activates none, and the default role answers
agents in order: pre-diagnosis,           the same; diagnosis reads `similar_cases`, medicament reads `drug`
diagnosis, medicament, post-diagnosis     for the drugs it names
a lead writes first, others add           the lead is the first that was activated; of N turns of a talk it
(rotating collaboration)                  rotates, one for each message of the user before
synthesis                                 must cite each agent as [name], asked again once; who is still not
                                          cited is noted. Each contribution is a claim with its evidence
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.agents.parsing.blocks import block, last_word, text_of
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.agents.parsing.structured import ask_json, json_or
from medxiaohe.agents.parsing.subqueries import refined
from medxiaohe.agents.research import searching
from medxiaohe.models.asking import Unreadable
from medxiaohe.privacy.text import redact
from medxiaohe.types import Claim, Evidence, Message, ToolCall, ToolResult

AGENTS = ("pre_diagnosis", "diagnosis", "medicament", "post_diagnosis")
ROUNDS = 8  # of tools, where no agent is activated and it answers as `answer` does
MOST = 3  # sub-queries, and drugs that are looked up
TEXTS = ("search", "scholar", "clinical")
EXAMPLE = Example(
    '{"symptoms": [], "state": "", "history": "", "queries": ["scurvy"], "agents": ["diagnosis"],'
    ' "drugs": []} [diagnosis]',
    Message("assistant", (ToolCall("1", "again", {"word": "a"}),)),
)


@workflow(roles=("regulariser", "router", *AGENTS))
def aide(case: Case, prompts: str = "") -> Generator[Any, Any, Answer]:
    """Regularise, find intents, let the agents contribute in order, synthesise.

    Args:
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with one claim for each agent's contribution
    """
    try:
        return (yield from _aide(case, prompts))
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")


def _aide(case: Case, folder: str) -> Generator[Any, Any, Answer]:
    talk = case.prompt.messages
    request = ask_json("regulariser", (*talk, user("aide_query", folder, most=MOST)), _query)
    query = yield from json_or({"about": "", "queries": []}, request)
    requested = refined(query["queries"], MOST)
    yield Note("queries", requested)
    agents = yield from _activated(case, talk, folder)
    yield Note("activated", agents)
    if not agents:
        return (yield from tool_loop(case, CALLS, ROUNDS))
    tools = [tool for tool in searching(case.tools) if tool.name.startswith(TEXTS)]
    calls = [Use(tool.name, {tool.parameters["required"][0]: item}) for item in requested for tool in tools]
    general = yield calls
    turn = sum(message.role == "user" for message in talk) - 1
    lead = agents[turn % len(agents)]
    texts: dict[str, str] = {}
    evidence: dict[str, tuple[Evidence, ...]] = {}
    for agent in [lead, *(item for item in agents if item != lead)]:
        own = yield from _looked_up(case, agent, folder)
        results = [*general, *own]
        shown = block("passages", "\n".join(text_of(result) for result in results) or "none")
        before = "\n\n".join(block(f"contribution of {name}", text) for name, text in texts.items()) or "none"
        fields = {"agent": agent, "about": block("case", query["about"] or "none")}
        last = user("aide_agent", folder, passages=shown, before=before, **fields)
        texts[agent] = (yield Ask(agent, (*talk, last))).text
        evidence[agent] = tuple(item for result in results for item in result.evidence)
    views = "\n\n".join(block(f"contribution of {name}", text) for name, text in texts.items())
    last = user("aide_answer", folder, views=views, names=", ".join(f"[{name}]" for name in texts))
    reply = yield Ask("", (*talk, last))
    if uncited := [name for name in texts if f"[{name}]" not in reply.text]:
        again = user("aide_cite", folder, names=", ".join(f"[{name}]" for name in uncited))
        reply = yield Ask("", (*talk, last, Message("assistant", (reply.text,)), again))
    yield Note("uncited", [name for name in texts if f"[{name}]" not in reply.text])
    claims = [
        Claim(name, text, evidence=tuple(dict.fromkeys(item.id for item in evidence[name])))
        for name, text in texts.items()
    ]
    return last_word(reply, tuple(claims))


def _activated(case: Case, talk: Sequence[Message], folder: str) -> Generator[Any, Any, list[str]]:
    """Choose the agents that the query needs, in their order: by the tool `intents`, else by the router."""
    if any(tool.name == "intents" for tool in case.tools):
        result = yield Use("intents", {"text": talk[-1].text[:2000]})
        names = result.data.get("agents", ()) if isinstance(result.data, dict) else ()
    else:
        message = user("aide_route", folder, agents=", ".join(AGENTS))
        names = yield from json_or([], ask_json("router", (*talk, message), _agents))
    return [agent for agent in AGENTS if agent in names]


def _looked_up(case: Case, agent: str, folder: str) -> Generator[Any, Any, list[ToolResult]]:
    """Run an agent's own tools: similar cases for the diagnosis, drugs for the medicament."""
    names = {tool.name for tool in case.tools}
    if agent == "diagnosis" and "similar_cases" in names:
        text = redact(case.prompt.messages[-1].text).text
        return [(yield Use("similar_cases", {"text": text[:2000]}))]
    if agent == "medicament" and "drug" in names:
        message = user("aide_drugs", folder, most=MOST)
        drugs = yield from json_or([], ask_json(agent, (*case.prompt.messages, message), _drugs))
        return list((yield [Use("drug", {"name": drug}) for drug in drugs[:MOST]]))
    return []


def _query(value: Any) -> dict[str, Any]:
    fields = {key: value.get(key) if isinstance(value, dict) else None for key in ("state", "history")}
    lists = {key: value.get(key) if isinstance(value, dict) else None for key in ("symptoms", "queries")}
    texts = all(isinstance(item, str) for item in fields.values())
    if not texts or not all(
        isinstance(v, list) and all(isinstance(w, str) for w in v) for v in lists.values()
    ):
        raise Unreadable('the object needs "symptoms" and "queries", lists, and "state" and "history", texts')
    symptoms = ", ".join(lists["symptoms"] or ())
    about = f"symptoms: {symptoms}; state: {fields['state']}; history: {fields['history']}"
    return {"about": about[:1000], "queries": [redact(item).text for item in lists["queries"] or ()]}


def _agents(value: Any) -> list[str]:
    result = value.get("agents") if isinstance(value, dict) else None
    if not isinstance(result, list) or not all(item in AGENTS for item in result):
        raise Unreadable(f'the object needs "agents": a list of some of {", ".join(AGENTS)}, or empty')
    return result


def _drugs(value: Any) -> list[str]:
    names = value.get("drugs") if isinstance(value, dict) else None
    if not isinstance(names, list) or not all(isinstance(item, str) and item.strip() for item in names):
        raise Unreadable('the object needs "drugs": a list of names, or empty')
    return [item.strip()[:100] for item in names]
