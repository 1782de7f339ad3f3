"""Build a Task from a task file of lm-eval or lmms-eval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError, DataError
from medxiaohe.tasks._common import item, known_split
from medxiaohe.tasks._lm_eval import config as files
from medxiaohe.tasks._lm_eval import metrics
from medxiaohe.tasks._lm_eval.documents import Documents, plain
from medxiaohe.types import Annotations, Message, Sample, Task

SPLITS = {"train": "training_split", "validation": "validation_split", "test": "test_split"}
RANKED = "medxiaohe.agents.engine.likeliest:likeliest"  # the workflow that ranks options


def factory(path: Path) -> Callable[..., Task]:
    """Build the function that makes the task of a file.

    Args:
        path: YAML of one task.

    Returns:
        NAME(path="", revision=None, num_fewshot=None, chat=False) -> Task.

    Raises:
        ConfigError: the file cannot be read, or is a group of tasks.
        CodeRefused: it names functions, and nobody has allowed their code.
    """
    raw = files.read(path)
    if isinstance(raw.get("task"), list):
        raise ConfigError(
            f"{path} is a group of tasks ({', '.join(map(str, raw['task']))[:120]}): name it with --tasks,"
            " which takes the file of each"
        )

    def make(
        path: str = "", revision: str | None = None, num_fewshot: int | None = None, chat: bool = False
    ) -> Task:
        return task(raw, origin, path, revision, num_fewshot, chat)

    origin = str(path)
    make.__name__ = make.__qualname__ = str(raw.get("task") or path.stem)
    make.file = origin  # type: ignore[attr-defined]  # what defines it, for whoever asks
    make.__doc__ = (
        f"{make.__name__}, a task file of lm-eval or lmms-eval.\n\n`path` is a folder or file in the layout"
        f" of {raw.get('dataset_path')}; `num_fewshot` examples stand before each question; `chat` asks text"
        " questions in the model's chat template, as lm-eval does with --apply_chat_template."
    )
    return make


def task(
    raw: Mapping[str, Any],
    origin: str,
    path: str = "",
    revision: str | None = None,
    num_fewshot: int | None = None,
    chat: bool = False,
) -> Task:
    """Build the task of the checked keys of a file.

    Args:
        raw: keys by `config.read`.
        origin: name of the file, for messages and paths beside it.
        path: file or folder in the layout of the data set; "" for what the file names.
        revision: branch, tag or commit of a data set of the hub.
        num_fewshot: examples before each question; None for what the file says.
        chat: ask text questions in the model's chat template.

    Returns:
        The task; data is read when its samples are.

    Raises:
        ConfigError: a key is missing, or says what is not done here.
    """
    config = {**raw, "task": str(raw.get("task") or Path(origin).stem)}
    if num_fewshot is not None:
        config["num_fewshot"] = num_fewshot
    output = str(config.get("output_type") or "generate_until")
    if output not in files.OUTPUTS:
        raise ConfigError(
            f"{origin}: output_type {output!r} is not done here: {', '.join(files.OUTPUTS)} are"
        )
    for key in ("dataset_path", "doc_to_text" if "doc_to_messages" not in config else "doc_to_messages"):
        if config.get(key) is None and not (key == "dataset_path" and path):
            raise ConfigError(f"{origin}: {key} is missing")
    if output == "multiple_choice" and config.get("doc_to_choice") is None:
        raise ConfigError(f"{origin}: doc_to_choice is missing, the options of multiple_choice")
    if (config.get("repeats") or 1) != 1:
        raise ConfigError(f"{origin}: repeats: ask for several draws with -k, not in the file")
    named = {split: str(config[key]) for split, key in SPLITS.items() if config.get(key)}
    if not named:
        raise ConfigError(f"{origin}: name the split to ask about, such as test_split: test")
    documents = Documents(config, origin, path, revision)
    pictured = bool(
        config.get("doc_to_visual") or config.get("doc_to_image") or config.get("doc_to_messages")
    )
    bare = output != "generate_until" and not pictured and not chat
    return Task(
        name=config["task"],
        samples=partial(samples, documents, output, named, bare),
        scorers=metrics.scorers(config, output, origin),
        example=_example(config, output, bare),
        license=_license(config),
        access="public",
        workflow=RANKED if output != "generate_until" else "answer",
        prompt=f"lm_eval {'text' if bare else 'chat'}, {config.get('num_fewshot') or 0} shots",
        splits=tuple(named),
        tags=("image" if pictured else "text",),
    )


def samples(
    documents: Documents, output: str, named: Mapping[str, str], bare: bool, split: str
) -> Iterator[Sample]:
    """Build the items of a split.

    Args:
        documents: rows of the file.
        output: its output_type.
        named: split -> name in the data set.
        bare: ask without a chat template, as one document.
        split: one of `named`.

    Yields:
        Items in the order of the data set.

    Raises:
        ConfigError: there is no such split.
        DataError: a row does not fit, and the message names it.
    """
    known_split(split, tuple(named))
    rows = documents.rows(named[split])
    shots = documents.sampler(int(documents.config.get("num_fewshot") or 0), split)
    for number, row in enumerate(rows):
        try:
            yield _sample(documents, row, number, output, split, bare, shots(row))
        except DataError as error:
            raise DataError(f"{documents.config['task']}, row {number} of {named[split]}: {error}") from error


def _sample(
    documents: Documents, row: Mapping[str, Any], number: int, output: str, split: str, bare: bool, shots: str
) -> Sample:
    config = documents.config
    choices: tuple[str, ...] = ()
    gold: Any
    if output == "multiple_choice":
        choices = tuple(documents.choices(row))
        gold = documents.gold(row, choices)
        target = choices[gold[0]]
    else:
        gold = documents.target(row)
        options = documents.choices(row)
        if options and isinstance(gold, int):
            gold = options[gold]  # lm-eval: with doc_to_choice the target is a number
        several = isinstance(gold, (list, tuple))
        gold = [str(text) for text in gold] if several else str(gold)
        target = "\n".join(gold) if several else gold
        choices = (target,) if output == "loglikelihood" else ()
    about: dict[str, Any] = {
        "target": target,
        "choices": choices,
        "license": _license(config),
        "split": split,
        "annotations": Annotations(harness={metrics.GOLD: gold, metrics.ROW: plain(dict(row))}),
    }
    name = f"{config['task']}/{split}-{number}"
    words = target.splitlines()[0] if target.strip() else target
    if (talk := documents.messages(row)) is not None:
        return Sample(name, (*talk, Message("assistant", (words,))), source=config["task"], **about)
    question = str(config.get("description") or "") + shots + documents.text(row)
    if config.get("gen_prefix"):
        question += documents.delimiter + str(config["gen_prefix"])
    if bare:
        return Sample(name, (Message("document", (question,)),), source=config["task"], **about)
    return item(name, (*documents.pictures(row), question), words, **about)


def _example(config: Mapping[str, Any], output: str, bare: bool) -> Sample:
    """A made-up item that shows the kind of the task: the file has none, and its data may be elsewhere."""
    listed = config.get("doc_to_choice")
    choices = (
        tuple(map(str, listed)) if isinstance(listed, list) else ("A", "B") if listed is not None else ()
    )
    choices = choices if output == "multiple_choice" else ()
    answer = choices[0] if choices else "an answer"
    gold: Any = [0] if choices else answer
    question = f"{config.get('description') or ''}A question of {config['task']}"
    message = Message("document" if bare else "user", (question,))
    gold_turn = () if bare else (Message("assistant", (answer,)),)
    return Sample(f"{config['task']}/example", (message, *gold_turn), target=answer, choices=choices,
                  annotations=Annotations(harness={metrics.GOLD: gold, metrics.ROW: {}}))  # fmt: skip


def _license(config: Mapping[str, Any]) -> str:
    stated = config.get("license")
    about = config.get("metadata")
    for row in about if isinstance(about, list) else [about]:
        stated = stated or (row.get("license") if isinstance(row, Mapping) else None)
    return str(stated or f"that of {config.get('dataset_path')}, which the file does not state")
