"""Plurality vote over several replies."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Answer, Note
from medxiaohe.agents.parsing.verdict import answer_of, count
from medxiaohe.types import Message


def plurality(replies: Sequence[Message], choices: Sequence[str], voters: str) -> Generator[Any, Any, Answer]:
    """Choose the answer that most replies give, and note the votes.

    Args:
        replies: that vote.
        choices: of the prompt; without them answers are compared by their words.
        voters: gave the replies, for the error where none has an answer: "experts".

    Returns:
        the text of the first reply with that answer; an error if no reply has an answer
    """
    answers = [answer_of(reply, choices) for reply in replies]
    counted = count(answers)
    yield Note("votes", {"answers": answers, "votes": counted.votes, "abstained": counted.abstained})
    if not counted.winner:
        return Answer(error=f"none of {len(replies)} {voters} has an answer that can be read")
    return Answer(replies[answers.index(counted.winner)].text)
