"""Read JSON from replies, with one repair request that states the problem."""

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
    """Extract the one JSON object or list of a reply; thoughts, fences and prose around it are ignored.

    Args:
        text: of the reply.

    Returns:
        the value; equal values may occur several times

    Raises:
        Unreadable: there is none, it is cut off, or two differ.
    """
    decoder, values, at = json.JSONDecoder(), list[Any](), 0
    text = outside_thoughts(text)
    # decode the JSON value at each bracket; a list may be prose in brackets, a broken object is an error
    while (start := min((i for i in (text.find("{", at), text.find("[", at)) if i >= 0), default=-1)) >= 0:
        try:
            value, at = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            if text[start] == "{" and not values:
                raise Unreadable("the JSON object cannot be read: it is cut off or misspelt") from None
            at = start + 1
            continue
        if value not in values and value not in ([], {}):
            values.append(value)
    if not values:
        raise Unreadable("there is no JSON object")
    if len(values) > 1:
        raise Unreadable(f"there are {len(values)} JSON values that differ: write one")
    return values[0]


def ask_json(
    role: str, messages: Sequence[Message], reader: Reader, tools: Sequence[Tool] = ()
) -> Generator[Any, Any, Any]:
    """Ask a role for JSON, with one repair request that states the problem.

    Args:
        role: that is asked.
        messages: of the request.
        reader: converts the JSON value, or raises Unreadable with a sentence for the model.
        tools: that the chat template describes to the model.

    Returns:
        what `reader` returns

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


def json_or(default: Any, request: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Read JSON with a default; the default is noted in the trace when it is used.

    Args:
        default: if neither reply can be read.
        request: a generator of `ask_json`.

    Returns:
        the value, or `default`.
    """
    try:
        return (yield from request)
    except Unreadable as problem:
        yield Note("default", {"used": default, "problem": str(problem)})
        return default


def one_of(name: str, allowed: Sequence[str]) -> Reader:
    """Make a reader of a field with a fixed set of values.

    Args:
        name: of the field of a JSON object.
        allowed: its values.

    Returns:
        reader that raises Unreadable for any other value.
    """

    def read(value: Any) -> str:
        word = value.get(name) if isinstance(value, dict) else None
        if word not in allowed:
            raise Unreadable(f'the object needs "{name}": one of {", ".join(allowed)}')
        return str(word)

    return read


def number_in(name: str, low: float, high: float) -> Reader:
    """Make a reader of a numeric field.

    Args:
        name: of the field of a JSON object.
        low: smallest value.
        high: largest value.

    Returns:
        reader that returns a float, and raises Unreadable for any other value.
    """

    def read(value: Any) -> float:
        number = value.get(name) if isinstance(value, dict) else None
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not low <= number <= high:
            raise Unreadable(f'the object needs "{name}": a number from {low:g} to {high:g}')
        return float(number)

    return read


def confidences(text: str) -> dict[str, float] | None:
    """Read confidences of candidates from the JSON object of a reply.

    Args:
        text: the reply.

    Returns:
        candidate -> confidence; None unless all are from 0 to 1 and their sum is 1 within 0.1.
    """
    try:
        value = json_of(text)
        rows = {str(name): number_in(name, 0, 1)(value) for name in value} if isinstance(value, dict) else {}
    except Unreadable:
        return None
    return rows if rows and abs(sum(rows.values()) - 1) <= 0.1 else None


def text_in(name: str) -> Reader:
    """Make a reader of a text field.

    Args:
        name: of the field of a JSON object.

    Returns:
        reader that returns one line of 1 to 200 characters, and raises Unreadable for any other value.
    """

    def read(value: Any) -> str:
        text = value.get(name) if isinstance(value, dict) else None
        if not isinstance(text, str) or not text.strip() or len(text) > 200 or "\n" in text.strip():
            raise Unreadable(f'the object needs "{name}": words on one line')
        return text.strip()

    return read
