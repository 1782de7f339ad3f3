"""Typed settings: a mapping from YAML becomes a frozen dataclass, or a sentence that says what is wrong.

Settings are dataclasses that live beside the stage that reads them. A field of type `InputPath` names
a file or folder the stage reads: it must exist before the run starts and its bytes are part of the
stage's fingerprint, unless it names a package asset (`asset:NAME`) or a hub data set (`hub:ORG/NAME`).
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.plugins import nearest

InputPath = Annotated[str, "input"]
ELSEWHERE = ("asset:", "hub:")  # inputs that are not paths on this machine


def build(kind: type, values: Any, where: str) -> Any:
    """An instance of the settings dataclass `kind`; ConfigError names the key and what is allowed."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be a mapping of settings, not {values!r}")
    names = [f.name for f in fields(kind)]
    for key in values:
        if key not in names:
            raise ConfigError(f"{where}.{key}: unknown setting{nearest(str(key), names)}")
    hints = typing.get_type_hints(kind, include_extras=True)
    ready = {}
    for field in fields(kind):
        if field.name in values:
            ready[field.name] = _value(hints[field.name], values[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{where}.{field.name}: missing; it must be {_words(hints[field.name])}")
    try:
        return kind(**ready)
    except ConfigError as error:  # a contradictory pair, found by the dataclass itself
        raise ConfigError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if origin in (list, tuple) and is_dataclass(args[0]):
        if not isinstance(value, list):
            raise ConfigError(f"{where}: must be a list, not {value!r}")
        return tuple(build(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if hint == InputPath:
        return _input(value, where)
    import pydantic

    try:
        return pydantic.TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except (pydantic.ValidationError, TypeError) as error:
        raise ConfigError(f"{where}: must be {_words(hint)}, not {value!r}") from error


def _input(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: must be a path, asset:NAME or hub:ORG/NAME, not {value!r}")
    if not value.startswith(ELSEWHERE) and not Path(value).expanduser().exists():
        raise ConfigError(f"{where}: no such file or folder: {value} (from {Path.cwd()})")
    return value if value.startswith(ELSEWHERE) else str(Path(value).expanduser())


def _words(hint: Any) -> str:
    if hint == InputPath:
        return "a path, asset:NAME or hub:ORG/NAME"
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if isinstance(hint, types.UnionType):
        return " or ".join("null" if arg is type(None) else _words(arg) for arg in hint.__args__)
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(hint) or str(hint).replace("typing.", "")


def input_paths(settings: Any) -> Iterator[str]:
    """Every InputPath value inside settings, nested ones too."""
    if not is_dataclass(settings):
        return
    hints = typing.get_type_hints(type(settings), include_extras=True)
    for field in fields(settings):
        value = getattr(settings, field.name)
        if hints[field.name] == InputPath:
            yield value
        for item in value if isinstance(value, (list, tuple)) else [value]:
            yield from input_paths(item)


def content_hash(path: str) -> str:
    """16 hex digits of the bytes of a file, or of every file below a folder."""
    if path.startswith(ELSEWHERE):
        return path  # pinned by its own hash or revision when it is opened
    root = Path(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]:
        digest.update(f"{file.relative_to(root)}\0{io.sha256(file)}\0".encode())
    return digest.hexdigest()[:16]
