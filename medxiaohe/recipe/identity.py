"""Identify what the result of a stage depends on, and compare two such records.

A finished stage is refused when its settings, the bytes of its inputs or its code have changed. Its code is
the module of the stage, every module of medxiaohe it imports (`io.code`), the plug-ins its settings name
(readers, filters, tasks, ...) with what they import, and files of the user's own. Settings may have a method
`reads(inputs) -> Reads`: what the stage reads that neither its settings nor its inputs hold, such as the data
files of tasks.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import medxiaohe
from medxiaohe import io, plugins
from medxiaohe.recipe.load import Stage, read_yaml
from medxiaohe.recipe.settings import content_hash, decisive, input_paths

PACKAGE = Path(medxiaohe.__file__).parent
NAMED = 3  # changed source files that a message names; the others are counted


@dataclass(frozen=True)
class Reads:
    """What a result depends on beside settings and inputs.

    Attributes:
        data: path, pack:PATH, asset:NAME or hub:NAME -> digest of its bytes, or its pinned revision.
        code: module or file -> digest of its source.
    """

    data: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: Reads) -> Reads:
        return Reads({**self.data, **other.data}, {**self.code, **other.code})


def identity(stage: Stage, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """The record of what a stage's result depends on.

    Args:
        stage: the stage with its checked settings.
        inputs: role -> folder of a finished stage.

    Returns:
        {"stage", "uses", "settings", "needs": {role: digest}, "files": {path: digest}, "code": {name:
        digest}}, and "data": {name: digest} where the settings say that the stage reads any.
    """
    reads = stage.settings.reads(inputs) if hasattr(stage.settings, "reads") else Reads()
    return {
        "stage": stage.name,
        "uses": stage.uses,
        "settings": decisive(stage.settings),
        "needs": {role: io.digest(folder) for role, folder in inputs.items()},
        "files": {path: content_hash(path) for path in sorted(set(input_paths(stage.settings)))},
        "code": {**code(stage), **reads.code},
        **({"data": dict(sorted(reads.data.items()))} if reads.data else {}),
    }


def code(stage: Stage) -> dict[str, str]:
    """Hash every source file that a stage runs: its module, what it imports, and the plug-ins that its
    settings name.

    Args:
        stage: with its checked settings.

    Returns:
        `medxiaohe` -> version of the package, and module or file -> 16 hexadecimal digits of its SHA-256.
    """
    file = Path(inspect.getsourcefile(stage.run) or "")
    settings = io.to_json(stage.settings)
    digests = io.code.dependencies_of_file(file) if file.is_file() else {}
    for name in sorted(set(_own_files(settings))):
        digests |= plugin_files("", name)
    for kind in sorted(_plugin_kinds(file)):
        names = set(plugins.available(kind))
        for text in sorted(set(_strings(settings))):
            if text.partition(".")[0] in names:
                digests |= plugin_files(kind, text)
    return {"medxiaohe": medxiaohe.__version__, **dict(sorted(digests.items()))}


def plugin_files(kind: str, name: str) -> dict[str, str]:
    """Source files of a plug-in and of what it imports.

    Args:
        kind: such as "readers"; "" for a file of the user's own.
        name: of the plug-in: "medqa", "mine/eye.py:eye" or "mine/eye.yaml".

    Returns:
        Module or file name -> 16 hex digits of its SHA-256. A YAML file has the digests of what reads it, and
        of the scorers, tools and workflow that it names.
    """
    if name.endswith((".yaml", ".yml")):
        return _yaml_files(Path(name).expanduser(), name)
    name = plugins.installed(kind, name).get(name, name) if kind else name
    module = name.rpartition(":")[0]
    if module.endswith(".py"):
        path = Path(module).expanduser()
        return io.code.dependencies_of_file(path, name) if path.is_file() else {}
    if module:
        return _installed_files(module)
    folder, file = plugins.folder_of(kind), name.partition(".")[0]
    yaml = PACKAGE.joinpath(*folder.split("."), f"{file}.yaml")
    if kind in plugins.BY_YAML and yaml.is_file():
        return _yaml_files(yaml, f"{folder}/{yaml.name}")
    return io.code.dependencies(f"medxiaohe.{folder}.{file}")


def _installed_files(module: str) -> dict[str, str]:
    """Hash a module outside the package that a name such as "my_pkg.eye:eye" refers to."""
    if module.partition(".")[0] == "medxiaohe":
        return io.code.dependencies(module)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return {}
    path = Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
    return io.code.dependencies_of_file(path, module) if path is not None and path.is_file() else {}


def _yaml_files(path: Path, shown: str) -> dict[str, str]:
    """Hash a YAML plug-in, its reader, and the plug-ins that its strings name."""
    if not path.is_file():
        return {}
    result = {shown: io.sha256(path)[:16]}
    result |= io.code.dependencies(*(name.partition(":")[0] for name in plugins.BY_YAML.values()))
    named = {text.partition(".")[0] for text in _strings(read_yaml(path))}
    for kind in ("scoring", "tools", "workflows"):
        for name in sorted(named & set(plugins.available(kind))):
            result |= plugin_files(kind, name)
    return result


def plugin_code(kind: str, name: str) -> str:
    """Hash the source of a plug-in and of what it imports, for the keys of unfinished work.

    Args:
        kind: as in `plugin_files`, and so is `name`.

    Returns:
        16 hexadecimal digits.
    """
    return io.fingerprint(plugin_files(kind, name))


def _plugin_kinds(file: Path) -> set[str]:
    """List the kinds of plug-ins that the code of a stage loads by name."""
    if not file.resolve().is_relative_to(PACKAGE):
        return set()
    return io.code.plugin_kinds(io.code.module_name(file)) & set(plugins.KINDS)


def _strings(settings: Any) -> Iterator[str]:
    """List every string in settings, keys of mappings included."""
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
    """List every "mine/eye.py:eye" and "mine/eye.yaml" in settings: readers, filters, tasks or scorers of
    the user.
    """
    for text in _strings(settings):
        location = text if text.endswith((".yaml", ".yml")) else text.rpartition(":")[0]
        if location.endswith((".py", ".yaml", ".yml")) and Path(location).expanduser().is_file():
            yield text


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences of two records as a user reads them: at most three source files by name.

    Args:
        before: the record of a finished stage.
        now: its `identity` today.

    Returns:
        Lines such as `settings.learning_rate: 0.001 -> 0.002`; empty when nothing differs.
    """
    lines = list(differences(before, now))
    code = [line for line in lines if line.startswith("code.")]
    if len(code) <= NAMED:
        return lines
    # files that are there before and now come first: these were edited
    code.sort(key=lambda line: line.endswith("-> absent") or ": absent ->" in line)
    others = [line for line in lines if not line.startswith("code.")]
    return [*others, *code[:NAMED], f"and {len(code) - NAMED} more source files"]


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Compare two records key by key.

    Args:
        before: the record of a finished stage, or a part of it.
        now: its identity today.
        prefix: of the keys; "" for whole records, whose summary and seal are not compared.

    Yields:
        Lines such as `settings.learning_rate: 0.001 -> 0.002`, by key.
    """
    now = json.loads(json.dumps(now))
    for key in sorted(set(before) | set(now)):
        old, new = before.get(key), now.get(key)
        if old == new or (not prefix and key in ("summary", "seal")):
            continue
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            old, new = ({str(i): item for i, item in enumerate(items)} for items in (old, new))
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
