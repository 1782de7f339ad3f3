"""Find plug-ins by name. A name is a file: `chest_xray` of kind `tasks` is medxiaohe/tasks/chest_xray.py.

    load("tasks", "chest_xray")         the function `chest_xray` of that file
    load("scoring", "text.rouge_l")     the function `rouge_l` of scoring/text.py
    load("tasks", "mine/eye.py:eye")    a file of yours, outside this package
    load("tasks", "my_pkg.eye:eye")     an installed package of yours
    load("tasks", "mine/eye.yaml")      a task may also be a YAML file, here or in the package
    load("tasks", "eye")                a name that an installed package registers as an entry point

There is no table to edit and nothing is imported before it is asked for. A package registers its plug-ins in
the entry-point group of their kind, `medxiaohe.KIND`:

    [project.entry-points."medxiaohe.tasks"]
    eye = "my_pkg.eye:eye"
"""

import difflib
import functools
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from medxiaohe import library_bars, permission, threads, torchvision_ops
from medxiaohe.errors import ConfigError, MedError, MissingExtra

KINDS = {
    "readers": "data.readers",
    "filters": "data.filters",
    "vocabularies": "entity.readers",
    "scoring": "scoring",
    "tools": "tools",
    "tasks": "tasks",
    "workflows": "agents",
    "models": "models.backends",
    "perturbations": "evals.perturb",
    "verifiers": "evidence.verifiers",
}
# kinds that may also be a YAML file -> the function that reads it
BY_YAML = {"tasks": "medxiaohe.tasks._yaml:factory"}
STAGES = ("entity", "data", "train", "evals", "pages")  # folders whose files may define stages
# stages of earlier versions -> their names of today
RENAMED_STAGES = {
    "serve.report": "pages.run",
    "serve.evaluation": "pages.evaluation",
    "serve.corpus": "pages.corpus",
}
EXTRA_OF = {  # import name -> the extra that brings it
    "torch": "train",
    "transformers": "train",
    "trl": "train",
    "peft": "train",
    "datasets": "train",
    "accelerate": "train",
    "safetensors": "train",
    "gguf": "train",
    "torchvision": "train",
    "num2words": "train",
    "PIL": "data",
    "numpy": "data",
    "vllm": "vllm",
    "pydicom": "imaging",
    "nibabel": "imaging",
    "pypdf": "pdf",
    "pyarrow": "data",
    "rapidocr_onnxruntime": "ocr",
    "bitsandbytes": "qlora",
    "tantivy": "knowledge",
    "faiss": "knowledge",
    "cryptography": "sign",
    "highdicom": "sr",
    "mcp": "mcp",
    "uvicorn": "mcp",
}


def available(kind: str) -> list[str]:
    """List the names of a kind: those that ship with medxiaohe and those that installed packages register.

    Args:
        kind: a key of KINDS, such as "readers" or "tools".

    Returns:
        names in alphabetical order, each once.

    Raises:
        ConfigError: there is no such kind.
    """
    return sorted({*shipped(kind), *installed(kind)})


def shipped(kind: str) -> list[str]:
    """List the names of a kind that ship with medxiaohe.

    Args:
        kind: a key of KINDS.

    Returns:
        file names without suffix, in alphabetical order; neither files that start with `_` nor folders.

    Raises:
        ConfigError: there is no such kind.
    """
    package = importlib.import_module(f"medxiaohe.{folder_of(kind)}")
    files = [path.stem for path in Path(package.__path__[0]).glob("*.yaml")] if kind in BY_YAML else []
    return sorted(
        [
            *files,
            *(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_" and not m.ispkg),
        ]
    )


def installed(kind: str, name: str = "") -> dict[str, str]:
    """List the plug-ins of a kind that installed packages register as entry points, without importing them.

    Args:
        kind: a key of KINDS; the group of entry points is `medxiaohe.KIND`.
        name: only this one; "" for all.

    Returns:
        Name -> "module:attribute".

    Raises:
        ConfigError: `name` ships with medxiaohe too, or two packages register it for different things.
    """
    folder_of(kind)
    points = [
        point for point in _entry_points(f"medxiaohe.{kind}", tuple(sys.path)) if name in ("", point[0])
    ]
    if name and points:
        owners = {target: package for _, target, package in points}
        packages = [*(["medxiaohe"] if name in shipped(kind) else []), *owners.values()]
        if len(packages) > 1:
            raise ConfigError(
                f"{kind} {name!r} is registered by {' and '.join(packages)}: uninstall one, or write the one"
                f" you mean as {points[0][1]!r}"
            )
    return {point: target for point, target, _ in points}


@functools.lru_cache(maxsize=64)
def _entry_points(group: str, _path: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """(name, "module:attribute", package) of the entry points of a group, read once for each search path."""
    from importlib.metadata import entry_points

    results = [
        (p.name, f"{p.module}:{p.attr or p.name}", p.dist.name if p.dist else "")
        for p in entry_points(group=group)
    ]
    return tuple(sorted(results))


def load(kind: str, name: str, *, from_data: bool = False) -> Any:
    """Import the function or class that a name stands for.

    Args:
        kind: a key of KINDS.
        name: shipped or installed plug-in ("file" or "file.attribute"), "module:attribute",
            "file.py:attribute", or a YAML file for kinds of BY_YAML.
        from_data: a row or a file of data names it, not a person.

    Returns:
        the function or class.

    Raises:
        ConfigError: there is no such name.
        CodeRefused: it names code that nobody allowed (permission.py).
        MissingExtra: a library that its module imports is not installed.
    """
    folder = folder_of(kind)
    if kind in BY_YAML and name.endswith((".yaml", ".yml")):
        if from_data:
            permission.check(name, from_data=True)
        return load_object(BY_YAML[kind])(Path(name).expanduser())
    if ":" in name:
        return load_object(name, from_data=from_data)
    if elsewhere := installed(kind, name):  # who installed the package has allowed its code
        module, _, attribute = elsewhere[name].partition(":")
        return _attribute(_module(module, name), attribute)
    file, _, attribute = name.partition(".")
    names = available(kind)
    if file not in names:
        raise ConfigError(f"no {kind} named {name!r}{nearest(file, names)}")
    if (
        kind in BY_YAML
        and (path := Path(__file__).parent / folder.replace(".", "/") / f"{file}.yaml").is_file()
    ):
        return load_object(BY_YAML[kind])(path)
    return _attribute(_module(f"medxiaohe.{folder}.{file}", name), attribute or file)


def load_stage(name: str) -> Any:
    """Import the function of a stage: "data.read" is `read` in medxiaohe/data/read.py.

    Args:
        name: "folder.file" of a shipped stage, or "module:attribute" or "file.py:attribute".

    Returns:
        the function.

    Raises:
        ConfigError: there is no such stage, or it has a new name, which the message gives.
        CodeRefused: the name is code that nobody allowed (permission.py).
        MissingExtra: a library that its module imports is not installed.
    """
    if ":" in name:
        return load_object(name)
    folder, _, file = name.partition(".")
    names = stages()
    if name in RENAMED_STAGES:
        raise ConfigError(f"stage {name!r} is now called {RENAMED_STAGES[name]!r}: change it in the recipe")
    if name not in names:
        raise ConfigError(f"no stage named {name!r}{nearest(name, names)}")
    return _attribute(_module(f"medxiaohe.{folder}.{file}", name), file)


def stages() -> list[str]:
    """List the stages that ship with medxiaohe: each file at the top of a stage folder is one.

    Returns:
        names "folder.file", in the order of STAGES and then alphabetical.
    """
    package = Path(__file__).parent
    return [
        f"{folder}.{path.stem}"
        for folder in STAGES
        for path in sorted((package / folder).glob("*.py"))
        if not path.stem.startswith("_")
    ]


def load_object(name: str, *, from_data: bool = False) -> Any:
    """Import the attribute of a file ("mine/eye.py:eye") or of an installed module ("my_pkg.eye:eye").

    Args:
        name: path or module, a colon, and the attribute.
        from_data: a row or a file of data names it, not a person.

    Returns:
        the attribute.

    Raises:
        ConfigError: the file, the module or the attribute does not exist.
        CodeRefused: nobody allowed this code (permission.py).
        MissingExtra: a library that its module imports is not installed.
    """
    permission.check(name, from_data=from_data)
    source, _, attribute = name.rpartition(":")
    return _attribute(_load_file(source) if source.endswith(".py") else _module(source, name), attribute)


def _attribute(module: ModuleType, attribute: str) -> Any:
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(f"{module.__file__} has no {attribute!r}{nearest(attribute, names)}")
    return getattr(module, attribute)


def _module(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if extra := extra_of(error):
            raise MissingExtra(f"{name} needs {error.name}: pip install 'medxiaohe[{extra}]'") from error
        raise ConfigError(f"cannot import {module!r} for {name!r}: {error}") from error


def extra_of(error: ImportError) -> str:
    """Find the optional extra of medxiaohe that installs the module whose import failed.

    Args:
        error: as the import raised it; its `name` is looked up in EXTRA_OF by the top-level package.

    Returns:
        the name of the extra, "" where none brings that module.
    """
    return EXTRA_OF.get((error.name or "").partition(".")[0], "")


def need(*modules: str, why: str) -> None:
    """Require that modules can be imported, and set up threads and progress bars of the libraries among them.

    Args:
        modules: import names, such as "torch" and "transformers".
        why: the start of the error message: what needs them, such as "the starter".

    Raises:
        MissingExtra: one is not installed; the message has the pip command.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            extra = EXTRA_OF.get(module, "all")
            raise MissingExtra(f"{why} needs {module}: pip install 'medxiaohe[{extra}]'")
    if "torch" in modules:
        threads.fit()
    if set(modules) & set(library_bars.LIBRARIES):
        library_bars.silence()
    if "transformers" in modules:
        torchvision_ops.declare()  # where it would not load, transformers would not either


def nearest(name: str, names: Iterable[str]) -> str:
    """Write the hint of an error message: the most similar valid name, or all of them.

    Args:
        name: the name that is not valid.
        names: the valid ones.

    Returns:
        text to append to a message; it begins with "; ".
    """
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names) or 'none'}"


def folder_of(kind: str) -> str:
    """Look up the folder of a kind below the package, dotted: "readers" -> "data.readers".

    Args:
        kind: a key of KINDS.

    Returns:
        the dotted path without the name of the package.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"no kind {kind!r}{nearest(kind, KINDS)}")
    return KINDS[kind]


def _load_file(path: str) -> ModuleType:
    """The module of a file of the user's; loaded once, so its classes stay the same classes."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"no such file: {path} (from {Path.cwd()})")
    name = f"medxiaohe_file_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, MedError):
            raise
        raise ConfigError(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    return module
