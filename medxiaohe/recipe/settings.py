"""Build typed settings: a mapping from YAML becomes a frozen dataclass, or an error of one sentence.

Settings are dataclasses in the module of the stage that reads them. A field of type `InputPath` names
a file or folder the stage reads: it must exist before the run starts and its bytes are part of the
stage's fingerprint, unless it names a package asset (`asset:NAME`) or a hub data set (`hub:ORG/NAME`).
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.plugins import nearest

InputPath = Annotated[str, "input"]
# Annotated[int, HOW]: how the work is done, such as by how many workers, which cannot change what comes out
HOW = "how"
ELSEWHERE = ("asset:", "hub:")  # inputs that are not paths on this machine
_must_exist = ContextVar("must_exist", default=True)


@contextmanager
def without_inputs() -> Iterator[None]:
    """Build settings within the block although the files they name do not exist: for estimates, which read
    none.
    """
    token = _must_exist.set(False)
    try:
        yield
    finally:
        _must_exist.reset(token)


def build(kind: type, values: Any, location: str) -> Any:
    """Make an instance of a settings dataclass from a mapping.

    Args:
        kind: the dataclass.
        values: setting -> value, of plain YAML types.
        location: name of the settings, for messages.

    Returns:
        The instance.

    Raises:
        ConfigError: a setting is unknown, missing, of the wrong type or contradicts another, or an input does
            not exist.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{location}: must be a mapping of settings, not {values!r}")
    names = [f.name for f in fields(kind)]
    for key in values:
        if key not in names:
            raise ConfigError(f"{location}.{key}: unknown setting{nearest(str(key), names)}")
    hints = typing.get_type_hints(kind, include_extras=True)
    ready = {}
    for field in fields(kind):
        if field.name in values:
            ready[field.name] = _value(hints[field.name], values[field.name], f"{location}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{location}.{field.name}: missing; it must be {words(hints[field.name])}")
    try:
        return kind(**ready)
    except ValueError as error:  # a contradictory pair, found by the dataclass itself
        raise ConfigError(f"{location}: {error}") from error


def _value(hint: Any, value: Any, location: str) -> Any:
    if is_dataclass(hint):
        return build(typing.cast(type, hint), value, location)
    if hint == InputPath:
        return _input(value, location)
    inner = _inner(hint)
    if inner is not None and _special(inner):
        return _container(hint, inner, value, location)
    import pydantic

    try:
        return pydantic.TypeAdapter(hint).validate_json(json.dumps(value, allow_nan=False), strict=True)
    except (ValueError, TypeError) as error:  # pydantic.ValidationError is a ValueError
        raise ConfigError(f"{location}: must be {words(hint)}, not {value!r}") from error


def _inner(hint: Any) -> Any:
    """Return X of list[X], tuple[X, ...], dict[str, X] and X | None; None for every other type."""
    args = [arg for arg in typing.get_args(hint) if arg not in (type(None), ...)]
    origin = typing.get_origin(hint)
    if origin is dict and len(args) == 2:
        return args[1]
    return args[0] if origin in (list, tuple, types.UnionType, typing.Union) and len(args) == 1 else None


def _special(hint: Any) -> bool:
    """Check whether values of a type need more than pydantic: nested settings, or paths that must exist."""
    return is_dataclass(hint) or hint == InputPath or (_inner(hint) is not None and _special(_inner(hint)))


def _container(hint: Any, inner: Any, value: Any, location: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _value(inner, value, location)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{location}: must be a mapping, not {value!r}")
        return {str(key): _value(inner, item, f"{location}.{key}") for key, item in value.items()}
    if not isinstance(value, list):
        raise ConfigError(f"{location}: must be a list, not {value!r}")
    items = [_value(inner, item, f"{location}[{i}]") for i, item in enumerate(value)]
    return items if origin is list else tuple(items)


def _input(value: Any, location: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{location}: must be a path, asset:NAME or hub:ORG/NAME, not {value!r}")
    is_here = value.startswith(ELSEWHERE) or not _must_exist.get() or Path(value).expanduser().exists()
    if not is_here:
        raise ConfigError(f"{location}: no such file or folder: {value} (from {Path.cwd()})")
    return value if value.startswith(ELSEWHERE) else str(Path(value).expanduser())


def words(hint: Any) -> str:
    """Describe a type for messages.

    Returns:
        Such as "a whole number" or "a list, each text".
    """
    if hint == InputPath:
        return "a path, asset:NAME or hub:ORG/NAME"
    if typing.get_origin(hint) is Annotated:
        return words(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if isinstance(hint, types.UnionType):
        return " or ".join("null" if arg is type(None) else words(arg) for arg in hint.__args__)
    if is_dataclass(hint):
        return f"a mapping of {', '.join(f.name for f in fields(hint))}"
    if typing.get_origin(hint) in (list, tuple) and _inner(hint) is not None:
        return f"a list, each {words(_inner(hint))}"
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(hint) or str(hint).replace("typing.", "")


def decisive(settings: Any) -> Any:
    """Convert settings to JSON without those marked HOW: what the result of a stage depends on.

    Returns:
        Setting -> value; fields marked HOW are left out at the first level only.
    """
    if not is_dataclass(settings) or isinstance(settings, type):
        return io.to_json(settings)
    hints = typing.get_type_hints(type(settings), include_extras=True)
    rows = typing.cast(dict[str, Any], io.to_json(settings))
    return {
        name: value for name, value in rows.items() if HOW not in getattr(hints[name], "__metadata__", ())
    }


def input_paths(settings: Any) -> Iterator[str]:
    """List every InputPath value in settings, nested ones too.

    Yields:
        Paths that are not empty, also those that begin with asset: or hub:.
    """
    if is_dataclass(settings) and not isinstance(settings, type):
        hints = typing.get_type_hints(type(settings), include_extras=True)
        for field in fields(settings):
            yield from _paths(hints[field.name], getattr(settings, field.name))


def _paths(hint: Any, value: Any) -> Iterator[str]:
    if hint == InputPath and value:
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _paths(_inner(hint), item)
    elif value is not None and _inner(hint) is not None:
        yield from _paths(_inner(hint), value)
    else:
        yield from input_paths(value)


def content_hash(path: str) -> str:
    """Hash the bytes of a file, or of every file below a folder with its path.

    Returns:
        16 hexadecimal digits; an asset:NAME or hub:NAME is returned unchanged, because it is pinned
        elsewhere.

    Raises:
        DataError: a file cannot be read.
    """
    if path.startswith(ELSEWHERE):
        return path  # pinned by its own hash or revision when it is opened
    root = Path(path)
    digest = hashlib.sha256()
    try:
        for file in sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]:
            digest.update(f"{file.relative_to(root)}\0{io.sha256(file)}\0".encode())
    except OSError as error:
        raise DataError(
            f"cannot read {error.filename or path}: {(error.strerror or str(error)).lower()}"
        ) from error
    return digest.hexdigest()[:16]
