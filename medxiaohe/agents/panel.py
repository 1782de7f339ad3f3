"""Workflow: a panel of specialists with a director that discusses and votes (MAM, arXiv 2506.19835).

paper says                                we do, and why
kind of input by the file's suffix        an image or a text: prompts carry no sound and no film
kind of case, then at most 3 specialists  both JSON, repaired once; else three fixed roles, noted
anonymised search; the code has neither   the assistant's query, de-identified, for the tool `search`
3 rounds, a check with one redo, summary  the same; specialists also read the last summary, which the code
                                          does not show: a discussion without it is a repetition
a vote without yes or no agrees (code)    it abstains: a reply that cannot be read is no consent
final, review                             the same; the review is noted; a store of past cases
                                          is only written to in the code, so there is none here
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Example, Note, Use, workflow
from medxiaohe.agents.parsing.blocks import block, text_of
from medxiaohe.agents.parsing.prompts import instructed, prompt, user
from medxiaohe.agents.parsing.structured import ask_json, json_or, text_in
from medxiaohe.agents.parsing.verdict import count, vote
from medxiaohe.models.asking import Unreadable
from medxiaohe.privacy.text import redact
from medxiaohe.types import Message, ToolCall

MOST = 3  # specialists
SPECIALISTS = tuple(f"specialist_{n}" for n in range(1, MOST + 1))
ROLES = ("practitioner", "assistant", "director", *SPECIALISTS)
FIXED = (
    ("internist", "the whole patient and the most likely explanation"),
    ("radiologist", "images, measurements and results of tests"),
    ("pharmacologist", "treatment, its risks and interactions"),
)
EXAMPLE = Example("Yes", Message("assistant", (ToolCall("1", "again", {"word": "a"}),)))
Talk = tuple[Message, ...]


@workflow(roles=ROLES)
def panel(
    case: Case, rounds: int = 3, specialists: int = MOST, check: bool = True, prompts: str = ""
) -> Generator[Any, Any, Answer]:
    """Let specialists discuss and vote until they agree, then let the director answer.

    Args:
        rounds: rounds of discussion at most.
        specialists: number of them, from 1 to 3.
        check: whether the director checks each assessment and may ask for a new one.
        prompts: folder of prompt files that replace those of agents/prompts.

    Returns:
        the director's answer; an error if no vote of the last round can be read
    """
    try:
        return (yield from _panel(case, rounds, min(max(1, specialists), MOST), check, prompts))
    except BudgetSpent as spent:
        return Answer(error=f"no answer: {spent}")


def _panel(case: Case, rounds: int, most: int, check: bool, folder: str) -> Generator[Any, Any, Answer]:
    talk = case.prompt.messages
    team = yield from _team(case, most, folder)
    talk = (*talk, *(yield from _looked_up(case, folder)))
    summary, counted = "", count(())
    for round_ in range(1, rounds + 1):
        views = yield from _views(talk, team, round_, summary, check, folder)
        shown = "\n\n".join(
            block(f"assessment of the {name}", view) for (name, _), view in zip(team, views, strict=True)
        )
        last = user("panel_summary", folder, round=round_, views=shown)
        summary = (yield Ask("director", (*talk, last))).text
        asks = [user("panel_vote", folder, role=name, summary=block("summary", summary)) for name, _ in team]
        replies = yield [Ask(role, (*talk, ask)) for role, ask in zip(SPECIALISTS, asks, strict=False)]
        votes = [vote(reply) for reply in replies]
        counted = count(votes)
        yield Note("votes", {"round": round_, "votes": votes})
        if counted.unanimous and counted.winner == "yes":
            break
    if not counted.votes:
        return Answer(error=f"no vote of the last of {rounds} rounds can be read: the panel has no answer")
    yield Note("outcome", {"agrees": counted.winner == "yes", "majority": counted.majority})
    fields = {"summary": block("summary", summary), "votes": ", ".join(votes)}
    final = yield Ask("director", (*talk, user("panel_final", folder, **fields)))
    values = {"summary": fields["summary"], "final": block("final answer", final.text)}
    review = yield Ask("assistant", (*talk, user("panel_review", folder, **values)))
    yield Note("review", vote(review))
    if not final.text.strip():
        return Answer(error="the director wrote no final answer")
    return Answer(final.text)


def _team(case: Case, most: int, folder: str) -> Generator[Any, Any, Sequence[tuple[str, str]]]:
    """Choose the names and tasks of the specialists."""
    modality = "an image" if case.images else "a text"
    messages = (*case.prompt.messages, user("panel_kind", folder, modality=modality))
    kind = yield from json_or(modality, ask_json("practitioner", messages, text_in("kind")))
    messages = (*case.prompt.messages, user("panel_roles", folder, kind=block("kind", kind), most=most))

    def read(value: Any) -> list[tuple[str, str]]:
        rows = value.get("roles") if isinstance(value, dict) else None
        if not isinstance(rows, list) or not 0 < len(rows) <= most:
            raise Unreadable(f'the object needs "roles": a list of 1 to {most} objects')
        team = [(text_in("role")(row), text_in("task")(row)) for row in rows]
        if len({name.casefold() for name, _ in team}) < len(team):
            raise Unreadable("two roles have one name")
        return team

    team = yield from json_or(list(FIXED[:most]), ask_json("practitioner", messages, read))
    yield Note("team", [list(row) for row in team])
    return list(team)


def _looked_up(case: Case, folder: str) -> Generator[Any, Any, Talk]:
    """Search with the tool `search` and quote the result in a block; () without the tool."""
    if not any(tool.name == "search" for tool in case.tools):
        return ()
    query = yield Ask("assistant", (*case.prompt.messages, user("panel_query", folder)))
    result = yield Use("search", {"query": redact(query.text).text[:300]})
    return (Message("user", (block("passages", text_of(result)),)),)


def _views(
    talk: Talk, team: Sequence[tuple[str, str]], round_: int, summary: str, check: bool, folder: str
) -> Generator[Any, Any, list[str]]:
    """Collect the assessments of one round; with `check` each is rewritten once if the director objects."""
    before = (Message("user", (block("summary of the last round", summary),)),) if summary else ()
    talks: list[Talk] = []
    for name, task in team:
        opening = instructed(talk, prompt("panel_view", folder, role=name, task=task, round=round_))
        talks.append((*opening, *before, user("panel_ask", folder, role=name)))
    roles = SPECIALISTS[: len(team)]
    views = yield [Ask(role, messages) for role, messages in zip(roles, talks, strict=True)]
    if not check:
        return [view.text for view in views]
    names = [name for name, _ in team]
    shown = [block(f"assessment of the {name}", view.text) for name, view in zip(names, views, strict=True)]
    checks = yield [
        Ask("director", (*talk, user("panel_check", folder, role=name, view=view)))
        for name, view in zip(names, shown, strict=True)
    ]
    wrong = [i for i, reply in enumerate(checks) if vote(reply) == "no"]
    repairs = []
    for i in wrong:
        last = user("panel_redo", folder, role=names[i], check=block("check", checks[i].text))
        repairs.append(Ask(roles[i], (*talks[i], Message("assistant", (views[i].text,)), last)))
    redone = yield repairs
    for i, view in zip(wrong, redone, strict=True):
        views[i] = view
    return [view.text for view in views]
