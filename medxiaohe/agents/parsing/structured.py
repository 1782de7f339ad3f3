"""JSON of a reply, with one request that shows the model what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Ask, Note
from medxiaohe.models.asking import MAX_REPLY, REPAIR, Unreadable
from medxiaohe.scoring._answer import outside_thoughts
from medxiaohe.types import Message, Tool

Reader = Callable[
    [Any], Any
]  # the value of the JSON -> what the workflow uses; Unreadable says what is wrong


def json_of(text: str) -> Any:
    """The one JSON object or list of a reply; fences and prose around it are left out.

    Raises:
        Unreadable: there is none, it is cut off, or two differ.
    """
    decoder, found, at = json.JSONDecoder(), list[Any](), 0
    text = outside_thoughts(text)
    while (start := min((i for i in (text.find("{", at), text.find("[", at)) if i >= 0), default=-1)) >= 0:
        try:
            value, at = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            if text[start] == "{" and not found:
                raise Unreadable("the JSON object cannot be read: it is cut off or misspelt") from None
            at = start + 1
            continue
        if value not in found and value not in ([], {}):
            found.append(value)
    if not found:
        raise Unreadable("there is no JSON object")
    if len(found) > 1:
        raise Unreadable(f"there are {len(found)} JSON values that differ: write one")
    return found[0]


def ask_json(
    role: str, messages: Sequence[Message], reader: Reader, tools: Sequence[Tool] = ()
) -> Generator[Any, Any, Any]:
    """What `reader` makes of the JSON that a role replies, which is shown what is wrong with it once.

    Raises:
        Unreadable: the second reply cannot be read either.
    """
    talk = list(messages)
    reply = yield Ask(role, tuple(talk), tools)
    try:
        return reader(json_of(reply.text))
    except Unreadable as problem:
        yield Note("unreadable", {"role": role, "problem": str(problem)})
        shown = Message("assistant", (reply.text[:MAX_REPLY],))
        talk += [shown, Message("user", (REPAIR.format(problem=problem),))]
    reply = yield Ask(role, tuple(talk), tools)
    return reader(json_of(reply.text))


def json_or(default: Any, asked: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """What `ask_json` gives, or `default`, noted, where neither reply can be read."""
    try:
        return (yield from asked)
    except Unreadable as problem:
        yield Note("default", {"used": default, "problem": str(problem)})
        return default


def one_of(name: str, allowed: Sequence[str]) -> Reader:
    """Reads the field `name` of an object, which must be one of the words allowed."""

    def read(value: Any) -> str:
        said = value.get(name) if isinstance(value, dict) else None
        if said not in allowed:
            raise Unreadable(f'the object needs "{name}": one of {", ".join(allowed)}')
        return str(said)

    return read


def number_in(name: str, low: float, high: float) -> Reader:
    """Reads the field `name` of an object, which must be a number from `low` to `high`."""

    def read(value: Any) -> float:
        said = value.get(name) if isinstance(value, dict) else None
        if isinstance(said, bool) or not isinstance(said, (int, float)) or not low <= said <= high:
            raise Unreadable(f'the object needs "{name}": a number from {low:g} to {high:g}')
        return float(said)

    return read


def confidences(text: str) -> dict[str, float] | None:
    """Candidate -> confidence of the JSON object of a reply; None unless all are from 0 to 1 and sum to 1
    within a tenth."""
    try:
        found = json_of(text)
        rows = {str(name): number_in(name, 0, 1)(found) for name in found} if isinstance(found, dict) else {}
    except Unreadable:
        return None
    return rows if rows and abs(sum(rows.values()) - 1) <= 0.1 else None


def text_in(name: str) -> Reader:
    """Reads the field `name` of an object, which must be words on one line, 200 characters at most."""

    def read(value: Any) -> str:
        said = value.get(name) if isinstance(value, dict) else None
        if not isinstance(said, str) or not said.strip() or len(said) > 200 or "\n" in said.strip():
            raise Unreadable(f'the object needs "{name}": words on one line')
        return said.strip()

    return read
