"""Find things by name. A name is a file: `chest_xray` of kind `tasks` is medxiaohe/tasks/chest_xray.py.

    load("tasks", "chest_xray")         the function `chest_xray` of that file
    load("scoring", "text.rouge_l")     the function `rouge_l` of scoring/text.py
    load("tasks", "mine/eye.py:eye")    a file of yours, outside this package
    load("tasks", "my_pkg.eye:eye")     an installed package of yours

There is no table to edit and nothing is imported before it is asked for.
"""

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError, MissingExtra

KINDS = {
    "readers": "data.readers",
    "filters": "data.filters",
    "vocabularies": "entity.readers",
    "scoring": "scoring",
    "tools": "tools",
    "tasks": "tasks",
    "workflows": "agents",
    "models": "models.backends",
}
STAGES = ("entity", "data", "train", "evals", "serve")  # folders whose files may define stages
EXTRA_OF = {  # import name -> the extra that brings it
    "torch": "train", "transformers": "train", "trl": "train", "peft": "train", "datasets": "train",
    "accelerate": "train", "safetensors": "train", "gguf": "train", "PIL": "train", "vllm": "vllm",
}


def available(kind: str) -> list[str]:
    """The names of a kind that ship with medxiaohe; files starting with `_` are private."""
    package = importlib.import_module(f"medxiaohe.{_folder(kind)}")
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_")


def load(kind: str, name: str) -> Any:
    """Return the function or class that `name` stands for."""
    folder = _folder(kind)
    if ":" in name:
        return load_object(name)
    file, _, attribute = name.partition(".")
    if file not in available(kind):
        raise ConfigError(f"no {kind} named {name!r}{nearest(file, available(kind))}")
    module = importlib.import_module(f"medxiaohe.{folder}.{file}")
    return getattr(module, attribute or file)


def load_stage(name: str) -> Any:
    """The function of a stage: "data.read" is `read` in medxiaohe/data/read.py."""
    if ":" in name:
        return load_object(name)
    folder, _, file = name.partition(".")
    names = stages()
    if name not in names:
        raise ConfigError(f"no stage named {name!r}{nearest(name, names)}")
    return getattr(importlib.import_module(f"medxiaohe.{folder}.{file}"), file)


def stages() -> list[str]:
    """Names of the stages that ship with medxiaohe: files with a function of their own name and Settings."""
    found = []
    for folder in STAGES:
        root = Path(__file__).parent / folder
        for path in sorted(root.glob("*.py")):
            source = path.read_text(encoding="utf-8")
            if f"\ndef {path.stem}(settings: " in source:
                found.append(f"{folder}.{path.stem}")
    return found


def load_object(name: str) -> Any:
    """The attribute of a file ("mine/eye.py:eye") or of an installed module ("my_pkg.eye:eye")."""
    where, _, attribute = name.rpartition(":")
    try:
        module = _load_file(where) if where.endswith(".py") else importlib.import_module(where)
    except ModuleNotFoundError as error:
        raise ConfigError(f"cannot import {where!r} for {name!r}: {error}") from error
    if not hasattr(module, attribute):
        raise ConfigError(f"{where} has no {attribute!r}{nearest(attribute, dir(module))}")
    return getattr(module, attribute)


def need(*modules: str, why: str) -> None:
    """Raise MissingExtra, with the pip command, unless every module can be imported."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            extra = EXTRA_OF.get(module, "all")
            raise MissingExtra(f"{why} needs {module}: pip install 'medxiaohe[{extra}]'")


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for an error message: the closest valid name, or all of them."""
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names) or 'none'}"


def _folder(kind: str) -> str:
    if kind not in KINDS:
        raise ConfigError(f"no kind {kind!r}{nearest(kind, KINDS)}")
    return KINDS[kind]


def _load_file(path: str) -> Any:
    if not Path(path).is_file():
        raise ConfigError(f"no such file: {path}")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
