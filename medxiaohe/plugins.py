"""Find things by name. A name is a file: `chest_xray` of kind `tasks` is medxiaohe/tasks/chest_xray.py.

    load("tasks", "chest_xray")         the function `chest_xray` of that file
    load("scoring", "text.rouge_l")     the function `rouge_l` of scoring/text.py
    load("tasks", "mine/eye.py:eye")    a file of yours, outside this package
    load("tasks", "my_pkg.eye:eye")     an installed package of yours
    load("tasks", "mine/eye.yaml")      a task may also be a YAML file, here or in the package

There is no table to edit and nothing is imported before it is asked for.
"""

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from medxiaohe import permission
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
}
# kinds of which one may also be a YAML file, and what makes it of the file
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
    "PIL": "train",
    "numpy": "train",
    "vllm": "vllm",
    "pydicom": "imaging",
    "nibabel": "imaging",
    "pypdf": "pdf",
    "pyarrow": "train",
    "rapidocr_onnxruntime": "ocr",
    "bitsandbytes": "qlora",
}


def available(kind: str) -> list[str]:
    """The names of a kind that ship with medxiaohe; files starting with `_` are private, and a folder is no
    plugin."""
    package = importlib.import_module(f"medxiaohe.{folder_of(kind)}")
    files = [path.stem for path in Path(package.__path__[0]).glob("*.yaml")] if kind in BY_YAML else []
    return sorted(
        [
            *files,
            *(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_" and not m.ispkg),
        ]
    )


def load(kind: str, name: str, *, from_data: bool = False) -> Any:
    """Return the function or class that `name` stands for; `from_data` where no person but data names it.

    Raises:
        ConfigError: there is no such name; CodeRefused: it names code that nobody allowed (permission.py).
    """
    folder = folder_of(kind)
    if kind in BY_YAML and name.endswith((".yaml", ".yml")):
        if from_data:
            permission.check(name, from_data=True)
        return load_object(BY_YAML[kind])(Path(name).expanduser())
    if ":" in name:
        return load_object(name, from_data=from_data)
    file, _, attribute = name.partition(".")
    names = available(kind)
    if file not in names:
        raise ConfigError(f"no {kind} named {name!r}{nearest(file, names)}")
    if (
        kind in BY_YAML
        and (shipped := Path(__file__).parent / folder.replace(".", "/") / f"{file}.yaml").is_file()
    ):
        return load_object(BY_YAML[kind])(shipped)
    return _attribute(_module(f"medxiaohe.{folder}.{file}", name), attribute or file)


def load_stage(name: str) -> Any:
    """The function of a stage: "data.read" is `read` in medxiaohe/data/read.py."""
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
    """Names of the stages that ship with medxiaohe: a file at the top of a stage folder is a stage."""
    package = Path(__file__).parent
    return [
        f"{folder}.{path.stem}"
        for folder in STAGES
        for path in sorted((package / folder).glob("*.py"))
        if not path.stem.startswith("_")
    ]


def load_object(name: str, *, from_data: bool = False) -> Any:
    """The attribute of a file ("mine/eye.py:eye") or of an installed module ("my_pkg.eye:eye").

    Raises:
        CodeRefused: nobody allowed this code (permission.py).
    """
    permission.check(name, from_data=from_data)
    where, _, attribute = name.rpartition(":")
    return _attribute(_load_file(where) if where.endswith(".py") else _module(where, name), attribute)


def _attribute(module: ModuleType, attribute: str) -> Any:
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(f"{module.__file__} has no {attribute!r}{nearest(attribute, names)}")
    return getattr(module, attribute)


def _module(where: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if extra := extra_of(error):
            raise MissingExtra(f"{name} needs {error.name}: pip install 'medxiaohe[{extra}]'") from error
        raise ConfigError(f"cannot import {where!r} for {name!r}: {error}") from error


def extra_of(error: ImportError) -> str:
    """The extra that brings the module an import did not find, or ""."""
    return EXTRA_OF.get((error.name or "").partition(".")[0], "")


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


def folder_of(kind: str) -> str:
    """The folder of a kind below the package, dotted: "readers" -> "data.readers"."""
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
