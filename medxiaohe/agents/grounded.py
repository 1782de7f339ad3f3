"""Workflow: an answer whose sentences name what they rest on: the model drafts, what no evidence
supports yet is looked up once, and sentences are kept with their evidence, marked as not verified, or
left out.

The sentence that answers the question always stays, so that as many questions are answered as before.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

from medxiaohe import io, plugins
from medxiaohe.agents.engine import Answer, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.errors import ConfigError
from medxiaohe.evidence.grounding import ground, open_claims
from medxiaohe.evidence.rule import named
from medxiaohe.types import Evidence, Message, ToolCall, ToolResult

ROUNDS = 8
LOOKUPS = 4  # claims that are looked up
VERIFIERS = ("measured", "entities", "findings", "judged")
SEARCH = "search"
EXAMPLE = Example("B", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))
Choice = Literal["keep", "hedge", "cut"]


@workflow(roles=())
def grounded(
    case: Case,
    contradicted: Choice = "cut",
    unsupported: Choice = "hedge",
    unjudged: Choice = "hedge",
    lookups: int = LOOKUPS,
    rounds: int = ROUNDS,
    verifiers: tuple[str, ...] = VERIFIERS,
) -> Generator[Any, Any, Answer]:
    """The draft with what each sentence rests on; a judge is asked where one is in use, else rules are.

    Args:
        case: the item: prompt, tools and images.
        contradicted: action on a contradicted sentence: keep, hedge or cut.
        unsupported: the same for an unsupported sentence.
        unjudged: the same for a sentence that no verifier could judge.
        lookups: maximum number of unsupported claims that are searched for.
        rounds: maximum number of rounds of tool calls while the model drafts.
        verifiers: names of verifiers, in the order in which they decide.

    Returns:
        the answer, with its claims and the rulings on them

    Raises:
        ConfigError: there is no such verifier.
    """
    available = plugins.available("verifiers")
    if unknown := [name for name in verifiers if name not in available]:
        raise ConfigError(f"no verifier {unknown[0]!r}{plugins.nearest(unknown[0], available)}")
    ask = named(verifiers, {"judged": {"rules": True}})
    drafted = yield from tool_loop(case, CALLS, rounds)
    if drafted.error:
        return Answer(messages=drafted.messages, error=drafted.error)
    talk = list(drafted.messages or ())
    draft = talk[-1].text
    results = [part for message in talk for part in message.parts if isinstance(part, ToolResult)]
    evidence: list[Evidence] = [item for result in results for item in result.evidence]
    recited = case.prompt.choices
    try:
        if any(tool.name == SEARCH for tool in case.tools):
            requested = open_claims(draft, evidence, ask, recited)[:lookups]
            if requested:
                replies = yield [Use(SEARCH, {"query": claim.text}) for claim in requested]
                evidence += [item for result in replies for item in result.evidence]
    except BudgetSpent:
        pass  # with the evidence there is
    once = list({item.id: item for item in evidence}.values())
    policy = {"contradicted": contradicted, "unsupported": unsupported, "unjudged": unjudged}
    checked = ground(draft, once, ask, policy=policy, recited=recited)
    yield Note("draft", {"text": draft, "rulings": io.to_json(list(checked.before))})
    return Answer(checked.text or draft, checked.claims, rulings=checked.rulings)
