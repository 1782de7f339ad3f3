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
    for one in shuffled(_radrestruct.questions(path, split), key=lambda one: one.id):
        if set(one.options) != {"yes", "no"} and 2 <= len(one.options) <= len(LETTERS):
            yield _question(one, split)


def _question(one: _radrestruct.Asked, split: str) -> Sample:
    letters = "".join(LETTERS[i] for i, option in enumerate(one.options) if option in one.gold)
    return item(
        f"radrestruct_details/{one.id}",
        asked("choices", one.text, one.options),
        ", ".join(letters),
        target=letters,
        choices=one.options,
        license=_radrestruct.LICENSE,
        study_id=one.study,
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
