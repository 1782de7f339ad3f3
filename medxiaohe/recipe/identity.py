"""What the result of a stage depends on, and how two such records differ.

A finished stage is refused when its settings, the bytes of its inputs or its code have changed. Its code is
the module of the stage, every module of medxiaohe it imports (`io.code`), the plug-ins its settings name
(readers, filters, tasks, ...) with what they import, and files of the user's own.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import medxiaohe
from medxiaohe import io, plugins
from medxiaohe.recipe.load import Stage
from medxiaohe.recipe.settings import content_hash, decisive, input_paths

PACKAGE = Path(medxiaohe.__file__).parent


def identity(stage: Stage, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """The record of what a stage's result depends on.

    Args:
        stage: the stage with its checked settings.
        inputs: role -> folder of a finished stage.

    Returns:
        {"stage", "uses", "settings", "needs": {role: digest}, "files": {path: digest}, "code": {name:
        digest}}
    """
    return {
        "stage": stage.name,
        "uses": stage.uses,
        "settings": decisive(stage.settings),
        "needs": {role: io.digest(folder) for role, folder in inputs.items()},
        "files": {path: content_hash(path) for path in sorted(set(input_paths(stage.settings)))},
        "code": code(stage),
    }


def code(stage: Stage) -> dict[str, str]:
    """Version of the package and the digests of every source file that a stage runs."""
    file = Path(inspect.getsourcefile(stage.run) or "")
    settings = io.to_json(stage.settings)
    own = {name: content_hash(name.rpartition(":")[0]) for name in sorted(set(_own_files(settings)))}
    found = io.code.dependencies_of_file(file) if file.is_file() else {}
    for kind in sorted(_plugin_kinds(file)):
        names = set(plugins.available(kind))
        for text in sorted(set(_strings(settings))):
            if text.partition(".")[0] in names:
                found |= plugin_files(kind, text)
    return {"medxiaohe": medxiaohe.__version__, **dict(sorted(found.items())), **own}


def plugin_files(kind: str, name: str) -> dict[str, str]:
    """Source files of a plug-in and of what it imports: module or file name -> 16 hex digits of its
    SHA-256."""
    folder = plugins.folder_of(kind)
    where = name.rpartition(":")[0] or (name if name.endswith((".yaml", ".yml")) else "")
    if where:
        path = Path(where).expanduser()
        return io.code.dependencies_of_file(path) if path.is_file() else {}
    file = name.partition(".")[0]
    yaml = PACKAGE.joinpath(*folder.split("."), f"{file}.yaml")
    if kind in plugins.BY_YAML and yaml.is_file():
        return {f"{folder}/{yaml.name}": io.sha256(yaml)[:16]}
    return io.code.dependencies(f"medxiaohe.{folder}.{file}")


def plugin_code(kind: str, name: str) -> str:
    """16 hex digits of the source of a plug-in and of what it imports; for the keys of unfinished work."""
    return io.fingerprint(plugin_files(kind, name))


def _plugin_kinds(file: Path) -> set[str]:
    """Kinds of plug-ins that the code of a stage loads by name."""
    if not file.resolve().is_relative_to(PACKAGE):
        return set()
    return io.code.plugin_kinds(io.code.module_name(file)) & set(plugins.KINDS)


def _strings(settings: Any) -> Iterator[str]:
    """Every string inside settings, keys of mappings included."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield key
            yield from _strings(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _strings(value)
    elif isinstance(settings, str):
        yield settings


def _own_files(settings: Any) -> Iterator[str]:
    """Every "mine/eye.py:eye" inside settings: a reader, filter, task or scorer whose code is the user's."""
    for text in _strings(settings):
        where = text.rpartition(":")[0]
        if where.endswith(".py") and Path(where).is_file():
            yield text


def differences(before: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Readable lines like `settings.learning_rate: 0.001 -> 0.002`; the summary is a result, not compared."""
    now = json.loads(json.dumps(now))
    for key in sorted(set(before) | set(now)):
        old, new = before.get(key), now.get(key)
        if old == new or (not where and key in ("summary", "seal")):
            continue
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            old, new = ({str(i): item for i, item in enumerate(items)} for items in (old, new))
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{where}{key}.")
        else:
            yield f"{where}{key}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
