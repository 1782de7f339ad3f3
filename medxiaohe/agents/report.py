"""Workflow: a report whose every statement is checked: the model drafts, evidence is gathered, verifiers
rule on each claim, and the text is assembled from what survives.

The answer is a pure function of the draft, the results of the tools and the settings, so a replay of the
trace writes the same bytes. Indication, comparison and technique are the case's facts, in words.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.agents.engine import Answer, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.engine.tool_loop import CALLS, tool_loop
from medxiaohe.errors import ConfigError
from medxiaohe.evidence.assembly import GIVEN, Report, assemble
from medxiaohe.evidence.revision import ACTIONS, Policy
from medxiaohe.evidence.rule import RULES, named
from medxiaohe.types import Evidence, Message, ToolCall, ToolResult

# tools that are asked once for each case, with these arguments, without a model asking for them
MEASURES: tuple[tuple[str, dict[str, Any]], ...] = (("study", {"kind": "all"}),)
OF_IMAGES = (("detect", {"what": "white cells"}),)  # and those that are asked once for each image
ROUNDS = 8  # of tools that the writer calls
EXAMPLE = Example(
    "The lungs are clear.",
    Message("assistant", (ToolCall("1", "again", {"word": "a"}),)),
    answers=assemble("The lungs are clear.", ()).text,
)


@workflow(roles=())
def report(
    case: Case,
    contradicted: str = "replace",
    unsupported: str = "replace",
    denials: str = "keep",
    unjudged: str = "cut",
    add: bool = True,
    rounds: int = ROUNDS,
    verifiers: tuple[str, ...] = RULES,
) -> Generator[Any, Any, Answer]:
    """The draft, checked: `contradicted` ... `unjudged` are keep, hedge, cut or replace, by ruling.

    Args:
        case: the item: prompt, tools and images.
        contradicted: action on a contradicted claim: keep, hedge, cut or replace.
        unsupported: the same for an unsupported claim.
        denials: the same for an unsupported denial.
        unjudged: the same for a claim that no verifier could judge.
        add: whether findings of the evidence that the draft lacks are added.
        rounds: maximum number of rounds of tool calls while the model drafts.
        verifiers: names of verifiers, in the order in which they decide.

    Returns:
        the report, with its claims and the rulings on them

    Raises:
        ConfigError: there is no such action or verifier.
    """
    rules = [_action(name) for name in (contradicted, unsupported, denials, unjudged)]
    policy = Policy(rules[0], rules[1], rules[2], rules[3], add)
    available = plugins.available("verifiers")
    if unknown := [name for name in verifiers if name not in available]:
        raise ConfigError(f"no verifier {unknown[0]!r}{plugins.nearest(unknown[0], available)}")
    drafted = yield from tool_loop(case, CALLS, rounds)
    if drafted.error:
        return Answer(messages=drafted.messages, error=drafted.error)
    talk = list(drafted.messages or ())
    results = [part for message in talk for part in message.parts if isinstance(part, ToolResult)]
    evidence: list[Evidence] = [item for result in results for item in result.evidence]
    try:
        for name, arguments in _calls(case):
            result = yield Use(name, arguments)
            evidence += result.evidence
    except BudgetSpent as spent:
        return Answer(error=f"no report: {spent}")
    once = list({item.id: item for item in evidence}.values())
    facts = {name: str(case.facts.get(name.lower(), "")) for name in GIVEN}
    assembled = assemble(talk[-1].text, once, facts, verifiers=named(verifiers), policy=policy)
    yield Note("decisions", decisions(assembled))
    return Answer(assembled.text, assembled.claims, rulings=assembled.rulings)


def decisions(assembled: Report) -> list[Mapping[str, Any]]:
    """List what was done with each sentence of a report.

    Args:
        assembled: the assembled report.

    Returns:
        JSON rows in the order of the report, removed sentences (section "cut") last.
    """
    rows = [
        *(("findings", line) for line in assembled.findings),
        *(("impression", line) for line in assembled.impression),
    ]
    rows += [("cut", line) for line in assembled.cut]
    return [{"section": section, **io.to_json(line)} for section, line in rows]


def _calls(case: Case) -> list[tuple[str, dict[str, Any]]]:
    names = {tool.name for tool in case.tools}
    per_image: list[tuple[str, dict[str, Any]]] = [
        (name, {"image": n, **options}) for name, options in OF_IMAGES for n in range(1, len(case.images) + 1)
    ]
    return [(name, dict(arguments)) for name, arguments in [*MEASURES, *per_image] if name in names]


def _action(name: str) -> Any:
    if name not in ACTIONS:
        raise ConfigError(f"{name!r} is nothing to do with a claim{plugins.nearest(name, ACTIONS)}")
    return name
