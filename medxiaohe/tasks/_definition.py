"""Schema of a YAML task, checked before anything is read. Keys of lm-eval and lmms-eval mean what they mean
there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.io import bounded_yaml
from medxiaohe.plugins import nearest
from medxiaohe.scoring.parsers import STRICT, strict_only
from medxiaohe.tasks import _fields, _prompts

ACCESS = ("public", "gated", "private")
ORDERS = ("shuffled", "balanced", "file")
METRICS = {"acc": "choice", "exact_match": "exact", "f1": "token_f1"}  # names of lm-eval -> our scorers
SPLIT_KEYS = {"train": "training_split", "validation": "validation_split", "test": "test_split"}
FIXED = {  # keys of other evaluators that only this value of is true here
    "output_type": ("generate_until",), "num_fewshot": (0,), "repeats": (1,), "should_decontaminate": (False,
    ), "fewshot_split": (None,),
}  # fmt: skip
CODE_KEYS = (
    "process_docs",
    "process_results",
    "doc_to_messages",
    "custom_dataset",
    "fewshot_config",
    "include",
)


@dataclass(frozen=True)
class Definition:
    """The keys of a YAML task. A `template` is a column's name, or text with {{field}} in it."""

    task: str  # its name
    # hub id; folder or file in the same layout; pack:path below ${MEDXIAOHE_DATA}; asset:NAME
    dataset_path: str
    # template of the question; words that are no column's name are the question of every row
    doc_to_text: str
    license: str  # of the data; may be a template
    example: Mapping[str, Any]  # a made-up row in the layout of the data set
    about: str = ""  # one paragraph: what it is, whose, which split, what is unlike the published use of it
    access: str = "public"
    dataset_name: str | list[str] = ""  # configuration of the data set, or several
    # data_files: split -> file or pattern; revision
    dataset_kwargs: Mapping[str, Any] = field(default_factory=dict)
    training_split: str = ""
    validation_split: str = ""
    test_split: str = ""
    # template or number: letter, place (from `first_choice`) or text of the right option; else the answer
    doc_to_target: Any = ""
    # column that holds the options, or a list of templates; blank ones at the end are left out
    doc_to_choice: Any = ""
    doc_to_visual: str | list[str] = field(default_factory=list)  # columns or templates of images
    image_folder: str = ""  # where paths of images start, below the data
    # folders beside the data's own whose images rows may name, from this file's folder
    allow_outside: Sequence[str] = field(default_factory=list)
    # [{metric: choice}]: names of scorers, the first is the reward
    metric_list: list[Any] = field(default_factory=list)
    prompt: str = ""  # name in tasks/_prompts.py
    description: str = ""  # words in front of every question
    cut_text_at: str = ""  # the question ends before these words
    choice_prefix: str = "keep"  # strip: options are written "A: text" in the data
    first_choice: int = 0  # what the first option is called where doc_to_target is a number
    # options in an order that depends on the row only, where the data has the right one in one place
    shuffle_choices: bool = False
    answers: Mapping[str, str] = field(
        default_factory=dict
    )  # value of doc_to_target, or a pattern such as *, -> the answer; the first that fits
    id: str = ""  # template; by default the number of the row
    # patient: template, and study, article, case, question: template
    cluster: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)  # name -> template, kept with the item
    # column -> value, pattern or list of them: other rows are left out
    where: Mapping[str, Any] = field(default_factory=dict)
    each: str = ""  # column with a list: one item for each entry, which templates call `item`
    # {train: 0.5, validation: 0.1}: of the cluster, where there is one file
    hash_split: Mapping[str, float] = field(default_factory=dict)
    order: str = "shuffled"
    # split -> tasks.fingerprint of the data this was written with
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    tag: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    # passages for the tool `search` (retrieval/passages.py): a file beside this one, pack:path or asset:NAME
    library: str = ""
    workflow: str = "answer"
    metadata: Mapping[str, Any] = field(default_factory=dict)  # version and the like, kept for readers

    @property
    def split_names(self) -> dict[str, str]:
        """Map splits to their names in the data set.

        Returns:
            train, validation, test -> name, those that the task has.
        """
        named = {split: getattr(self, key) for split, key in SPLIT_KEYS.items() if getattr(self, key)}
        return {split: next(iter(named.values())) for split in self.hashed} if self.hash_split else named

    @property
    def hashed(self) -> list[str]:
        """List the splits that `hash_split` makes of one file.

        Returns:
            Those with a share above 0, in the order train, validation, test.
        """
        rest = 1 - sum(self.hash_split.values())
        return [
            split for split in SPLIT_KEYS if self.hash_split.get(split) or (split == "test" and rest > 1e-9)
        ]

    @property
    def configs(self) -> list[str]:
        """List the configurations of the data set.

        Returns:
            At least one name, "" for the default.
        """
        return [self.dataset_name] if isinstance(self.dataset_name, str) else list(self.dataset_name)

    @property
    def visuals(self) -> list[str]:
        """List the columns or templates of images.

        Returns:
            Names in order, none for a text task.
        """
        return [self.doc_to_visual] if isinstance(self.doc_to_visual, str) else list(self.doc_to_visual)

    @property
    def metrics(self) -> list[tuple[str, dict[str, Any]]]:
        """List the scorers with their options.

        Returns:
            (name of a scorer, options); names of lm-eval are translated by `METRICS`.
        """
        rows = [row if isinstance(row, Mapping) else {"metric": row} for row in self.metric_list]
        neutral = ("metric", "aggregation", "higher_is_better", "parser")
        return [
            (METRICS.get(row["metric"]) or row["metric"], {k: v for k, v in row.items() if k not in neutral})
            for row in rows
        ]


def read(path: Path) -> Definition:
    """Read and check the definition of a task.

    Args:
        path: a YAML file; its stem is the default name of the task.

    Returns:
        The definition.

    Raises:
        ConfigError: no such file, not YAML, or a key that is unknown, missing or wrong.
    """
    import yaml

    try:
        raw = bounded_yaml.read(path)
    except FileNotFoundError as error:
        raise ConfigError(f"no such file: {path} (from {Path.cwd()})") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a task: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{path}: a task is a mapping with task, dataset_path, doc_to_text, doc_to_target, ..."
        )
    return checked({"task": path.stem, **raw}, str(path))


def checked(raw: Mapping[str, Any], origin: str) -> Definition:
    """Check the keys of a task file.

    Args:
        raw: mapping of the file.
        origin: name of the file, for messages.

    Returns:
        The definition.

    Raises:
        ConfigError: a key is unknown, missing or wrong, or would run code.
    """
    allowed = {f.name: f for f in fields(Definition)}
    for key, value in raw.items():
        if key in FIXED:
            if value not in FIXED[key]:
                raise ConfigError(f"{origin}: {key}: {value!r} is not done here; only {FIXED[key][0]!r} is")
        elif key in CODE_KEYS:
            raise ConfigError(
                f"{origin}: {key} runs code: write the task as a .py file (see examples/custom_task.py)"
            )
        elif key not in allowed:
            raise ConfigError(f"{origin}: unknown key {key!r}{nearest(str(key), allowed)}")
    if missing := [
        name
        for name, f in allowed.items()
        if f.default is MISSING and f.default_factory is MISSING and not raw.get(name)
    ]:
        raise ConfigError(f"{origin}: {missing[0]} is missing")
    _types(raw, origin)
    result = Definition(**{key: value for key, value in raw.items() if key in allowed})
    _values(result, origin)
    return result


def _types(raw: Mapping[str, Any], origin: str) -> None:
    mappings = (
        "example",
        "dataset_kwargs",
        "answers",
        "cluster",
        "meta",
        "where",
        "hash_split",
        "fingerprint",
        "metadata",
    )
    lists = ("metric_list", "tag", "tools", "allow_outside")
    either = ("doc_to_target", "doc_to_choice", "doc_to_visual", "dataset_name", "first_choice", *FIXED)
    for key, value in raw.items():
        requested = (
            dict
            if key in mappings
            else (
                list
                if key in lists
                else object
                if key in either
                else bool
                if key == "shuffle_choices"
                else str
            )
        )
        if not isinstance(value, requested):
            hint = " (quote it)" if isinstance(value, (bool, int, float)) else ""
            raise ConfigError(
                f"{origin}: {key} must be {'text' if requested is str else f'a {requested.__name__}'}, not"
                f" {value!r}{hint}"
            )
    for key in ("answers", "cluster", "meta", "fingerprint"):
        for name, value in raw.get(key, {}).items():
            if not isinstance(value, str) or not isinstance(name, str):
                raise ConfigError(
                    f"{origin}: {key}: {name!r}: {value!r} must be text (quote yes, no and numbers)"
                )


def _values(definition: Definition, origin: str) -> None:
    for key, allowed in (("access", ACCESS), ("order", ORDERS), ("choice_prefix", ("keep", "strip"))):
        if (value := getattr(definition, key)) not in allowed:
            raise ConfigError(f"{origin}: {key} {value!r}{nearest(str(value), allowed)}")
    if not definition.metric_list or not all(
        isinstance(row, str) or (isinstance(row, dict) and row.get("metric"))
        for row in definition.metric_list
    ):
        raise ConfigError(f"{origin}: metric_list names at least one scorer, such as [{{metric: choice}}]")
    for row in definition.metric_list:
        if isinstance(row, dict):
            strict_only(str(row.get("parser", STRICT)), f"{origin}: metric {row['metric']}")
    if definition.doc_to_target == "":
        raise ConfigError(f"{origin}: doc_to_target is missing")
    if not definition.split_names:
        raise ConfigError(f"{origin}: name the split to ask about, such as test_split: test")
    if definition.hash_split and (
        set(definition.hash_split) - {"train", "validation"}
        or not 0 < sum(definition.hash_split.values()) < 1
    ):
        raise ConfigError(f"{origin}: hash_split gives the shares of train and validation, the rest is test")
    _prompts.known(definition.prompt or "plain", origin)
    if _prompts.offers(definition.prompt or "plain") and not definition.doc_to_choice:
        raise ConfigError(
            f"{origin}: the prompt {definition.prompt} lists options: name them as doc_to_choice"
        )
    templates = [
        definition.doc_to_text,
        definition.license,
        definition.id,
        *definition.visuals,
        *definition.cluster.values(),
        *definition.meta.values(),
    ]
    templates += [
        value for value in (definition.doc_to_target, definition.doc_to_choice) if isinstance(value, str)
    ]
    templates += (
        [str(value) for value in definition.doc_to_choice]
        if isinstance(definition.doc_to_choice, list)
        else []
    )
    for template in templates:
        _fields.check(template, origin)
