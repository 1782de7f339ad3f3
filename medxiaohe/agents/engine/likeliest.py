"""Workflow: take the likeliest of the options instead of generating an answer (lm-eval's multiple_choice)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from medxiaohe.agents.engine import Answer, Case, Rank, workflow


@workflow(roles=(), ranks=True)
def likeliest(case: Case, delimiter: str = " ") -> Generator[Any, Any, Answer]:
    """Rank the options behind the prompt, each with `delimiter` before it where the prompt is a bare text.

    The log-likelihoods stay in the steps of the trace, so that a scorer may norm them.

    Args:
        case: the item; its prompt has the options.
        delimiter: text between a bare prompt and each option.

    Returns:
        the option with the lowest negative log-likelihood; of equal ones the first
    """
    if not case.prompt.choices:
        return Answer(error="the prompt has no options to rank")
    bare = case.prompt.messages[-1].role == "document"
    offered = [(delimiter if bare else "") + text for text in case.prompt.choices]
    nats = yield Rank(case.prompt.messages, offered)
    return Answer(case.prompt.choices[nats.index(min(nats))])
