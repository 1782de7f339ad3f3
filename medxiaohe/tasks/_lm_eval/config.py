"""The YAML of a task of lm-eval or lmms-eval: included files merged, code named but not run, keys checked."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import permission, plugins
from medxiaohe.errors import CodeRefused, ConfigError
from medxiaohe.io import bounded_yaml

TAG = "!function"
MOST_INCLUDED = 8  # files, one including the next
OUTPUTS = ("multiple_choice", "generate_until", "loglikelihood")
KNOWN = frozenset(
    """task task_alias tag group group_alias dataset_path dataset_name dataset_kwargs custom_dataset
    training_split validation_split test_split fewshot_split process_docs doc_to_text doc_to_target
    doc_to_choice doc_to_visual doc_to_image doc_to_messages unsafe_code process_results use_prompt
    description target_delimiter fewshot_delimiter fewshot_config num_fewshot metric_list output_type
    generation_kwargs repeats filter_list should_decontaminate doc_to_decontamination_query gen_prefix
    metadata lmms_eval_specific_kwargs model_specific_generation_kwargs model_specific_prompt_kwargs
    include aggregate_metric_list weight_by_size license cluster_key""".split()
)
# keys that only such a file has: ours always has `example` as well
SIGNS = KNOWN - {"task", "tag", "dataset_path", "dataset_name", "dataset_kwargs", "training_split",
    "validation_split", "test_split", "doc_to_text", "doc_to_target", "doc_to_choice", "doc_to_visual",
    "description", "metric_list", "metadata", "license"}  # fmt: skip
# what would change the score and is not done here
REFUSED = {
    "use_prompt": "prompts of promptsource",
    "custom_dataset": "a data set made by code",
    "unsafe_code": "running the model's code",
}


@dataclass(frozen=True)
class Function:
    """`!function module.name`: a function of a .py file beside the YAML, loaded when it is first called.

    Attributes:
        file: the .py file, beside the YAML that names it.
        name: of the function.
    """

    file: str
    name: str

    @property
    def key(self) -> str:
        """Name by which the code is allowed.

        Returns:
            "FILE.py:FUNCTION".
        """
        return f"{self.file}:{self.name}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.load()(*args, **kwargs)

    def load(self) -> Any:
        """Import the file, if that is allowed, and return the function.

        Returns:
            The function; imported once for a process.

        Raises:
            CodeRefused: nobody has allowed its code.
            ConfigError: it imports a package that is not installed.
        """
        return _loaded(self.key)


@functools.lru_cache(maxsize=256)
def _loaded(key: str) -> Any:
    try:
        return plugins.load_object(key, from_data=True)
    except ImportError as error:
        raise ConfigError(f"{key} imports {error.name}, which is not installed: pip install it") from error


def is_one(path: Path) -> bool:
    """Detect a task file of those harnesses; ours always has an `example`.

    Args:
        path: a YAML file.

    Returns:
        False as well for a file that cannot be read.
    """
    try:
        raw = _raw(path)
    except ConfigError:
        return False
    if "example" in raw:
        return False
    return bool(SIGNS & raw.keys()) or bool(list(_functions(raw))) or "{%" in str(raw.get("doc_to_text", ""))


def read(path: Path) -> dict[str, Any]:
    """Read and check the keys of a file, merged with the files that it includes.

    Args:
        path: a YAML file.

    Returns:
        Key -> value, functions as `Function`.

    Raises:
        ConfigError: no such file, no task, a key that is not known or not done here.
        CodeRefused: it names functions, and nobody has allowed their code.
    """
    raw = _merged(path, MOST_INCLUDED)
    if unknown := [key for key in raw if key not in KNOWN]:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}{plugins.nearest(str(unknown[0]), KNOWN)}")
    for key, reason in REFUSED.items():
        if raw.get(key):
            raise ConfigError(f"{path}: {key}: {reason} is not done here; write the task as a .py file")
    names = [function.key for function in _functions(raw)]
    if refused := [name for name in names if not permission.allowed(name, from_data=True)]:
        shown = ", ".join(name.rpartition("/")[2] for name in dict.fromkeys(refused))
        raise CodeRefused(
            f"{path} brings code ({shown[:120]}): it is a program, so read it, then run it with --allow-code"
        )
    return raw


def functions(path: Path) -> list[str]:
    """List the code that a file and the files of its group would run, for `permission.allow`.

    Args:
        path: a YAML file.

    Returns:
        "FILE.py:FUNCTION", each once, in order.

    Raises:
        ConfigError: a file cannot be read.
    """
    results = [function.key for function in _functions(_merged(path, MOST_INCLUDED))]
    for member in members(path):
        results += functions(Path(member)) if Path(member) != path else []
    return list(dict.fromkeys(results))


def members(path: Path) -> list[str]:
    """List the task files of a group file.

    A name in the list is searched for as `task:` or `group:` of the YAML files in the folder and below.

    Args:
        path: a YAML file.

    Returns:
        Files in the order of the list, each once; the file itself where it is one task.

    Raises:
        ConfigError: a name has no file, or a task is written inside the group.
    """
    raw = _raw(path)
    listed = raw.get("task")
    if not isinstance(listed, list):
        return [str(path)]
    files_by_name: dict[str, Path] = {}
    for file in sorted(path.parent.rglob("*.yaml")):
        if file != path:
            content = _raw(file)
            name = content.get("group") if isinstance(content.get("task"), list) else content.get("task")
            if isinstance(name, str):
                files_by_name.setdefault(name, file)
    results: list[str] = []
    for name in listed:
        if isinstance(name, Mapping):
            raise ConfigError(f"{path}: a task written inside a group is not read: give it a file of its own")
        if name not in files_by_name:
            raise ConfigError(
                f"{path}: no file in {path.parent} has task: {name}"
                f"{plugins.nearest(str(name), files_by_name)}"
            )
        results += members(files_by_name[name])
    return list(dict.fromkeys(results))


def _merged(path: Path, depth: int) -> dict[str, Any]:
    raw = _raw(path)
    included = raw.pop("include", None)
    files = [included] if isinstance(included, str) else included or []
    if files and not depth:
        raise ConfigError(f"{path}: files include one another more than {MOST_INCLUDED} deep")
    base: dict[str, Any] = {}
    for name in files:  # a later file and the file itself go before an earlier one
        base |= _merged(path.parent / str(name), depth - 1)
    return base | raw


def _raw(path: Path) -> dict[str, Any]:
    import yaml

    def function(loader: Any, node: Any) -> Function:
        module, _, name = str(loader.construct_scalar(node)).rpartition(".")
        if not module or not name.isidentifier():
            raise ConfigError(f"{path}: {TAG} {node.value}: write module.function")
        file = path.parent.joinpath(*module.split(".")).with_suffix(".py")
        return Function(str(file.resolve()), name)

    try:
        raw = bounded_yaml.read(path, constructors={TAG: function})
    except FileNotFoundError as error:
        raise ConfigError(f"no such file: {path} (from {Path.cwd()})") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a task: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: a task is a mapping with task, dataset_path, doc_to_text, ...")
    if not isinstance(raw.get("task", ""), (str, list)):
        raise ConfigError(f"{path}: not a task: `task` must be its name, not {raw['task']!r}")
    return {str(key): value for key, value in raw.items()}


def _functions(value: Any) -> Iterator[Function]:
    if isinstance(value, Function):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _functions(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _functions(item)
