"""Build a task from a YAML file: rows become samples by templates, judged by a scorer of scoring/. No code of
the file is run.
"""

from __future__ import annotations

import ast
import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe import images, io, plugins
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.retrieval.library import open_library
from medxiaohe.retrieval.store import Store
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.tasks import _definition, _fields, _lm_eval, _prompts, _rows
from medxiaohe.tasks._common import alternating, hash_split, item, known_split, shuffled, stored
from medxiaohe.tasks._definition import Definition
from medxiaohe.tasks._reads import note, shown
from medxiaohe.types import ImageRef, Sample, Scorer, Task

LETTERED = re.compile(r"^\s*[(\[]?([A-Z])[)\]]?\s*[:.、．)：\s]\s*(.*\S)\s*$")


def factory(path: Path) -> Callable[..., Task]:
    """Build the function that makes the task of a file, as `plugins.load` returns it.

    Args:
        path: YAML in our format, or that of lm-eval or lmms-eval.

    Returns:
        NAME(path="", revision=None, allow_outside=()) -> Task; paths in the file are relative to it.

    Raises:
        ConfigError: the file is missing, or a key is unknown, missing or wrong.
    """
    if _lm_eval.is_one(path):
        return _lm_eval.factory(path)
    about = _definition.read(path)
    if (beside := path.parent / about.dataset_path).exists():
        about = replace(about, dataset_path=str(beside))  # a path is relative to the file that names it
    if about.library and (beside := path.parent / about.library).exists():
        about = replace(about, library=str(beside))
    about = replace(about, allow_outside=tuple(str(path.parent / folder) for folder in about.allow_outside))

    def make(path: str = "", revision: str | None = None, allow_outside: Sequence[str] = ()) -> Task:
        return task(about, path, revision, allow_outside)

    make.__name__ = make.__qualname__ = about.task
    make.file = str(path)  # type: ignore[attr-defined]  # what defines it, for whoever asks
    make.__doc__ = (
        f"{about.about}\n\n`path` is a folder or file in the layout of {about.dataset_path}; `allow_outside`"
        " names folders beside it whose images rows may name."
    )
    return make


def task(
    about: Definition, path: str = "", revision: str | None = None, allow_outside: Sequence[str] = ()
) -> Task:
    """Build the task of a definition.

    Args:
        about: the definition.
        path: file or folder in the layout of the data set; "" for what the definition names.
        revision: branch, tag or commit of a data set of the hub.
        allow_outside: folders whose images rows may name.

    Returns:
        The task; data is read when its samples are.

    Raises:
        ConfigError: there is no such scorer, or it has no such option.
        DataError: the example does not fit the definition.
        CodeRefused: a scorer is code that nobody has allowed.
    """
    return Task(
        name=about.task,
        samples=partial(samples, about, path, revision, allow_outside=tuple(allow_outside)),
        scorers=tuple(_scorer(name, options) for name, options in about.metrics),
        example=_sample(about, about.example, "example", "test", Path("example"), io.confined(None)),
        license=_shown(about.license),
        access=about.access,  # type: ignore[arg-type]
        tools=tuple(about.tools),
        workflow=about.workflow,
        prompt=about.prompt or "plain",
        cluster=next(iter(about.cluster), ""),
        splits=tuple(about.split_names),
        fingerprints={} if path else about.fingerprint,
        tags=tuple(about.tag),
        resources={"library": partial(_library, about.library)} if about.library else {},
    )


def _library(path: str) -> Store:
    if (location := _rows.local(path)) is None or not location.exists():
        raise DataError(
            f"the task's library {path} is no file of passages (retrieval/passages.py) and no store"
        )
    return open_library(str(location))


def samples(
    about: Definition, path: str, revision: str | None, split: str, allow_outside: Sequence[str] = ()
) -> Iterator[Sample]:
    """Build the items of a split.

    Args:
        about: the definition.
        path: as the task takes it.
        revision: as the task takes it.
        split: one that the definition has.
        allow_outside: as the task takes it.

    Yields:
        Items in the definition's `order`, which depends on nothing but the rows.

    Raises:
        ConfigError: there is no such split.
        DataError: the data is missing; a row does not fit, and the message names it.
        Rejected: a row names an image outside of the folders.
    """
    known_split(split, tuple(about.split_names))
    root = _rows.local(path or about.dataset_path)
    if path and root is None:
        raise DataError(f"no such file or folder: {path}")
    if about.library:
        _rows.local(about.library)  # recorded as data of the task
    if root is not None and root.is_file() and about.image_folder:
        note(shown(root.parent / about.image_folder), root.parent / about.image_folder)
    within = _within(about, root, allow_outside)
    if about.order == "shuffled":
        yield from _made(about, _chosen(about, root, revision, split), root, split, within)
        return
    results = list(_made(about, _chosen(about, root, revision, split), root, split, within))
    yield from (
        results
        if about.order == "file"
        else alternating(results, key=lambda s: s.id, label=lambda s: s.target)
    )


def _within(about: Definition, root: Path | None, allow_outside: Sequence[str]) -> io.Confined:
    """Where images of rows may lie: the data's folder, `image_folder`, and what definition and user add."""
    if root is None:
        return io.confined(None)
    folder = (root if root.is_dir() else root.parent) / about.image_folder
    return io.confined(root, [folder, *about.allow_outside, *allow_outside])


def _made(
    about: Definition,
    numbered: Iterator[tuple[str, Mapping[str, Any]]],
    root: Path | None,
    split: str,
    within: io.Confined,
) -> Iterator[Sample]:
    for name, row in numbered:
        try:
            sample = _sample(about, row, name, split, root, within)
        except DataError as error:
            raise DataError(f"{about.task}, row {name}: {error}") from error
        if not about.hash_split or _split_of(about, sample) == split:
            yield sample


def _chosen(
    about: Definition, root: Path | None, revision: str | None, split: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names of rows and the rows, those of `where`, one for each entry of `each`."""
    name = about.split_names[split]
    for config in about.configs:
        rows = _load(about, root, revision, name, config)
        numbers: Sequence[int] = range(len(rows))
        if about.order == "shuffled":
            numbers = shuffled(numbers, key=lambda i: f"{about.task}/{i:09d}")
        for number in numbers:
            row = rows[number]
            if all(_fits(row, column, patterns) for column, patterns in about.where.items()):
                yield from _entries(about, row, "-".join(filter(None, [_slug(config), name, str(number)])))


def _load(
    about: Definition, root: Path | None, revision: str | None, name: str, config: str
) -> Sequence[Mapping[str, Any]]:
    if root is not None:
        return _rows.rows(root, name, config, about.dataset_kwargs.get("data_files", {}).get(name, ""))
    return _rows.hub(about.dataset_path, name, config, revision or about.dataset_kwargs.get("revision"))


def _entries(about: Definition, row: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not about.each:
        yield name, row
        return
    for number, entry in enumerate(_fields.value(row, about.each)):
        yield f"{name}-{number}", {**row, "item": entry}


def _fits(row: Mapping[str, Any], column: str, patterns: Any) -> bool:
    text = str(_fields.value(row, column))
    return any(
        fnmatchcase(text, str(pattern))
        for pattern in (patterns if isinstance(patterns, list) else [patterns])
    )


def _split_of(about: Definition, sample: Sample) -> str:
    unit = sample.patient_id or sample.study_id or sample.id
    return hash_split(
        about.task, unit, about.hash_split.get("train", 0.0), about.hash_split.get("validation", 0.0)
    )


# ---- one item ------------------------------------------------------------------------------------


def _sample(
    about: Definition,
    row: Mapping[str, Any],
    name: str,
    split: str,
    root: Path | None,
    within: io.Confined,
) -> Sample:
    row = row if about.each == "" or "item" in row else {**row, "item": _fields.value(row, about.each)[0]}
    choices = _choices(about, row)
    answer = (
        _fields.given(about.doc_to_target, row)
        if isinstance(about.doc_to_target, str)
        else about.doc_to_target
    )
    target, words = _target(about, answer, choices)
    if about.shuffle_choices and choices:
        gold = choices[LETTERS.index(target)]
        choices = tuple(
            sorted(choices, key=lambda choice: io.unit_interval("options", about.task, name, choice))
        )
        target, words = _target(about, gold, choices)
    question = (about.doc_to_text if _is_words(about) else _fields.filled(about.doc_to_text, row)).strip()
    if about.cut_text_at:
        question = question.partition(about.cut_text_at)[0].rstrip()
    prompt = _prompts.asked(about.prompt or "plain", about.description + question, choices)
    study = next((template for unit, template in about.cluster.items() if unit != "patient"), "")
    shown = [
        _image(about, image, root, within)
        for template in about.visuals
        for image in _listed(_fields.given(template, row))
    ]
    return item(
        f"{about.task}/{_fields.filled(about.id, row) if about.id else name}",
        (*shown, prompt),
        words,
        target=target,
        choices=choices,
        license=_fields.filled(about.license, row) if "{{" in about.license else about.license,
        patient_id=_fields.filled(about.cluster["patient"], row) if "patient" in about.cluster else "",
        study_id=_fields.filled(study, row) if study else "",
        split=split,
        meta={key: _fields.filled(template, row) for key, template in about.meta.items()},
    )


def _is_words(about: Definition) -> bool:
    """Whether the question is the same words for every row, rather than the name of a column."""
    return (
        "{{" not in about.doc_to_text and about.doc_to_text not in about.example and " " in about.doc_to_text
    )


def _choices(about: Definition, row: Mapping[str, Any]) -> tuple[str, ...]:
    if not about.doc_to_choice:
        return ()
    if isinstance(about.doc_to_choice, list):
        options = [_optional(str(template), row) for template in about.doc_to_choice]
    else:
        options = _options(_fields.given(about.doc_to_choice, row))
    while options and not options[-1].strip():
        options.pop()
    if about.choice_prefix == "strip":
        options = [match[2] if (match := LETTERED.match(text)) else text for text in options]
    options = [text.strip() for text in options]
    if len(options) < 2 or not all(options) or len(options) > len(LETTERS):
        raise DataError(f"2 to {len(LETTERS)} options are needed, not {options!r}")
    return tuple(options)


def _optional(template: str, row: Mapping[str, Any]) -> str:
    """A template of an option, which may be missing from the row; words without {{}} are the option
    itself."""
    if "{{" not in template:
        return template
    return (
        ""
        if all(path not in row for path in _fields.FIELD.findall(template) if "." not in path)
        else _fields.filled(template, row)
    )


def _options(options: Any) -> list[str]:
    """Options as a list, a mapping of letters, [{key, value}], the text of a list, or lines that start with
    letters."""
    if isinstance(options, str) and options.strip().startswith("["):
        try:
            options = ast.literal_eval(options.strip())
        except (ValueError, SyntaxError) as error:
            raise DataError(f"not a list of options: {options[:80]!r}") from error
    if isinstance(options, str):
        lines = [match for line in options.splitlines() if (match := LETTERED.match(line))]
        return [match[2] for match in lines]
    if isinstance(options, Mapping):
        options = [options[key] for key in sorted(options)]  # A, B, C, ...
    if not isinstance(options, Sequence):
        raise DataError(f"options must be a list or a mapping, not {str(options)[:60]!r}")
    return [
        (
            str(next((v for k, v in row.items() if k in ("value", "content", "text")), ""))
            if isinstance(row, Mapping)
            else ""
            if row is None
            else str(row)
        )
        for row in options
    ]


def _target(about: Definition, answer: Any, choices: Sequence[str]) -> tuple[str, str]:
    """(what the scorer compares with, the answer in words)."""
    scorer = about.metrics[0][0]
    several = isinstance(answer, (list, tuple))
    if several:
        answer = "".join(map(str, answer)) if scorer.startswith("choices") else "\n".join(map(str, answer))
    stated = _fields.text(answer).strip()
    if about.answers:
        results = [
            name
            for pattern, name in about.answers.items()
            if stated == pattern or fnmatchcase(stated, pattern)
        ]
        if not results:
            raise DataError(f"the answer {stated!r} is not one of {', '.join(about.answers)}")
        stated = results[0]
    if not stated:
        raise DataError("the answer is empty")
    if scorer in ("stated", "yes_no") and stated.casefold() in ("yes", "no", "maybe"):
        stated = stated.casefold()
    if scorer.startswith("choices"):
        letters = "".join(sorted(set(re.findall(r"[A-Z]", stated))))
        if not letters or LETTERS.index(letters[-1]) >= len(choices):
            raise DataError(f"the answer {stated!r} is not letters of {len(choices)} options")
        return letters, ", ".join(letters)
    if not choices or scorer.startswith(("one_of", "yes_no")):
        if choices and stated not in choices:
            raise DataError(f"the answer {stated!r} is not one of {', '.join(choices)}")
        # a line of a target is one of several golds
        return (stated, stated.splitlines()[0]) if several else (" ".join(stated.split()), stated)
    letter = LETTERS[_place(stated, choices, about.first_choice, isinstance(answer, int))]
    return letter, f"{letter}. {choices[LETTERS.index(letter)]}"


def _place(stated: str, choices: Sequence[str], first: int, number: bool) -> int:
    """Which option is meant: by number, by letter, or by its text; two readings are an error, not a guess."""
    letters = LETTERS[: len(choices)]
    if number or (first and stated.isdigit()):
        matches = {int(stated) - first} & set(range(len(choices)))
    else:
        matches = {i for i, choice in enumerate(choices) if choice == stated}
        matches |= {letters.index(stated)} if stated in letters and len(stated) == 1 else set()
    if len(matches) != 1:
        raise DataError(
            f"the answer {stated!r} means {len(matches)} of the options {', '.join(choices)[:200]!r}"
        )
    return matches.pop()


def _listed(value: Any) -> list[Any]:
    return [entry for entry in value if entry] if isinstance(value, list) else [value] if value else []


def _image(about: Definition, value: Any, root: Path | None, within: io.Confined) -> ImageRef:
    """From a path below the data, a data: URI, or the bytes that a data set holds."""
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return stored(value, about.task)
    if isinstance(value, str) and value.startswith("data:"):
        try:
            return stored(base64.b64decode(value.partition(",")[2], validate=True), about.task)
        except binascii.Error as error:
            raise DataError("an image is not base64") from error
    if not isinstance(value, str):
        raise DataError(f"an image must be a path or bytes, not {str(value)[:60]!r}")
    if root is None:
        raise DataError(
            f"the data set names the image {value!r} but does not hold it: unpack its archive and give the"
            " task `path`"
        )
    if root == Path("example"):
        return ImageRef(value)  # of a made-up row; nobody opens it
    folder = (root if root.is_dir() else root.parent) / about.image_folder
    return images.ref(within.path(value, folder))


def _scorer(name: str, options: Mapping[str, Any]) -> Scorer:
    scorer = plugins.load("scoring", name, from_data=True)
    if not options:
        return scorer  # type: ignore[no-any-return]
    try:
        result = partial(scorer, **options)
    except TypeError as error:
        raise ConfigError(f"the scorer {name} has no options {options}") from error
    result.__name__ = name  # type: ignore[attr-defined]
    return result


def _shown(license: str) -> str:
    return "that of each row" if "{{" in license else license


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
