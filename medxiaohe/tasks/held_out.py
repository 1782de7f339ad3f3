"""The rows of one's own corpus that were held out: split "test" of a data.read stage, with an answer to
compare with.

In a recipe the folder comes from `needs: {data: corpus}` of the stage that asks. Rows get their split from
the file, or from `hold_out` of their source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.scoring.stated import stated
from medxiaohe.tasks._common import item, known_split
from medxiaohe.types import Sample, Task


def held_out(data: Path | None = None) -> Task:
    """Held-out rows of the user's corpus: split test of a data.read stage, with an answer to compare with.

    Args:
        data: folder of a data.read stage.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "held_out",
        partial(samples, data),
        (stated,),
        example(),
        "that of each row",
        access="private",
        prompt="own",
    )


def samples(data: Path | None, split: str) -> Iterator[Sample]:
    """Read the rows of a split that end with an assistant message.

    Args:
        data: as the task takes it.
        split: train, validation or test.

    Yields:
        Rows in the order of the file; the target is the last message where a row has none.

    Raises:
        ConfigError: the task has no such split, or no folder is given.
        DataError: the folder has no samples.jsonl.
    """
    known_split(split)
    if data is None:
        raise ConfigError(
            "the task held_out asks about a corpus: name its stage in the `needs:` of this stage as `data`"
        )
    if not (data / "samples.jsonl").is_file():
        raise DataError(f"{data} has no samples.jsonl: held_out needs the folder of a data.read stage")
    for sample in io.read_samples(data / "samples.jsonl"):
        if sample.split == split and sample.messages[-1].role == "assistant":
            yield replace(sample, target=sample.target or sample.messages[-1].text, source="held_out")


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item.
    """
    question = "Is the left lung smaller than the right one? Answer yes or no."
    return item("held_out/example", question, "Yes.", target="yes", license="CC0-1.0")
