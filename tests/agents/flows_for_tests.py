"""Workflows and models for tests of the engine: a workflow that is drawn at random, and models whose replies
depend on nothing but the conversation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe import io
from medxiaohe.agents.engine import Answer, Ask, BudgetSpent, Case, Note, Rank, Use, workflow
from medxiaohe.tools import tool
from medxiaohe.types import Message, Prompt, Tool, ToolCall

ROLES = ("", "cardiologist", "director")


def digest(value: Any) -> int:
    return int.from_bytes(hashlib.sha256(io.encoded(value)).digest()[:4], "big")


class Hashing:
    """Replies are digests of what was asked; some call the tool `double`. `asked` counts conversations."""

    def __init__(self, name: str = "hashing", concurrent: bool = False, delay: float = 0.0) -> None:
        self.name, self.concurrent, self.delay, self.workers = name, concurrent, delay, 5
        self.asked = 0

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        self.asked += len(conversations)
        return [self._reply(list(messages), tools) for messages in conversations]

    def _reply(self, messages: list[Message], tools: Sequence[Tool]) -> Message:
        number = digest([self.name, messages, [tool.name for tool in tools]])
        if self.delay:
            time.sleep(self.delay * (number % 7) / 7)
        calls = (ToolCall(f"c{number}", "double", {"number": number % 50}),) if tools and number % 3 else ()
        return Message("assistant", (f"{self.name} {number}", *calls))

    def choice_nats(
        self, conversations: Sequence[Sequence[Message]], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        return [
            [digest([list(messages), answer]) / 2**32 for answer in offered]
            for messages, offered in zip(conversations, answers, strict=True)
        ]


@tool
def double(number: int) -> str:
    """Twice the number."""
    return str(2 * number)


def user(text: str) -> Message:
    return Message("user", (text,))


def prompts(number: int) -> list[Prompt]:
    return [Prompt(f"p/{i}", (user(f"question {i}"),)) for i in range(number)]


@workflow(roles=ROLES)
def drawn(case: Case, program: list[list[str]] | None = None) -> Generator[Any, Any, Answer]:
    """Each line of the program is a yield, each word a request; what is asked depends on what came back."""
    talk, views = list(case.prompt.messages), [user("views")]
    try:
        for line in program or []:
            got = (
                yield [_request(word, case, talk, views) for word in line]
                if len(line) != 1
                else _request(line[0], case, talk, views)
            )
            for word, result in zip(line, got if len(line) != 1 else [got], strict=True):
                if isinstance(result, Message):
                    (views if word == "view" else talk).append(result)
                    if result.calls:
                        results = yield [Use(call) for call in result.calls]
                        talk.append(Message("tool", tuple(results)))
                elif result is not None:
                    talk.append(user(str(io.to_json(result))[:200]))
                    if digest(result if word == "rank" else str(result)) % 4 == 0:
                        yield Note("turned", {"at": len(talk)})
                        talk = talk[: len(case.prompt.messages) + 1]
    except BudgetSpent as spent:
        return Answer(f"cut: {spent}")
    return Answer(messages=talk) if digest(len(talk)) % 2 else Answer(f"done {len(talk)}")


def _request(word: str, case: Case, talk: list[Message], views: list[Message]) -> Any:
    return {
        "ask": lambda: Ask("", tuple(talk)),
        "tools": lambda: Ask("", tuple(talk), case.tools),
        "view": lambda: Ask("cardiologist", (*views, talk[-1])),
        "fresh": lambda: Ask("director", (user(f"alone {len(talk)}"),)),
        "rank": lambda: Rank(tuple(talk), ("yes", "no", "maybe"), "director"),
        "use": lambda: Use("double", {"number": len(talk)}),
        "wrong": lambda: Use("unheard_of", {"number": len(talk)}),
        "note": lambda: Note("length", {"type": "talk", "length": len(talk)}),
    }[word]()


WORDS = ("ask", "tools", "view", "fresh", "rank", "use", "wrong", "note")
