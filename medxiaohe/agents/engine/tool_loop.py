"""Tool loop: the conversation of one model with tools, in any grammar; `answer`, `react` and `rwr` use it.

A `Grammar` says how a reply calls tools and how results are shown to the model.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medxiaohe.agents.engine.case import BudgetSpent, Case
from medxiaohe.agents.engine.requests import Answer, Ask, Use
from medxiaohe.types import Message, ToolCall, ToolResult

Need = Literal["none", "allowed", "forced"]  # of tools (MedXIAOHE)
FORCED = "Use a tool before you answer."


def native_calls(reply: Message, round_: int) -> Sequence[ToolCall]:
    """Read the tool calls that the backend parsed from a reply.

    Args:
        reply: of the model.
        round_: number of the round; not used.
    """
    return reply.calls


def tool_message(reply: Message, results: Sequence[ToolResult]) -> Message:
    """Show results as a message of role `tool`.

    Args:
        reply: with the calls; not used.
        results: of the calls, in order.
    """
    return Message("tool", tuple(results))


@dataclass(frozen=True)
class Grammar:
    """How a model writes tool calls and reads results."""

    calls: Callable[[Message, int], Sequence[ToolCall]] = native_calls  # of a reply, in a round from 0
    shown: Callable[[Message, Sequence[ToolResult]], Message] = tool_message
    native: bool = True  # the chat template tells the model of the tools
    stop: tuple[str, ...] = ()  # strings that end a turn
    unfinished: str = "no answer after {rounds} rounds of tools"
    last_word: bool = True  # a reply may follow the last round; else the conversation ends with its results


CALLS = Grammar()  # the model's own way to call a tool


def tool_loop(
    case: Case,
    grammar: Grammar,
    rounds: int,
    use: Need = "allowed",
    role: str = "",
    messages: Sequence[Message] | None = None,
) -> Generator[Any, Any, Answer]:
    """Ask, run the calls of the reply, show the results, until a reply calls nothing.

    Args:
        case: the item; its tools are those that may be called.
        grammar: how the model writes calls and reads results.
        rounds: of tools; a reply that calls after the last one ends the conversation with an error.
        use: "none" runs no tool; "forced" sends a first answer without any back once.
        role: that is asked; "" is the default role.
        messages: with which the conversation begins; those of the prompt by default.

    Returns:
        the conversation; with an error if calls remain after the last round or the budget is spent
    """
    talk = list(case.prompt.messages if messages is None else messages)
    round_, used, sent_back = 0, False, False
    try:
        while True:
            tools = case.tools if grammar.native and use != "none" else ()
            reply = yield Ask(role, tuple(talk), tools, grammar.stop)
            talk.append(reply)
            calls = grammar.calls(reply, round_)
            if not calls and use == "forced" and not used and not sent_back:
                sent_back = True
                talk.append(Message("user", (FORCED,)))
            elif not calls:
                return Answer(messages=talk)
            elif round_ >= rounds:
                return Answer(messages=talk, error=grammar.unfinished.format(rounds=rounds))
            else:
                results = yield [Use(call) for call in calls]
                used = used or any(not result.error for result in results)
                talk.append(grammar.shown(reply, results))
                round_ += 1
                if round_ == rounds and not grammar.last_word:
                    return Answer(messages=talk, error=grammar.unfinished.format(rounds=rounds))
    except BudgetSpent as spent:
        return Answer(messages=talk, error=f"no answer: {spent}")
