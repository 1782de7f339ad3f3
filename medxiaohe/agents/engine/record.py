"""Compact record of conversations: each request is stored as what it adds to an earlier one, and restored
from that.

A step of kind `ask` or `rank` is given {of, keep, add}: the first `keep` messages of the conversation of
step `of`, its reply included (-1: of the prompt), and then the messages `add`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe.agents.engine.requests import Ask, Rank
from medxiaohe.errors import DataError
from medxiaohe.types import Message, Prompt, Trace

PROMPT = -1


class Conversations:
    """Conversations of one case so far; the next one is recorded relative to one of them."""

    def __init__(self, prompt: Prompt) -> None:
        self._known: dict[int, tuple[Message, ...]] = {PROMPT: tuple(prompt.messages)}
        self._last_of_role: dict[str, int] = {}
        self._last = PROMPT

    def add(self, n: int, request: Ask | Rank) -> dict[str, Any]:
        """Record the messages of a request relative to an earlier conversation.

        The base is the one of four with the longest common prefix: the prompt, the last of the same role, the
        last of all, and that of the step before.

        Args:
            n: number of the step.
            request: whose messages are recorded.

        Returns:
            {of, keep, add}, as in the docstring of this module.
        """
        messages = tuple(request.messages)
        # the earlier conversation with the longest common prefix; of equal ones the first
        best, keep = PROMPT, -1
        for earlier in dict.fromkeys(
            (self._last_of_role.get(request.role, PROMPT), self._last, n - 1, PROMPT)
        ):
            shared = _shared(messages, self._known[earlier]) if earlier in self._known else -1
            if shared > keep:
                best, keep = earlier, shared
        self._known[n] = messages
        self._last_of_role[request.role] = self._last = n
        return {"of": best, "keep": keep, "add": messages[keep:]}

    def replied(self, n: int, reply: Message) -> None:
        """Append the reply of step `n` to its conversation.

        Args:
            n: number of the step.
            reply: of the model.
        """
        self._known[n] = (*self._known[n], reply)


def _shared(a: Sequence[Message], b: Sequence[Message]) -> int:
    """Length of the longest common prefix, in messages."""
    shared = 0
    for first, second in zip(a, b, strict=False):
        if first is not second and first != second:
            break
        shared += 1
    return shared


def asked(trace: Trace, n: int) -> tuple[Message, ...]:
    """The whole conversation that step `n` of a trace was asked with.

    Args:
        trace: with steps.
        n: number of an `ask` or `rank` step.

    Returns:
        messages of the request, in order

    Raises:
        DataError: step `n` is no ask or rank, or refers to a step that is not there.
    """
    request = trace.steps[n].given if 0 <= n < len(trace.steps) else None
    if not isinstance(request, Mapping) or not {"of", "keep", "add"} <= set(request):
        raise DataError(f"step {n} of the trace of {trace.prompt.id!r} has no messages: is it an ask?")
    base_of, keep = request["of"], request["keep"]
    if base_of == PROMPT:
        base: tuple[Message, ...] = trace.prompt.messages
    elif isinstance(base_of, int) and 0 <= base_of < n:
        got = trace.steps[base_of].got
        base = (*asked(trace, base_of), *([got] if isinstance(got, Message) else []))
    else:
        raise DataError(
            f"step {n} of the trace of {trace.prompt.id!r} continues step {base_of}, not an earlier"
        )
    return (*base[:keep], *request["add"])
