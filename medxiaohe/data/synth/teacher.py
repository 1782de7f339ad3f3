"""Teacher models: clients of models that write or judge rows, from the settings of a recipe.

A teacher is a `models.asking.Client` whose journal is in the stage's unfinished work: a run that was killed
resumes to the same rows, and pays for no reply twice.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.models.asking import REPAIRS, Client
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.models.spending import CallBudget
from medxiaohe.recipe.settings import HOW
from medxiaohe.types import Model

TOGETHER = 16  # conversations handed to the model at once
MAX_NEW_TOKENS = 512  # where the options of the backend do not say


@dataclass(frozen=True)
class TeacherSettings:
    """Settings of a teacher model.

    Attributes:
        model: what `backend` takes, such as a name or a folder.
        backend: name of a file of models/backends.
        options: of the backend: url, api_key_env, privacy, temperature, ...
        retries: requests that show the model what is wrong with its reply.
        max_calls: requests at most; None: no limit, as of the next two.
        max_tokens: tokens at most, of prompts and replies together.
        max_cost: cost at most, in the currency of the prices.
        price_in: for a million tokens of prompts.
        price_out: for a million tokens of replies.
        together: conversations handed to the model at once.
    """

    model: str
    backend: str = "openai_compatible"
    # of the backend: url, api_key_env, privacy, temperature, ...
    options: dict[str, Any] = field(default_factory=dict)
    retries: int = REPAIRS  # requests that show the model what is wrong with its reply
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    together: Annotated[int, HOW] = TOGETHER

    def __post_init__(self) -> None:
        if self.retries < 0 or self.together < 1:
            raise ConfigError(
                f"retries must be at least 0 and together at least 1, not {self.retries} and {self.together}"
            )
        self.budget  # noqa: B018  raises when it contradicts itself

    @property
    def budget(self) -> CallBudget:
        """Limits of calls, tokens and cost.

        Returns:
            The budget of the client.

        Raises:
            ConfigError: the limits contradict each other.
        """
        return CallBudget(self.max_calls, self.max_tokens, self.max_cost, self.price_in, self.price_out)


def teacher(settings: TeacherSettings, work: Path | None = None) -> Client:
    """Load the model that the settings name, and make its client.

    Args:
        settings: of the teacher.
        work: folder for the journal of replies; None: replies are not stored.

    Returns:
        The client, named after backend, model and a digest of the options.

    Raises:
        ConfigError: there is no such backend, or it has no such option.
    """
    backend = plugins.load("models", settings.backend)
    parameters = inspect.signature(backend).parameters
    if unknown := [key for key in settings.options if key not in parameters]:
        raise ConfigError(
            f"the backend {settings.backend} has no option {unknown[0]!r}"
            f"{plugins.nearest(unknown[0], parameters)}"
        )
    common = {"max_new_tokens": MAX_NEW_TOKENS}
    options = {key: value for key, value in common.items() if key in parameters} | settings.options
    settings_digest = io.fingerprint([settings.backend, settings.model, options])[:8]
    model = backend(settings.model, **options)
    name = f"{settings.backend}:{model.name}#{settings_digest}"
    return client(
        model, settings, name=name, journal=work / f"replies-{settings_digest}.sqlite" if work else None
    )


def client(model: Model, settings: TeacherSettings, *, name: str = "", journal: Path | None = None) -> Client:
    """Make the client of a model that is already loaded.

    Args:
        model: the model.
        settings: limits, retries and batch size; its model and backend are not used.
        name: under which replies are stored; "": that of the model.
        journal: file of the replies; None: replies are not stored.

    Returns:
        The client.
    """
    return Client(
        model,
        name=name,
        budget=settings.budget,
        repairs=settings.retries,
        together=settings.together,
        journal=ReplyStore(journal) if journal else None,
    )


def spending(client: Client) -> dict[str, Any]:
    """Summarise a teacher for the summary of a stage.

    Returns:
        `teacher` (its name), `calls` and `cost` (in the currency of its prices).
    """
    return {"teacher": client.name, "calls": client.spent.calls, "cost": round(client.spent.cost, 6)}
