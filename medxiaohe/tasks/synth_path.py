"""Questions over more than five facts of the tree with everything in between masked, as data.synthesise makes
them: what takes several calls of a tool that knows the facts, such as `relations` or `search`.

Rows with the same answer, or that share an entity of their path with one of another split, would tell it: the
split goes by the answer, and rows of training whose path passes an answer of validation or test are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.scoring.exact import exact
from medxiaohe.tasks._common import hash_split, item, known_split
from medxiaohe.types import Sample, Task

NAME = "synth_path"


def synth_path(data: Path | None = None) -> Task:
    """Synthesised questions over chains of facts of the tree, answered with tools.

    Args:
        data: folder of a data.synthesise stage.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        NAME,
        partial(samples, data),
        (exact,),
        example(),
        "that of each vocabulary of the tree",
        access="private",
        prompt="own",
        tags=("text", "english", "entities", "reasoning", "tools"),
    )


def samples(data: Path | None, split: str) -> Iterator[Sample]:
    """Read the rows of a split; training rows that pass an answer of another split are left out.

    Args:
        data: as the task takes it.
        split: train, validation or test.

    Yields:
        Rows in the order of the file.

    Raises:
        ConfigError: the task has no such split, or no folder is given.
        DataError: the folder has no such rows.
    """
    known_split(split)
    if data is None:
        raise ConfigError(
            f"the task {NAME} asks about synthesised paths: name a data.synthesise stage in the `needs:` of"
            " this stage as `data`"
        )
    file = data / "samples.jsonl"
    if not file.is_file():
        raise DataError(f"{data} has no samples.jsonl: {NAME} needs the folder of a data.synthesise stage")
    rows = [row for row in io.read_samples(file) if row.source == NAME and row.provenance.path]
    held = {row.provenance.answer for row in rows if split_of(row) != "train"}
    yielded = False
    for row in rows:
        passes = set(row.entities) - {row.provenance.answer}
        if split_of(row) == split and not (split == "train" and passes & held):
            yielded = True
            yield replace(row, split=split)  # type: ignore[arg-type]
    if not yielded:
        raise DataError(f"{data}: no synthesised path of the split {split}: raise `nodes` or `paths`")


def split_of(row: Sample) -> str:
    """Assign a row to a split by a hash of its answer.

    Args:
        row: with `provenance.answer`.

    Returns:
        train, validation or test.
    """
    return hash_split(NAME, row.provenance.answer)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item.
    """
    question = (
        "X1 to X2 stand for entities that are not named. These are facts:\n1. scurvy is caused by the lack of"
        " X1, and X1 is a chemical.\n2. X1 is found in X2, and X2 is a food.\nWhich food is X2?"
    )
    return item(f"{NAME}/example", question, "citrus fruit", target="citrus fruit", license="CC0-1.0")
