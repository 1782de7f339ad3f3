"""A model with scripted replies: for tests of control flow, never for a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from medxiaohe.errors import ModelError
from medxiaohe.types import Message, Tool

Reply = str | Message
Answer = Callable[[Sequence[Message]], Reply]
Nats = Callable[[Sequence[Message], str], float]


def scripted(model: str = "", answer: Answer | Iterable[Reply] = ("",), nats: Nats | None = None) -> Scripted:
    """`answer` is a function of the conversation, or replies to give one after another; ModelError when they
    run out. `nats` of a conversation and an answer is a likelihood; without it the model gives none.

    Args:
        model: name in the results.
        answer: (conversation) -> reply, or replies in the order of the requests.
        nats: (conversation, answer) -> negative log-likelihood.

    Returns:
        a model for tests
    """
    return Scripted(model or "scripted", answer, nats)


class Scripted:
    """Model with scripted replies; `conversations` records every request, in order."""

    def __init__(self, name: str, answer: Answer | Iterable[Reply], nats: Nats | None = None) -> None:
        self.name = name
        if nats is not None:
            self.choice_nats = lambda talks, offered: [
                [nats(talk, option) for option in answers]
                for talk, answers in zip(talks, offered, strict=True)
            ]
        self.conversations: list[tuple[Message, ...]] = []
        self._answer = answer if callable(answer) else _in_order(answer)

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Take the next scripted reply for each conversation.

        Args:
            conversations: recorded in `conversations`.
            tools: ignored.

        Returns:
            one message for each conversation, in order.

        Raises:
            ModelError: the replies have run out.
        """
        replies = []
        for conversation in conversations:
            self.conversations.append(tuple(conversation))
            reply = self._answer(conversation)
            replies.append(Message("assistant", (reply,)) if isinstance(reply, str) else reply)
        return replies


def _in_order(replies: Iterable[Reply]) -> Answer:
    rest = iter(replies)

    def answer(conversation: Sequence[Message]) -> Reply:
        for reply in rest:
            return reply
        raise ModelError("the scripted model was asked more often than it has replies")

    return answer
