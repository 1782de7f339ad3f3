"""BioASQ yes/no questions under the snippets that experts chose (see tasks/_bioasq.py for the split)."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks import _bioasq
from medxiaohe.tasks._common import item
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"train": "5660aa081cda1520", "validation": "45a6828e7b0d27f8", "test": "5b0ca2956b1fa457"}


def bioasq_yesno(path: str = "") -> Task:
    """BioASQ yes/no questions under their snippets.

    Args:
        path: folder of BioASQ golden files; "" for ${MEDXIAOHE_DATA}/corpus/bioasq.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "bioasq_yesno",
        partial(samples, path),
        (yes_no,),
        example(),
        _bioasq.LICENSE,
        prompt="yes_no",
        cluster="question",
        tags=_bioasq.TAGS,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each yes/no question, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: there are no files, or they are not of BioASQ.
    """
    for row in _bioasq.questions(path, "yesno", split):
        yield question(row, split, _bioasq.with_snippets(row), "bioasq_yesno")


def question(row: Mapping[str, Any], split: str, text: str, task: str) -> Sample:
    """Build the item of a yes/no question.

    Args:
        row: a question of BioASQ.
        split: of the item.
        text: question, with or without snippets.
        task: name of the task, for id and source.

    Returns:
        An item whose target is yes or no.
    """
    gold = str(row["exact_answer"]).lower()
    fields = {"target": gold, "license": _bioasq.LICENSE, "study_id": row["id"], "split": split}
    return item(f"{task}/{row['id']}", asked("yes_no", text), gold.capitalize(), **fields)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return question(_bioasq.EXAMPLE, "test", _bioasq.with_snippets(_bioasq.EXAMPLE), "bioasq_yesno")
