"""BioASQ list questions under the snippets that experts chose: all the names, one a line, as F1 over
different things.

An item of the gold with several synonyms counts by its first one; with `tree` a synonym of the tree counts
too.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe.tasks import _bioasq
from medxiaohe.tasks._common import item
from medxiaohe.tasks._names import different, listed
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"train": "f4ac3c3141eacb56", "validation": "9deef76a5fbc878c", "test": "c9e2e584e9a11938"}


def bioasq_list(path: str = "", tree: Path | None = None) -> Task:
    """BioASQ list questions under their snippets: all names, as F1.

    Args:
        path: folder of BioASQ golden files; "" for ${MEDXIAOHE_DATA}/corpus/bioasq.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "bioasq_list",
        partial(samples, path),
        (listed(tree),),
        example(),
        _bioasq.LICENSE,
        prompt="list",
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
        One item for each list question, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: there are no files, or they are not of BioASQ.
    """
    for row in _bioasq.questions(path, "list", split):
        yield _question(row, split)


def _question(row: Mapping[str, Any], split: str) -> Sample:
    firsts = [
        " ".join(str(entry[0] if isinstance(entry, list) else entry).split())
        for entry in row["exact_answer"]
        if entry
    ]
    gold = "\n".join(different(firsts))
    fields = {"target": gold, "license": _bioasq.LICENSE, "study_id": row["id"], "split": split}
    return item(f"bioasq_list/{row['id']}", asked("list", _bioasq.with_snippets(row)), gold, **fields)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    body = "Which enzymes does aspirin inhibit?"
    return _question(
        {**_bioasq.EXAMPLE, "body": body, "type": "list", "exact_answer": [["COX-1"], ["COX-2"]]}, "test"
    )
