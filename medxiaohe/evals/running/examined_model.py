"""The examined model: load its backend, and identify everything about it that can change an answer."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.assets import digests
from medxiaohe.errors import ConfigError, MedError
from medxiaohe.evals.running.settings import RunSettings
from medxiaohe.models import checkpoint, starter
from medxiaohe.models.players import Player, load_player
from medxiaohe.types import Model

SECRETS = ("api_key_env",)  # no secret itself, but the source of a key changes no answer
# settings that change no answer
HOW = ("batch_size", "workers", "timeout", "retries", "first_wait", "device", "device_map", "resolve", "gpus")


def load_model(settings: RunSettings, stage: Path | None) -> Model:
    """Load the model of an earlier stage, or the one that the settings name.

    Args:
        settings: of the evaluation.
        stage: folder of a training stage; None: `settings.model`.

    Returns:
        the model

    Raises:
        ConfigError: there are two models or none, or the backend has no temperature.
    """
    if stage is not None and settings.model:
        raise ConfigError(
            f"two models: `needs: model` is a stage, and `model: {settings.model}` is set; keep one"
        )
    name = str(stage / "model" if stage is not None else settings.model)
    if not name:
        raise ConfigError("no model: name a training stage in `needs:` as `model`, or set `model`")
    parameters = inspect.signature(plugins.load("models", settings.backend)).parameters
    if settings.temperature and "temperature" not in parameters:
        raise ConfigError(f"the backend {settings.backend} has no temperature: leave it at 0")
    return load_player(Player(name, settings.backend, settings.options), _common(settings))


def load_cast(settings: RunSettings) -> dict[str, Model]:
    """Load the models of single roles of the workflow.

    Args:
        settings: of the evaluation.

    Returns:
        role -> model; a player that two roles share is loaded once
    """
    loaded: dict[str, Model] = {}
    cast = {}
    for role, player in settings.cast.items():
        key = io.fingerprint(player)
        if key not in loaded:
            loaded[key] = load_player(player, _common(settings))
        cast[role] = loaded[key]
    return cast


def _common(settings: RunSettings) -> dict[str, Any]:
    """Options of every backend that has them."""
    common = {
        "max_new_tokens": settings.max_new_tokens,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
    }
    return common | ({"temperature": settings.temperature} if settings.temperature else {})  # type: ignore[dict-item]


def with_seed(engine: Model, seed: int) -> Model:
    """Reseed a model.

    Args:
        engine: the model.
        seed: of sampling.

    Returns:
        the same model with the seed; unchanged if its backend cannot be seeded
    """
    return engine.with_seed(seed) if hasattr(engine, "with_seed") else engine  # type: ignore[no-any-return]


def identity(settings: RunSettings, stage: Path | None, out: Path) -> dict[str, Any]:
    """Identity of the model and its decoding: everything that can change an answer, and nothing else.

    Args:
        settings: of the evaluation.
        stage: folder of a training stage, or None.
        out: folder of the evaluation; paths are relative to its parent, so that moving a whole run changes
            nothing.

    Returns:
        {name, backend, max_new_tokens, temperature, mode, options, weights, and cast if roles have their own
        models}
    """
    name = settings.model or os.path.relpath(stage / "model" if stage else "", out.parent)
    options = {k: v for k, v in settings.options.items() if k not in HOW + SECRETS}
    decoding = {
        "max_new_tokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        "mode": settings.mode,
    }
    cast = cast_identity(settings)
    return {
        "name": name,
        "backend": settings.backend,
        **decoding,
        "options": options,
        "weights": weights(settings, stage),
        **({"cast": cast} if cast else {}),
    }


def cast_identity(settings: RunSettings) -> dict[str, dict[str, Any]]:
    """Identity of the models of single roles.

    Args:
        settings: of the evaluation.

    Returns:
        role -> {name, backend, options, weights}
    """
    return {role: _of_role(settings, player) for role, player in settings.cast.items()}


def _of_role(settings: RunSettings, player: Player) -> dict[str, Any]:
    """Identity of the model of one role."""
    options = {k: v for k, v in player.options.items() if k not in HOW + SECRETS}
    alone = replace(settings, model=player.model, backend=player.backend, options=options, cast={})
    return {
        "name": player.model,
        "backend": player.backend,
        "options": options,
        "weights": weights(alone, None),
    }


def repeatable(settings: RunSettings, about: Mapping[str, Any]) -> bool:
    """Whether a cached reply may replace a new one.

    Args:
        settings: of the evaluation.
        about: identity of the model.

    Returns:
        True for greedy decoding of known weights, or of a server that is trusted to keep its model under its
        name; False for functions of the user's
    """
    is_identified = about["weights"] != "unknown" or settings.backend == "openai_compatible"
    return settings.temperature == 0 and settings.backend not in ("python", "scripted") and is_identified


def weights(settings: RunSettings, stage: Path | None) -> str:
    """Digest of the weights, or of the code, of the examined model.

    Args:
        settings: of the evaluation.
        stage: folder of a training stage, or None.

    Returns:
        hexadecimal digest, name of the starter or commit; "unknown" for a model behind a server
    """
    return _folder(stage / "model") if stage is not None else weights_of(settings.model, settings.backend)


def weights_of(model: str, backend: str) -> str:
    """Digest of the weights, or of the code, of a model by its name and backend.

    Args:
        model: folder, hub id, "starter" or file.py:function.
        backend: its name.

    Returns:
        hexadecimal digest, name of the starter or commit; "unknown" for a model behind a server
    """
    if backend == "openai_compatible":
        return "unknown"
    if ":" in model and (file := Path(model.rpartition(":")[0])).suffix == ".py":
        return io.sha256(file)[:16] if file.is_file() else "unknown"
    if model == "starter" and backend in ("transformers", "vllm"):
        name = f"starter-{starter.VERSION}"
        return io.digest(assets.cache_root() / "models" / name) or name
    folder = Path(model).expanduser()
    return _folder(folder) if folder.is_dir() else _snapshot(model)


def _folder(folder: Path) -> str:
    """Digest of a folder: of the digests in its manifest, else of the bytes of every file."""
    manifest = next((p for p in (folder / io.MANIFEST, folder.parent / io.MANIFEST) if p.is_file()), None)
    if manifest is not None:
        files = {
            k: v["sha256"]
            for k, v in io.read_json(manifest)["files"].items()
            if manifest.parent == folder or k.startswith("model/")
        }
        return io.fingerprint({k.removeprefix("model/"): v for k, v in files.items()})
    return io.fingerprint(
        {
            p.relative_to(folder).as_posix(): digests.sha256(p)
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }
    )


def _snapshot(name: str) -> str:
    """Commit of a hub model, else "unknown"."""
    try:
        return checkpoint.pinned(name).partition("@")[2] or "unknown"
    except (ImportError, MedError):
        return "unknown"
