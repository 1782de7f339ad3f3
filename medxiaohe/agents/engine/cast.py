"""The models of the roles of a workflow, and their capabilities."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from medxiaohe import plugins
from medxiaohe.agents.engine.requests import Ask, Rank
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.types import Message, Model, Tool

DEFAULT = ""  # the role that plays every role the cast does not name
WIDTH = 8  # requests in flight to a backend that does not name its `workers`


class Cast:
    """Role -> model; "" is the model of all roles that are not named."""

    def __init__(self, models: Model | Mapping[str, Model], roles: Collection[str] | None = None) -> None:
        """
        Args:
            models: one model for all roles, or a mapping from role to model.
            roles: those of the workflow, where it declares them.

        Raises:
            ConfigError: no model at all, or a model for a role that the workflow does not have.
        """
        self._models = dict(models) if isinstance(models, Mapping) else {DEFAULT: models}
        if not self._models:
            raise ConfigError("the cast has no model: give one, or one for each role")
        for role in self._models:
            if roles is not None and role != DEFAULT and role not in roles:
                raise ConfigError(f"the workflow has no role {role!r}{plugins.nearest(role, roles)}")

    def of(self, role: str) -> Model:
        """Look up the model of a role.

        Args:
            role: of the workflow; "" is the default role.

        Returns:
            its own model, else that of the default role.

        Raises:
            ConfigError: there is neither.
        """
        model = self._models.get(role, self._models.get(DEFAULT))
        if model is None:
            raise ConfigError(
                f"the cast has no model for the role {role!r}{plugins.nearest(role, self._models)}: name one,"
                " or a default"
            )
        return model

    @property
    def models(self) -> list[Model]:
        """Models of the cast.

        Returns:
            each model once.
        """
        return list({id(model): model for model in self._models.values()}.values())

    @property
    def concurrent(self) -> bool:
        """Whether cases may run concurrently.

        Returns:
            True if every model takes requests from several threads at once, as a server does.
        """
        return all(getattr(model, "concurrent", False) for model in self.models)

    @property
    def width(self) -> int:
        """Number of requests in flight.

        Returns:
            how many requests all models together take at once.
        """
        return sum(int(getattr(model, "workers", WIDTH)) for model in self.models)

    def needs_likelihoods(self) -> None:
        """Check that every backend gives likelihoods.

        Raises:
            ConfigError: one does not.
        """
        for model in self.models:
            nats(model)


def nats(model: Model) -> Any:
    """Look up the method of a backend that gives likelihoods.

    Args:
        model: backend.

    Returns:
        `choice_nats` of the backend: (conversations, answers of each) -> nats of each answer.

    Raises:
        ConfigError: the backend has no such method.
    """
    result = getattr(model, "choice_nats", None)
    if result is None:
        raise ConfigError(
            f"this workflow ranks answers, and the backend of {model.name} gives no likelihoods: use the"
            " backend transformers"
        )
    return result


def replies(
    model: Model, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool]
) -> Iterator[tuple[int, Message]]:
    """Generate replies, as they arrive where the backend yields them in groups.

    Args:
        model: backend.
        conversations: messages of each request.
        tools: that the chat template describes to the model.

    Yields:
        (index of the conversation, reply)

    Raises:
        ModelError: the number of replies differs from that of conversations, or one is no assistant
            message.
    """
    number, expected = 0, len(conversations)
    if hasattr(model, "replies"):
        for group in model.replies(conversations, tools):
            for i, message in group:
                number += 1
                if number <= expected:
                    yield i, _assistant(model, message)
    else:
        results = model.reply(conversations, tools)
        number = len(results)
        if number == expected:
            yield from ((i, _assistant(model, message)) for i, message in enumerate(results))
    if number != expected:
        raise ModelError(f"{model.name} gave {number} replies to {expected} conversations")


def _assistant(model: Model, message: Any) -> Message:
    if not isinstance(message, Message) or message.role != "assistant":
        kind = f"a message of role {message.role}" if isinstance(message, Message) else type(message).__name__
        raise ModelError(f"{model.name} must reply with assistant messages, not with {kind}")
    return message


def counted(model: Model, messages: Sequence[Message], reply: Message) -> tuple[int, int]:
    """Count the tokens of a request.

    Args:
        model: backend, which may have `count`.
        messages: of the request.
        reply: of the model.

    Returns:
        (prompt tokens, reply tokens); (0, 0) if the backend does not count.
    """
    count = getattr(model, "count", None)
    return (int(count(messages)), int(count([reply]))) if count is not None else (0, 0)


def answers(model: Model, requests: Sequence[Ask | Rank]) -> Iterator[tuple[int, Any]]:
    """Answer a batch of requests, as results arrive.

    Args:
        model: backend.
        requests: all of one kind (`Ask` or `Rank`), with the same tools.

    Yields:
        (index of the request, reply or nats of each answer)

    Raises:
        ModelError: the number of results differs from that of requests.
    """
    first = requests[0]
    if isinstance(first, Ask):
        yield from replies(model, [r.messages for r in requests], first.tools)
        return
    ranks = [r for r in requests if isinstance(r, Rank)]
    rows = nats(model)([r.messages for r in ranks], [list(r.answers) for r in ranks])
    if [len(row) for row in rows] != [len(r.answers) for r in ranks]:
        raise ModelError(f"{model.name} gave no likelihood for each of the answers to rank")
    yield from enumerate(tuple(float(value) for value in row) for row in rows)
