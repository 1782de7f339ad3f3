"""Ask a model: a text, or messages as the OpenAI API writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from medxiaohe import images as images_of
from medxiaohe.data.formats import chat
from medxiaohe.errors import ConfigError
from medxiaohe.evals.running.workflows import chosen, resources, tools_of
from medxiaohe.models.players import by_name, load_player, player_of
from medxiaohe.types import Message, Prompt, Trace

Question = str | Message | Mapping[str, Any] | Sequence[Message | Mapping[str, Any]]


def messages(value: Question, folder: str | PathLike[str] = ".") -> tuple[Message, ...]:
    """Messages from a text, a message, or a list of messages.

    Args:
        value: a text (a user's message); or {"role": ..., "content": ...} with content as text or as OpenAI
            parts (text, image_url, image); or a list of them.
        folder: what relative paths of images start from; they may not leave it.

    Returns:
        messages in order

    Raises:
        DataError: an unknown role or part.
        ConfigError: the list is empty.
    """
    if isinstance(value, str):
        return (Message("user", (value,)),)
    if isinstance(value, (Message, Mapping)):
        value = [value]
    results: list[Message] = []
    for item in value:
        results += [item] if isinstance(item, Message) else chat.conversation([item], Path(folder))
    if not results:
        raise ConfigError("a question needs at least one message")
    return tuple(results)


def ask(
    model: str,
    question: Question,
    *,
    images: Sequence[str | PathLike[str]] = (),
    workflow: str = "answer",
    tools: Sequence[str] = (),
    library: str | PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Trace:
    """Ask a model one question, through a workflow. Research software: not for clinical use.

    Args:
        model: starter, a folder, a finished training stage, a hub id, URL#NAME, or file.py:function.
        question: a text, or messages (see `messages`).
        images: files shown before the text.
        workflow: a name of `medxiaohe list workflows`, or file.py:function.
        tools: names of `medxiaohe list tools`.
        library: passages for the tool search.
        settings: of the workflow.
        **options: of the backend, such as max_new_tokens.

    Returns:
        the trace: `.answer`, `.messages`, `.steps`, `.evidence`; `.error` says why there is no answer.

    Raises:
        ConfigError: no such model, workflow, tool or setting.
    """
    conversation = list(messages(question))
    pictures = tuple(images_of.ref(Path(image)) for image in images)
    if pictures:
        last = conversation[-1]
        conversation[-1] = Message(last.role, (*pictures, *last.parts))
    passages, stores = by_name([str(library)] if library else [], "library")
    player = player_of(model)
    opened = tools_of(list(tools), resources(passages, stores), stores)
    cast = {"": load_player(player, options)}
    (trace,) = chosen(workflow, settings or {}).traces(
        [Prompt("question", tuple(conversation))], cast, opened
    )
    return trace
