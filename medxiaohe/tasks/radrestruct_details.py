"""Rad-ReStruct: part of the body, side, degree and attributes of a finding of the report; all the right
options, no other.

Options are lettered in the order of the template. See tasks/_radrestruct.py for the text in place of the
pictures and the split. A question with more than 26 options is left out.
"""

from collections.abc import Iterator
from functools import partial

from medxiaohe.scoring import choices
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.tasks import _radrestruct
from medxiaohe.tasks._common import item, shuffled
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"train": "ef2c387a8d001c99", "validation": "600a55c9326defe8", "test": "ea33034728336e01"}


def radrestruct_details(path: str = "") -> Task:
    """Rad-ReStruct: body part, side, degree and attributes of a finding, all right options.

    Args:
        path: folder with radrestruct/ and iu_reports/; "" for ${MEDXIAOHE_DATA}/cxr.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "radrestruct_details",
        partial(samples, path),
        (choices.choices, choices.f1),
        example(),
        _radrestruct.LICENSE,
        prompt="choices",
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
        One item for each question with 2 to 26 options other than yes and no, in an order that depends only
        on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: files are missing or not of Rad-ReStruct.
    """
    for question in shuffled(_radrestruct.questions(path, split), key=lambda question: question.id):
        if set(question.options) != {"yes", "no"} and 2 <= len(question.options) <= len(LETTERS):
            yield _question(question, split)


def _question(question: _radrestruct.Asked, split: str) -> Sample:
    letters = "".join(LETTERS[i] for i, option in enumerate(question.options) if option in question.gold)
    return item(
        f"radrestruct_details/{question.id}",
        asked("choices", question.text, question.options),
        ", ".join(letters),
        target=letters,
        choices=question.options,
        license=_radrestruct.LICENSE,
        study_id=question.study,
        split=split,
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    so_far = [["Is there calcified granuloma in the lung?", ["yes"]]]
    options = ["left lower lobe", "left upper lobe", "right lower lobe"]
    question = "In which part of the body?"
    return _question(
        _radrestruct.asked(
            "example", "example", _radrestruct.EXAMPLE, question, ["left upper lobe"], so_far, options
        ),
        "test",
    )
