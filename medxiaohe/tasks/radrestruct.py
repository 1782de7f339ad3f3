"""Rad-ReStruct: is a finding in the report, yes or no? As many no as yes of each study, chosen by hash;
without, 94 % are no.

See tasks/_radrestruct.py for the text in place of the pictures and for the split. "No" also stands for what a
report does not mention, as the annotators had it.
"""

from collections.abc import Iterator
from functools import partial

from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks import _radrestruct
from medxiaohe.tasks._common import item, shuffled
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"train": "33b170042f04a266", "validation": "d793e996975a03f6", "test": "4270539209e801f9"}


def radrestruct(path: str = "") -> Task:
    """Rad-ReStruct: is a finding in the report, yes or no.

    Args:
        path: folder with radrestruct/ and iu_reports/; "" for ${MEDXIAOHE_DATA}/cxr.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "radrestruct",
        partial(samples, path),
        (yes_no,),
        example(),
        _radrestruct.LICENSE,
        prompt="yes_no",
        cluster="study",
        tags=_radrestruct.TAGS,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        As many no as yes of each study, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: files are missing or not of Rad-ReStruct.
    """
    studies: dict[str, dict[str, list[_radrestruct.Asked]]] = {}
    for question in _radrestruct.questions(path, split):
        if set(question.options) == {"yes", "no"}:
            studies.setdefault(question.study, {"yes": [], "no": []})[question.gold[0]].append(question)
    chosen = []
    for by_gold in studies.values():
        # balance within the study: as many of each answer as the rarer one has
        few = min(len(by_gold["yes"]), len(by_gold["no"]))
        chosen += [
            entry
            for gold in ("yes", "no")
            for entry in shuffled(by_gold[gold], key=lambda entry: entry.id)[:few]
        ]
    yield from (_question(entry, split) for entry in shuffled(chosen, key=lambda entry: entry.id))


def _question(question: _radrestruct.Asked, split: str) -> Sample:
    fields = {
        "target": question.gold[0],
        "license": _radrestruct.LICENSE,
        "study_id": question.study,
        "split": split,
    }
    return item(
        f"radrestruct/{question.id}", asked("yes_no", question.text), question.gold[0].capitalize(), **fields
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    question = "Is there calcified granuloma in the lung?"
    so_far = [["Are there any diseases in the lung?", ["yes"]]]
    return _question(
        _radrestruct.asked(
            "example", "example", _radrestruct.EXAMPLE, question, ["yes"], so_far, ["yes", "no"]
        ),
        "test",
    )
