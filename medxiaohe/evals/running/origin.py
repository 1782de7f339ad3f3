"""Provenance of a trace as digests for its head: model, prompts, workflow, tools, stores, versions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import medxiaohe
from medxiaohe import assets, io, plugins
from medxiaohe.agents.parsing.prompts import prompt_files
from medxiaohe.errors import ConfigError
from medxiaohe.evals.running.examined_model import HOW, SECRETS, weights_of
from medxiaohe.models.players import Player
from medxiaohe.recipe.identity import plugin_files
from medxiaohe.types import Tool

KEY = "MEDXIAOHE_TRACE_KEY"  # environment variable: file of a private key that signs the traces
STORE_TOOL = "search_"  # prefix of the tool that searches a named store


def digests(
    model: Mapping[str, Any],
    *,
    workflow: str,
    tools: Iterable[Tool] = (),
    stores: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Digests and names for `Trace.origin`; equal for equal runs, wherever their files are.

    Args:
        model: {name, weights, ...} and, for roles of their own, `cast` (evals/running/examined_model.py).
        workflow: its name.
        tools: of the workflow.
        stores: name -> file or folder that a tool searches.
        settings: of the workflow; `prompts` is a folder of the user's own prompts.

    Returns:
        such as "model.weights" or "tool.search" -> digest or name
    """
    result = {"medxiaohe": medxiaohe.__version__, "model": shown(str(model.get("name", "")))}
    result["model.weights"] = str(model.get("weights", "unknown"))
    decoding = {k: v for k, v in model.items() if k not in ("name", "weights", "cast")}
    result["model.settings"] = io.fingerprint(decoding)
    for role, identity in model.get("cast", {}).items():
        result[f"model.{role}"], result[f"model.{role}.weights"] = (
            shown(str(identity["name"])),
            str(identity["weights"]),
        )
    result["workflow.code"] = io.fingerprint(plugin_files("workflows", workflow))
    if own := str((settings or {}).get("prompts") or ""):
        result["workflow.prompts"] = io.fingerprint(sorted(prompt_files(own).values()))
    for tool in tools:
        result[f"tool.{tool.name}"] = tool_digest(tool)
    for name, path in sorted((stores or {}).items()):
        result[f"store.{name}"] = store_digest(Path(str(path)))
    return result


def identity_of(players: Mapping[str, Player]) -> dict[str, Any]:
    """Identity of the models of a workflow, in the form of `examined_model.identity`.

    Args:
        players: role -> its model; "" is the default, and must be there.

    Returns:
        {name, backend, options, weights} of the default, with those of other roles under `cast`

    Raises:
        KeyError: there is no default.
    """
    rows: dict[str, dict[str, Any]] = {
        role: {
            "name": player.model,
            "backend": player.backend,
            "options": {k: v for k, v in player.options.items() if k not in HOW + SECRETS},
            "weights": weights_of(player.model, player.backend),
        }
        for role, player in players.items()
    }
    return {**rows.pop(""), **({"cast": rows} if rows else {})}


def tool_digest(tool: Tool) -> str:
    """Digest of a tool: its source, all that it imports, and its description to a model.

    Args:
        tool: which may be a `search_NAME` of a store.

    Returns:
        16 hexadecimal digits
    """
    name = tool.name
    if name not in plugins.available("tools"):
        name = "search" if name.startswith(STORE_TOOL) else ""
    source = plugin_files("tools", name) if name else {}
    return io.fingerprint([source, tool.version, tool.description, io.to_json(dict(tool.parameters))])


def shown(name: str) -> str:
    """Name of a model for public records, since a path may name a person.

    Args:
        name: name or path.

    Returns:
        the last two parts of an absolute path; other names unchanged
    """
    return "/".join(name.rsplit("/", 2)[-2:]) if name.startswith(("/", "~")) else name


def signing_key() -> str:
    """Read the private key whose file the environment variable MEDXIAOHE_TRACE_KEY names.

    Returns:
        the key; "" if the variable is not set

    Raises:
        ConfigError: the file cannot be read.
    """
    path = os.environ.get(KEY, "")
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{KEY} names a key that cannot be read: {path}") from error


def secret() -> bytes:
    """Secret of this machine from which the salts of traces are derived, so that equal runs have equal heads.

    Returns:
        bytes, stored in the cache folder
    """
    from medxiaohe.traces.store import secret_of

    return secret_of(assets.cache_root() / "traces.secret")


def store_digest(path: Path) -> str:
    """Digest of a store.

    Args:
        path: its file or folder.

    Returns:
        16 hexadecimal digits of the file or of the folder's manifest; "unknown" for neither
    """
    if path.is_dir():
        return io.digest(path) or "unknown"
    return io.sha256(path)[:16] if path.is_file() else "unknown"
