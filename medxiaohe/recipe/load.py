"""Read a recipe file: parameters, stages, overrides; everything is checked here, before anything runs.

    name: quickstart
    out: out/quickstart
    params: {model: starter, seed: 0}
    stages:
      tree:  {uses: entity.build, with: {vocabularies: [mondo]}}
      train: {uses: train.sft, needs: {data: mixture}, with: {model: "${model}"}}

`${name}` is a parameter, `${env:NAME}` an environment variable. `--set model=PATH` changes a parameter,
`--set train.learning_rate=1e-4` one setting of one stage. `version` (default "1") names the folder.
"""

from __future__ import annotations

import inspect
import os
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.recipe import settings as typed

TOP_KEYS = ("name", "about", "out", "params", "stages")
STAGE_KEYS = ("uses", "needs", "with", "version")
REFERENCE = re.compile(r"\$\{([^{}]+)\}")


@dataclass(frozen=True)
class Stage:
    """One step of a recipe. `run(settings, out, **inputs)` writes files below the folder `out`."""

    name: str
    uses: str
    run: Callable[..., Mapping[str, Any] | None]
    settings: Any
    needs: Mapping[str, str] = field(default_factory=dict)  # role -> name of an earlier stage
    version: str = "1"

    def folder(self, root: Path) -> Path:
        return root / self.name / self.version


@dataclass(frozen=True)
class Recipe:
    name: str
    out: Path
    stages: tuple[Stage, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""

    def resolved(self) -> dict[str, Any]:
        """The recipe with every default filled in, as `--dry-run` prints it."""
        stages = {
            s.name: {"uses": s.uses, "version": s.version, "needs": dict(s.needs), "with": io.to_json(s.settings)}
            for s in self.stages
        }
        return {"name": self.name, "out": str(self.out), "params": dict(self.params), "stages": stages}


def load(path: Path, overrides: Sequence[str] = (), out: Path | None = None) -> Recipe:
    """The checked recipe of a YAML file. Raises ConfigError; writes nothing."""
    raw = _yaml(path)
    if not isinstance(raw, dict) or not isinstance(raw.get("stages"), dict) or not raw["stages"]:
        raise ConfigError(f"{path}: a recipe needs `stages:`, a mapping of at least one stage")
    _known(raw, TOP_KEYS, str(path))
    params, changes = dict(raw.get("params") or {}), dict[str, dict[str, Any]]()
    for text in overrides:
        _override(text, params, changes, raw["stages"])
    root = out or Path(_fill(str(raw.get("out", f"out/{path.stem}")), params, "out"))
    stages: list[Stage] = []
    for name, body in raw["stages"].items():
        stages.append(_stage(name, body, params, changes.get(name, {}), [s.name for s in stages]))
    return Recipe(str(raw.get("name", path.stem)), root, tuple(stages), params, str(raw.get("about", "")))


def stage(name: str, uses: str, values: Mapping[str, Any], needs: Mapping[str, str] | None = None) -> Stage:
    """A stage built in Python, checked like one from a file."""
    needs = dict(needs or {})
    return _stage(name, {"uses": uses, "with": dict(values), "needs": needs}, {}, {}, list(needs.values()))


def settings_type(run: Callable[..., Any]) -> type:
    """The dataclass a stage function takes as its `settings`."""
    hints = typing.get_type_hints(run)
    if "settings" not in hints:
        raise ConfigError(f"{run.__module__}.{run.__name__} is no stage: its first argument must be `settings: SomeSettings`")
    return typing.cast(type, hints["settings"])


def _stage(name: str, body: Any, params: Mapping[str, Any], changes: Mapping[str, Any], earlier: list[str]) -> Stage:
    where = f"stages.{name}"
    if not isinstance(body, dict) or "uses" not in body:
        raise ConfigError(f"{where}: needs `uses:`, one of {', '.join(plugins.stages())}")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", str(name)):
        raise ConfigError(f"{where}: a stage name is letters, digits, _ and -, because it becomes a folder")
    _known(body, STAGE_KEYS, where)
    uses = str(body["uses"])
    run = plugins.load_stage(uses)
    values = {**(body.get("with") or {}), **changes}
    values = {key: _fill(value, params, f"{where}.with.{key}") for key, value in values.items()}
    needs = {str(k): str(v) for k, v in (body.get("needs") or {}).items()}
    _check_needs(run, needs, earlier, where)
    kind = settings_type(run)
    version = _fill(str(body.get("version", "1")), params, f"{where}.version")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", version):
        raise ConfigError(f"{where}.version: {version!r} cannot be a folder name: use letters, digits, . _ -")
    return Stage(name, uses, run, typed.build(kind, values, f"{where}.with"), needs, version)


def _check_needs(run: Callable[..., Any], needs: Mapping[str, str], earlier: list[str], where: str) -> None:
    parameters = list(inspect.signature(run).parameters.values())[2:]
    roles = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    required = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
    any_role = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for role, source in needs.items():
        if role not in roles and not any_role:
            raise ConfigError(f"{where}.needs.{role}: unknown input{plugins.nearest(role, roles)}")
        if source not in earlier:
            raise ConfigError(f"{where}.needs.{role}: no earlier stage {source!r}{plugins.nearest(source, earlier)}")
    if missing := required - set(needs):
        raise ConfigError(f"{where}.needs: missing {', '.join(sorted(missing))}: name the earlier stage that makes it")


def _override(text: str, params: dict[str, Any], changes: dict[str, dict[str, Any]], stages: Mapping[str, Any]) -> None:
    import yaml

    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: write name=value or stage.setting=value")
    head, dot, rest = key.partition(".")
    if not dot:
        if key not in params:
            raise ConfigError(f"--set {key}: unknown parameter{plugins.nearest(key, params)}")
        params[key] = _number(yaml.safe_load(value))
    elif head not in stages:
        raise ConfigError(f"--set {key}: no stage {head!r}{plugins.nearest(head, stages)}")
    else:
        changes.setdefault(head, {})[rest] = _number(yaml.safe_load(value))


def _fill(value: Any, params: Mapping[str, Any], where: str) -> Any:
    """Replace ${name} in text; a value that is one reference keeps the parameter's type."""
    if isinstance(value, dict):
        return {key: _fill(item, params, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, params, where) for item in value]
    if not isinstance(value, str):
        return value
    if whole := REFERENCE.fullmatch(value):
        return _lookup(whole[1], params, where)
    return REFERENCE.sub(lambda m: str(_lookup(m[1], params, where)), value)


def _lookup(name: str, params: Mapping[str, Any], where: str) -> Any:
    if name.startswith("env:"):
        if (found := os.environ.get(name[4:])) is None:
            raise ConfigError(f"{where}: the environment variable {name[4:]} is not set: export {name[4:]}=...")
        return found
    if name not in params:
        raise ConfigError(f"{where}: no parameter {name!r}{plugins.nearest(name, params)}")
    return params[name]


def _known(raw: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in keys:
            raise ConfigError(f"{where}: unknown key {key!r}{plugins.nearest(str(key), keys)}")


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as text; everybody who types it means the number."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def _yaml(path: Path) -> Any:
    import yaml

    try:
        return _numbers(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ConfigError(f"no such recipe: {path}") from error
    except (IsADirectoryError, PermissionError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the recipe {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return _number(value)
