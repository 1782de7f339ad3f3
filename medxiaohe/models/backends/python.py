"""Use a Python function as a model: `--model mine/bot.py:answer`.

    def answer(messages):        # the conversation so far, a sequence of types.Message, without the gold
        return "B"               # a string, or a types.Message of role assistant

A function whose first parameter is called `conversations` gets many of them at once and returns as many
answers. An object with a method `reply`, or a class of such objects, is used directly.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from medxiaohe import plugins
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.types import Message, Model, Tool


def python(model: str, options: dict[str, Any] | None = None) -> Model:
    """`model` is "file.py:name" or "package.module:name"; `options` are passed to a class of that name.

    Args:
        model: file.py:name or package.module:name.
        options: keyword arguments of a class of that name.

    Returns:
        the function as a model

    Raises:
        ConfigError: there is no such name, or it is neither a function nor a model.
    """
    if ":" not in model:
        raise ConfigError(f"no Python model {model!r}: write file.py:function or package.module:function")
    loaded = plugins.load_object(model)
    if inspect.isclass(loaded):
        loaded = loaded(**(options or {}))
    if hasattr(loaded, "reply"):
        if not getattr(loaded, "name", ""):
            raise ConfigError(f"{model} needs an attribute `name`: it is the model's name in the results")
        return loaded  # type: ignore[no-any-return]
    if not callable(loaded):
        raise ConfigError(f"{model} is no function and has no method `reply`")
    return Function(model, loaded)


class Function:
    """A Python function behind the interface of models."""

    def __init__(self, name: str, answer: Callable[..., Any]) -> None:
        self.name = name
        self._answer = answer
        self._batched = next(iter(inspect.signature(answer).parameters), "") == "conversations"

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Call the function and collect its answers.

        Args:
            conversations: each a sequence of messages.
            tools: not passed on.

        Returns:
            one assistant message for each conversation, in order.

        Raises:
            ModelError: the function returns another number of answers, or something else than text or a
                message.
        """
        return [message for group in self.replies(conversations, tools) for _, message in group]

    def replies(
        self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()
    ) -> Iterator[list[tuple[int, Message]]]:
        """Call the function for one conversation at a time, or for all where it takes batches, so that
        answered ones survive a kill.

        Args:
            conversations: each a sequence of messages that ends with what is answered.
            tools: not passed on.

        Yields:
            groups of (index of the conversation, its reply)

        Raises:
            ModelError: the function returns another number of answers, or something else than text or a
                message.
        """
        if not self._batched:
            for i, messages in enumerate(conversations):
                yield [(i, _message(self.name, self._answer(messages)))]
            return
        answers = list(self._answer(conversations))
        if len(answers) != len(conversations):
            raise ModelError(f"{self.name} gave {len(answers)} answers to {len(conversations)} conversations")
        yield [(i, _message(self.name, answer)) for i, answer in enumerate(answers)]


def _message(name: str, answer: Any) -> Message:
    if isinstance(answer, Message) and answer.role == "assistant":
        return answer
    if not isinstance(answer, str):
        raise ModelError(f"{name} must return text or an assistant Message, not {type(answer).__name__}")
    return Message("assistant", (answer,))
