"""Models by name: who plays a role of a workflow, in settings (`Player`) and on the command line
(`player_of`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import plugins
from medxiaohe.errors import ConfigError
from medxiaohe.types import Model

URL = re.compile(r"https?://")
ROLE = re.compile(r"([A-Za-z_]\w*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Player:
    """A model that plays a role of a workflow."""

    model: str
    backend: str = "transformers"
    options: dict[str, Any] = field(default_factory=dict)


def load_player(player: Player, common: Mapping[str, Any] | None = None) -> Model:
    """Load the backend of a player.

    Args:
        player: name, backend and options.
        common: options that are set where the backend has them and the player does not set them.

    Returns:
        a model that answers conversations.

    Raises:
        ConfigError: no such backend, or an option that it does not have.
    """
    backend = plugins.load("models", player.backend)
    parameters = inspect.signature(backend).parameters
    if unknown := [key for key in player.options if key not in parameters]:
        raise ConfigError(
            f"the backend {player.backend} has no option {unknown[0]!r}"
            f"{plugins.nearest(unknown[0], parameters)}"
        )
    shared = {key: value for key, value in (common or {}).items() if key in parameters}
    return backend(model_folder(player.model), **(shared | player.options))  # type: ignore[no-any-return]


def model_folder(name: str) -> str:
    """Resolve the folder of a finished training stage to its checkpoint in `model/`.

    Args:
        name: a folder, a hub id or any other name of a model.

    Returns:
        `NAME/model` where that has a config.json, otherwise `name` unchanged.
    """
    inside = Path(name) / "model"
    return str(inside) if (inside / "config.json").is_file() else name


def player_of(text: str, served: str = "") -> Player:
    """Parse a model of the command line: URL#NAME, file.py:function, a folder, starter, or a hub id.

    Args:
        text: value of --model.
        served: name of the model behind a URL, where the URL does not say it.

    Returns:
        the player with its backend.

    Raises:
        ConfigError: a URL without a name.
    """
    if URL.match(text):
        address, _, own = text.partition("#")
        if not (name := served or own):
            raise ConfigError(
                f"--model {text}: the server has several models: add --name NAME, or write {text}#NAME"
            )
        return Player(name, "openai_compatible", {"url": address})
    if ":" in text and not Path(text).exists():
        return Player(text, "python")
    return Player(model_folder(text))


def by_name(texts: list[str], option: str) -> tuple[str, dict[str, str]]:
    """Split the values of a repeatable option into one without a name and those of the form NAME=VALUE.

    Args:
        texts: such as `starter` and `director=out/sft`; the path of an existing file has no name.
        option: for the message of an error.

    Returns:
        (value without a name or "", name -> value).

    Raises:
        ConfigError: two without a name, or two of one name.
    """
    default, roles = "", dict[str, str]()
    for text in texts:
        named = None if Path(text).exists() else ROLE.fullmatch(text)
        if (named and named[1] in roles) or (not named and default):
            raise ConfigError(
                f"{option} {text}: {named[1] if named else 'the one without a name'} is given twice:"
                f" give each name once, as {option} NAME=FOLDER"
            )
        if named:
            roles[named[1]] = named[2]
        else:
            default = text
    return default, roles
