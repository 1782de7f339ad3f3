"""Read a recipe file: parameters, stages, overrides; everything is checked here, before anything runs.

    name: quickstart
    out: out/quickstart
    params: {model: starter, seed: 0}
    stages:
      tree:  {uses: entity.build, with: {vocabularies: [{reader: mondo}]}}
      train: {uses: train.sft, needs: {data: mixture}, with: {model: "${model}"}}

`${name}` is a parameter, `${env:NAME}` an environment variable. `--set model=PATH` changes a parameter,
`--set train.learning_rate=1e-4` one setting of one stage, `--set read.sources.0.limit=50` one inside a
list or mapping. `version` (default "1") names the folder. `extends: other.yaml` takes another recipe, beside
this one, and changes what is given: mappings are merged key by key, anything else is replaced.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io, permission, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.io import bounded_yaml
from medxiaohe.recipe import settings as typed
from medxiaohe.recipe import shipped
from medxiaohe.recipe.references import Filler

TOP_KEYS = ("extends", "name", "about", "out", "params", "minutes", "stages")
STAGE_KEYS = ("uses", "needs", "with", "version")


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
        """Return the folder of the stage in a run folder.

        Args:
            root: the run folder.

        Returns:
            root/NAME/VERSION.
        """
        return root / self.name / self.version


@dataclass(frozen=True)
class Recipe:
    """A checked recipe."""

    name: str
    out: Path
    stages: tuple[Stage, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    # of a stage on two quiet cores, to estimate the time left
    minutes: Mapping[str, float] = field(default_factory=dict)

    def resolved(self) -> dict[str, Any]:
        """Fill in every default, as `--dry-run` prints it.

        Returns:
            `name`, `out`, `params` and `stages` as plain JSON.
        """
        stages = {
            s.name: {
                "uses": s.uses,
                "version": s.version,
                "needs": dict(s.needs),
                "with": io.to_json(s.settings),
            }
            for s in self.stages
        }
        return {"name": self.name, "out": str(self.out), "params": dict(self.params), "stages": stages}


def load(
    path: Path, overrides: Sequence[str] = (), out: Path | None = None, *, allow_code: bool = False
) -> Recipe:
    """Read and check a recipe; writes nothing.

    Args:
        path: of the YAML file.
        overrides: `name=value` or `stage.setting=value`, as --set takes them.
        out: the run folder; None: that of the recipe.
        allow_code: whether the recipe may name Python code.

    Returns:
        The recipe.

    Raises:
        ConfigError: something in it is wrong.
        CodeRefused: it names Python code, and neither `allow_code` nor the command line allows it.
    """
    raw = _extended(path)
    permission.check_file(raw, str(path), allow_code=allow_code)
    if not isinstance(raw, dict) or not isinstance(raw.get("stages"), dict) or not raw["stages"]:
        raise ConfigError(f"{path}: a recipe needs `stages:`, a mapping of at least one stage")
    _known(raw, TOP_KEYS, str(path))
    raw_params, changes = _mapping(raw, "params", str(path)), dict[str, dict[str, Any]]()
    for text in overrides:
        _override(text, raw_params, changes, raw["stages"])
    params = dict[str, Any]()
    filler = Filler(params)
    for name, value in raw_params.items():
        params[str(name)] = filler.fill(value, f"params.{name}")
    root = out or Path(filler.fill(str(raw.get("out", f"out/{path.stem}")), "out"))
    stages: list[Stage] = []
    for name, body in raw["stages"].items():
        stages.append(_stage(name, body, filler, changes.get(str(name), {}), [s.name for s in stages]))
    minutes = _minutes(_mapping(raw, "minutes", str(path)), [stage.name for stage in stages], path)
    about = str(raw.get("about", ""))
    return Recipe(str(raw.get("name", path.stem)), root, tuple(stages), params, about, minutes)


def _minutes(minutes: Mapping[str, Any], stages: Sequence[str], path: Path) -> dict[str, float]:
    """Check the minutes of stages; ConfigError for an unknown stage or a value that is no number."""
    for name, value in minutes.items():
        if name not in stages:
            raise ConfigError(f"{path}: minutes.{name}: no such stage{plugins.nearest(name, stages)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise ConfigError(f"{path}: minutes.{name} must be a number of minutes, not {value!r}")
    return {name: float(value) for name, value in minutes.items()}


def _extended(path: Path, below: tuple[Path, ...] = ()) -> Any:
    """Read a recipe and merge it over the recipe it extends."""
    if path.resolve() in [extending.resolve() for extending in below]:
        raise ConfigError(
            f"{path}: extends itself by way of {', '.join(map(str, below[1:])) or 'nothing'}: leave one"
            " `extends:` out"
        )
    raw = read_yaml(path)
    if not isinstance(raw, dict) or "extends" not in raw:
        return raw
    if not isinstance(raw["extends"], str):
        raise ConfigError(f"{path}: extends must be the file name of a recipe, not {raw['extends']!r}")
    file = path.parent / raw["extends"]
    if not file.is_file():  # a copy of a shipped recipe extends what shipped beside it
        file = shipped.recipes().get(file.stem, file)
    base = _extended(file, (*below, path))
    return _merged(base, {key: value for key, value in raw.items() if key != "extends"})


def _merged(base: Any, changes: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return {**base, **{key: _merged(base.get(key), value) for key, value in changes.items()}}


def stage(
    name: str,
    uses: str,
    values: Mapping[str, Any],
    needs: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> Stage:
    """Build a stage in Python, checked like one of a file.

    Args:
        name: of the stage.
        uses: name of the stage function, such as "data.read".
        values: the settings.
        needs: role -> name of an earlier stage.
        overrides: `setting=value` each.

    Returns:
        The stage, of version 1.

    Raises:
        ConfigError: a setting or a role is wrong.
    """
    needs = dict(needs or {})
    changes = dict(map(option, overrides))
    return _stage(
        name, {"uses": uses, "with": dict(values), "needs": needs}, Filler({}), changes, list(needs.values())
    )


def settings_type(run: Callable[..., Any]) -> type:
    """Return the dataclass that a stage function takes as its `settings`.

    Raises:
        ConfigError: its first argument is not `settings: SomeDataclass`.
    """
    name = f"{getattr(run, '__module__', '')}.{getattr(run, '__name__', run)}"
    try:
        first = next(iter(inspect.signature(run).parameters), "")
        kind = typing.get_type_hints(run).get("settings") if first == "settings" else None
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(f"{name} is no stage: {error}") from error
    if not isinstance(kind, type) or not is_dataclass(kind):
        raise ConfigError(f"{name} is no stage: its first argument must be `settings: SomeDataclass`")
    return kind


def roles(run: Callable[..., Any]) -> tuple[list[str], list[str], bool]:
    """List the inputs of a stage function.

    Returns:
        (names of all inputs, names of the required ones, whether it takes any other).
    """
    parameters = list(inspect.signature(run).parameters.values())[2:]
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    required = [p.name for p in named if p.default is p.empty]
    return [p.name for p in named], required, any(p.kind is p.VAR_KEYWORD for p in parameters)


def _stage(name: Any, body: Any, filler: Filler, changes: Mapping[str, Any], earlier: list[str]) -> Stage:
    location = f"stages.{name}"
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ConfigError(
            f"{location}: a stage name is text of letters, digits, _ and -, because it becomes a folder"
        )
    if not isinstance(body, dict) or "uses" not in body:
        raise ConfigError(f"{location}: needs `uses:`, one of {', '.join(plugins.stages())}")
    _known(body, STAGE_KEYS, location)
    uses = str(body["uses"])
    run = plugins.load_stage(uses)
    values = _mapping(body, "with", location)
    for key, value in changes.items():
        values = changed(values, key.split("."), value, f"--set {name}.{key}")
    values = {str(key): filler.fill(value, f"{location}.with.{key}") for key, value in values.items()}
    needs = {str(k): str(v) for k, v in _mapping(body, "needs", location).items()}
    _check_needs(run, needs, earlier, location)
    version = filler.fill(str(body.get("version", "1")), f"{location}.version")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", str(version)):
        raise ConfigError(
            f"{location}.version: {version!r} cannot be a folder name: use letters, digits, . _ -"
        )
    return Stage(
        name, uses, run, typed.build(settings_type(run), values, f"{location}.with"), needs, str(version)
    )


def _check_needs(
    run: Callable[..., Any], needs: Mapping[str, str], earlier: list[str], location: str
) -> None:
    named, required, any_role = roles(run)
    for role, source in needs.items():
        if role not in named and not any_role:
            raise ConfigError(f"{location}.needs.{role}: unknown input{plugins.nearest(role, named)}")
        if source not in earlier:
            raise ConfigError(
                f"{location}.needs.{role}: no earlier stage {source!r}{plugins.nearest(source, earlier)}"
            )
    if missing := set(required) - set(needs):
        raise ConfigError(
            f"{location}.needs: missing {', '.join(sorted(missing))}: name the earlier stage that makes it"
        )


def _override(
    text: str, params: dict[str, Any], changes: dict[str, dict[str, Any]], stages: Mapping[str, Any]
) -> None:
    key, value = option(text)
    head, dot, rest = key.partition(".")
    if not dot:
        if key not in params:
            raise ConfigError(f"--set {key}: unknown parameter{plugins.nearest(key, params)}")
        params[key] = value
    elif head not in stages:
        raise ConfigError(f"--set {key}: no stage {head!r}{plugins.nearest(head, map(str, stages))}")
    else:
        changes.setdefault(head, {})[rest] = value


def option(text: str) -> tuple[str, Any]:
    """Parse `name=value` with a YAML value, as --set takes it.

    Returns:
        (name, value); 1e-4 is a number, which YAML 1.1 reads as text.

    Raises:
        ConfigError: there is no = or name, or the value is not YAML.
    """
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text}: write name=value or stage.setting=value")
    try:
        return key, _numbers(bounded_yaml.load(value))
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--set {key}: {value!r} is not a YAML value: {' '.join(str(error).split())}"
        ) from error


def changed(values: Any, path: Sequence[str], new: Any, location: str) -> Any:
    """Copy nested settings with one of them replaced.

    Args:
        values: mappings and lists; None counts as an empty mapping.
        path: keys, and indices of lists, from the outside.
        new: the value; [] as `path` returns it.
        location: name of the setting, for messages.

    Returns:
        The copy; mappings that the path needs are added.

    Raises:
        ConfigError: an index is out of range, or the path leads into a scalar.
    """
    if not path:
        return new
    key, rest = path[0], path[1:]
    if isinstance(values, list):
        if not key.isdecimal() or int(key) >= len(values):
            raise ConfigError(
                f"{location}: {key!r} is not a place in a list of {len(values)}: use 0 to {len(values) - 1}"
            )
        return [
            changed(item, rest, new, location) if i == int(key) else item for i, item in enumerate(values)
        ]
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"{location}: there is nothing inside {values!r} to set")
    before = values or {}
    return {**before, key: changed(before.get(key), rest, new, location)}


def _mapping(body: Mapping[str, Any], key: str, location: str) -> dict[str, Any]:
    value = body.get(key)
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"{location}.{key}: must be a mapping, not {value!r}")
    return dict(value or {})


def _known(raw: Mapping[str, Any], keys: tuple[str, ...], location: str) -> None:
    for key in raw:
        if key not in keys:
            raise ConfigError(f"{location}: unknown key {key!r}{plugins.nearest(str(key), keys)}")


def _number(value: Any) -> Any:
    """Convert 1e-4, which YAML 1.1 reads as text, to a number."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def read_yaml(path: Path) -> Any:
    """Parse a YAML file; a key that appears twice is an error, because one of the two would be lost.

    Returns:
        The value; texts such as 1e-4, which YAML 1.1 does not read as numbers, are numbers.

    Raises:
        ConfigError: the file cannot be read or is not YAML.
    """
    import yaml

    try:
        return _numbers(bounded_yaml.read(path, unique_keys=True))
    except FileNotFoundError as error:
        raise ConfigError(f"no such file: {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return _number(value)
