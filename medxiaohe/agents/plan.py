"""Workflow: a plan of indicators, tools and weights decides yes or no (MedAgent-Pro, arXiv 2503.18968).

paper says                               we do, and why
guidelines by search, then a plan (JSON) the tool `search` if there is one; a plan that names an unknown tool
                                         or whose weights cannot reach its threshold (0.2 of 0.4 in the code)
                                         is repaired once, then refused with the nearest name
steps without their input are dropped    the same, noted; if the rest cannot reach the threshold and what was
                                         dropped could, there is no diagnosis
a look of the model is yes or no by      the verdict parser; what it cannot read is a step without a result,
substring ("unknown" is no)              which counts as dropped
Continue, Terminate, Complete            the same; a tool that fails terminates; "Complete" counts only where
                                         no further step can change the decision
sum of weights times results >= theta    recomputed from the record by `decide`, never by the model
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.parsing.blocks import block, text_of
from medxiaohe.agents.parsing.plans import decide, number_of, valid
from medxiaohe.agents.parsing.prompts import user
from medxiaohe.agents.parsing.structured import ask_json, json_or, one_of
from medxiaohe.agents.parsing.verdict import vote
from medxiaohe.errors import ConfigError
from medxiaohe.models.asking import Unreadable
from medxiaohe.types import Message

ROLES = ("planner", "observer", "reviewer")
STATES = ("Continue", "Terminate", "Complete")
PLAN = '"threshold": 0.5, "state": "Continue", "steps": [{"indicator": "fever", "weight": 1}]'
EXAMPLE = Example(
    f'{{{PLAN}, "answer": "yes"}}',
    Message("assistant", (f"{{{PLAN}}}",)),
)


@workflow(roles=ROLES)
def plan(case: Case, reflect: bool = True, prompts: str = "") -> Generator[Any, Any, Answer]:
    """Plan, measure and look, decide; with `reflect` the reviewer sees each result.

    Args:
        case: the item: prompt, tools and images.
        reflect: whether a reviewer sees each result.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the answer, with claims where there are some
    """
    try:
        return (yield from _plan(case, reflect, prompts))
    except Unreadable as problem:
        return Answer(error=f"the plan is refused: {problem}")
    except BudgetSpent as spent:
        return Answer(error=f"no decision: {spent}")


def _plan(case: Case, reflect: bool, folder: str) -> Generator[Any, Any, Answer]:
    talk = case.prompt.messages
    names = [tool.name for tool in case.tools if tool.name != "search"]
    if writing := [tool.name for tool in case.tools if tool.effects == "writes"]:
        raise ConfigError(f"plan: a plan measures and changes nothing: leave out the tool {writing[0]}")
    guidelines = "none"
    if len(names) < len(case.tools):
        passages = yield Use("search", {"query": talk[-1].text[:300]})
        guidelines = block("guidelines", text_of(passages))
    tools = [tool for tool in case.tools if tool.name in names]  # the chat template describes them
    requested = (*talk, user("plan_write", folder, guidelines=guidelines, tools=", ".join(names) or "none"))
    planned = yield from ask_json("planner", requested, lambda value: valid(value, names), tools)
    yield Note("plan", planned)
    rows: list[dict[str, Any]] = []
    done = False
    for step in planned["steps"]:
        row = {"indicator": step["indicator"], "weight": step["weight"], "result": None, "why": "not needed"}
        rows.append(row)
        if done:
            continue
        if step["image"] > len(case.images):
            row["why"] = f"there is no image {step['image']}"
            yield Note("dropped", row)
            continue
        error = yield from _measured(case, step, row, folder)
        if error:
            yield Note("state", "Terminate")
            return Answer(error=f"no diagnosis: the step {step['indicator']!r} failed: {error}")
        if reflect:
            fields = {"indicator": step["indicator"], "result": block("result", str(row["why"]))}
            last = user("plan_reflect", folder, guidelines=guidelines, **fields)
            review = ask_json("reviewer", (*talk, last), one_of("state", STATES))
            state = yield from json_or("Continue", review)
            yield Note("state", state)
            if state == "Terminate":
                return Answer(error=f"no diagnosis: the reviewer ended the plan at {step['indicator']!r}")
            rest = [{"weight": later["weight"], "result": None} for later in planned["steps"][len(rows) :]]
            done = state == "Complete" and bool(decide([*rows, *rest], planned["threshold"])[1])
    total, decision = decide(rows, planned["threshold"])
    yield Note(
        "decision", {"rows": rows, "threshold": planned["threshold"], "sum": total, "decision": decision}
    )
    if not decision:
        missing = ", ".join(str(row["indicator"]) for row in rows if row["result"] is None)
        return Answer(error=f"no diagnosis: what is missing could change the decision: {missing}")
    record = "\n".join(f"{row['indicator']}: {row['why']} (weight {row['weight']:g})" for row in rows)
    last = user("plan_answer", folder, decision=decision, record=block("record", record))
    reply = yield Ask("", (*talk, last))
    if vote(reply) != decision:
        return Answer(error=f"the reply does not say the decision of the plan, {decision}")
    return Answer(reply.text)


def _measured(
    case: Case, step: Mapping[str, Any], row: dict[str, Any], folder: str
) -> Generator[Any, Any, str]:
    """Write the result of a step into its row; return why its tool failed, or ""."""
    if not step["tool"]:
        seen = vote((yield Ask("observer", (*case.prompt.messages, _look(step, folder)))))
        row["result"] = {"yes": 1, "no": 0}.get(seen)
        row["why"] = f"seen: {seen}"
        return ""
    result = yield Use(step["tool"], step["arguments"])
    value, problem = number_of(result, step["field"])
    if value is None:
        return f"{step['tool']}: {problem}"
    row["result"] = int(value >= step["limit"] if step["side"] == "at_least" else value <= step["limit"])
    row["why"] = f"{step['tool']} gives {value:g}, {step['side'].replace('_', ' ')} {step['limit']:g}"
    return ""


def _look(step: Mapping[str, Any], folder: str) -> Message:
    return user("plan_look", folder, indicator=step["indicator"])
