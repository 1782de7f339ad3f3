"""Workflow: what a graph knows of the entities of a dialogue, the next entities and acts, then the reply
(MedKP, arXiv 2403.06611).

paper says                                we do, and why
direct knowledge: relations between the   facts of the tool `neighbours` between entities that were mentioned
entities of the dialogue                  and not denied
potential knowledge: their neighbours     the neighbours ranked by specificity times evidence (not by degree:
                                          retrieval/neighbours.py), at most `potential` of them
clinical pathway: entities and acts of    the role `predictor` names both as JSON, repaired once; the token
all turns predict the next ones           format of the paper is not published, and acts are those of ACTS
a trained generator of 6 B parameters     the default role, asked with what was predicted
hallucination judged by a model           entities of the reply that are neither in the dialogue nor in what
                                          the graph gave are noted; a linker's errors count among them
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Literal

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.agents.parsing.blocks import block, last_word
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.agents.parsing.structured import ask_json, json_or
from medxiaohe.models.asking import Unreadable
from medxiaohe.privacy.text import redact
from medxiaohe.types import Message, ToolCall

GRAPH = "neighbours"
ACTS = ("inquire", "examine", "diagnose", "treat", "advise", "reassure", "close")
ROUNDS = 8  # of tools, without knowledge, where it answers as `answer` does
MOST = 10  # entities that are predicted
LONGEST = 2000  # characters of a dialogue that are looked at, the last ones
EXAMPLE = Example(
    '{"entities": ["scurvy"], "acts": ["diagnose"]}\nAnswer: B',
    Message("assistant", (ToolCall("1", "again", {"word": "a"}),)),
)


@workflow(roles=("predictor",))
def pathway(
    case: Case,
    knowledge: Literal["none", "direct", "potential", "pathway"] = "pathway",
    potential: int = 20,
    prompts: str = "",
) -> Generator[Any, Any, Answer]:
    """`knowledge` says how far it goes: facts between entities, their neighbours too, and the prediction of
    what comes next. Without the tool `neighbours` the prediction rests on the dialogue alone.

    Args:
        case: the item: prompt, tools and images.
        knowledge: none, direct (facts), potential (and neighbours) or pathway (and prediction).
        potential: neighbours at most.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    try:
        return (yield from _pathway(case, knowledge, potential, prompts))
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")


def _pathway(case: Case, knowledge: str, potential: int, folder: str) -> Generator[Any, Any, Answer]:
    talk = case.prompt.messages
    spoken = "\n".join(message.text for message in talk if message.role in ("user", "assistant"))
    graph = knowledge != "none" and any(tool.name == GRAPH for tool in case.tools)
    linked: Mapping[str, Any] = {}
    if graph:
        result = yield Use(GRAPH, {"text": redact(spoken).text[-LONGEST:]})
        linked = result.data if isinstance(result.data, dict) else {}
    facts = "\n".join(linked.get("direct", ())) or "none"
    near = linked.get("potential", ())[:potential] if knowledge in ("potential", "pathway") else ()
    fields = {"facts": block("facts", facts), "neighbours": block("neighbours", ", ".join(near) or "none")}
    entities: list[str] = []
    acts: list[str] = []
    if knowledge == "pathway":
        request = user("pathway_predict", folder, acts=", ".join(ACTS), most=MOST, **fields)
        entities, acts = yield from json_or(([], []), ask_json("predictor", (*talk, request), _predicted))
        yield Note("predicted", {"entities": entities, "acts": acts})
    predicted = block(
        "predicted", f"entities: {', '.join(entities) or 'none'}; acts: {', '.join(acts) or 'none'}"
    )
    if knowledge == "none":
        return (yield from tool_loop(case, CALLS, ROUNDS))
    reply = yield Ask("", (*talk, user("pathway_reply", folder, predicted=predicted, **fields)))
    if graph and reply.text.strip():
        check = yield Use(GRAPH, {"text": reply.text[:LONGEST]})
        named = check.data.get("entities", ()) if isinstance(check.data, dict) else ()
        allowed = {item.casefold() for item in (*linked.get("entities", ()), *linked.get("potential", ()))}
        heard = spoken.casefold()
        outside = [item for item in named if item.casefold() not in allowed and item.casefold() not in heard]
        yield Note("outside", {"entities": len(named), "outside": outside})
    return last_word(reply)


def _predicted(value: Any) -> tuple[list[str], list[str]]:
    rows = [value.get(key) if isinstance(value, dict) else None for key in ("entities", "acts")]
    if not all(isinstance(row, list) and all(isinstance(item, str) for item in row) for row in rows):
        raise Unreadable('the object needs "entities" and "acts": lists of texts')
    entities, acts = ([item.strip()[:100] for item in row if item.strip()] for row in rows if row is not None)
    if unknown := [act for act in acts if act not in ACTS]:
        raise Unreadable(f"there is no act {unknown[0]!r}: the acts are {', '.join(ACTS)}")
    return entities[:MOST], acts
