"""BioASQ factoid questions under the snippets that experts chose: one name, any of its accepted synonyms,
word for word.

Published results allow five answers (lenient accuracy, MRR); here one is asked for. With `tree` a synonym of
the tree counts too.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe.tasks import _bioasq
from medxiaohe.tasks._common import item
from medxiaohe.tasks._names import named
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"train": "6acf3f1eaed9efe6", "validation": "ee65003cc3a8bc87", "test": "5a07b7cc483ee296"}


def bioasq_factoid(path: str = "", tree: Path | None = None) -> Task:
    """BioASQ factoid questions under their snippets: one name, compared with its synonyms.

    Args:
        path: folder of BioASQ golden files; "" for ${MEDXIAOHE_DATA}/corpus/bioasq.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "bioasq_factoid",
        partial(samples, path),
        (named(tree),),
        example(),
        _bioasq.LICENSE,
        prompt="short",
        cluster="question",
        tags=_bioasq.TAGS,
        gold=lambda sample: sample.target.split("\n")[0],
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each factoid question, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: there are no files, or they are not of BioASQ.
    """
    for row in _bioasq.questions(path, "factoid", split):
        yield _question(row, split)


def _question(row: Mapping[str, Any], split: str) -> Sample:
    accepted = accepted_names(row["exact_answer"])
    fields = {
        "target": "\n".join(accepted),
        "license": _bioasq.LICENSE,
        "study_id": row["id"],
        "split": split,
    }
    return item(
        f"bioasq_factoid/{row['id']}", asked("short", _bioasq.with_snippets(row)), accepted[0], **fields
    )


def accepted_names(exact: Any) -> list[str]:
    """Flatten the accepted names of an answer.

    Args:
        exact: [["a", "b"]], or a flat list in older files.

    Returns:
        Names with whitespace collapsed, each once, in order.
    """
    names = [name for entry in exact for name in (entry if isinstance(entry, list) else [entry])]
    return list(dict.fromkeys(" ".join(str(name).split()) for name in names))


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    body = "Which gene is mutated in Marfan syndrome?"
    return _question(
        {**_bioasq.EXAMPLE, "body": body, "type": "factoid", "exact_answer": [["FBN1", "fibrillin-1"]]},
        "test",
    )
