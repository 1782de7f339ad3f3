"""VQA-RAD (Lau et al. 2018, doi 10.1038/sdata.2018.251): yes/no questions on CT, MR and X-ray images.

Only the closed questions answered by yes or no; the open ones need a judge. The published test questions are
about images that are also in the published training set (in our file, 140 of 213), so the split here is by
MedPix case and image: 60 % train, 10 % validation, 30 % test. Numbers are not comparable with those on the
published split.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks._common import components, hash_split, item, known_split, pictured, place, shuffled
from medxiaohe.types import ImageRef, Sample, Task

LICENSE = "CC0-1.0"
FINGERPRINTS = {"train": "a34400fc0db4996d", "validation": "78a68d5b8f2e0bd0", "test": "2b6369d4579c95ad"}


def vqa_rad(path: str = "") -> Task:
    """VQA-RAD: closed questions on CT, MR and X-ray images, yes or no.

    Args:
        path: folder with vqa_rad.json and images/; "" for ${MEDXIAOHE_DATA}/vqa/vqa_rad.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "vqa_rad",
        partial(samples, path),
        (yes_no,),
        example(),
        LICENSE,
        prompt="yes_no",
        cluster="case",
        tags=("image", "english", "radiology", "medevalkit"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each closed question with yes or no, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: files are missing or not of VQA-RAD.
    """
    for row, image, study in rows(path, split, "CLOSED"):
        if _answer(row) in ("yes", "no"):
            yield _question(row, image, study, split)


def rows(path: str, split: str, kind: str) -> Iterator[tuple[dict[str, Any], ImageRef, str]]:
    """Read the questions of a kind and split.

    Args:
        path: as the task takes it.
        split: train, validation or test.
        kind: OPEN or CLOSED.

    Yields:
        (row, image, case that the image belongs to), in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: files are missing or not of VQA-RAD.
    """
    known_split(split)
    folder = place(path, "vqa/vqa_rad")
    questions = io.read_json(folder / "vqa_rad.json")
    try:
        connected = components([_case(row), row["image_name"]] for row in questions)
        requested = [row for row in questions if row["answer_type"].strip() == kind]
        for row in shuffled(requested, key=lambda row: str(row["qid"])):
            study = connected[_case(row)]
            if hash_split("vqa_rad", study, train=0.6, validation=0.1) == split:
                yield row, pictured(row["image_name"], folder / "images"), study
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder / 'vqa_rad.json'}: not the VQA-RAD file ({error!r})") from error


def _question(row: dict[str, Any], image: ImageRef, study: str, split: str) -> Sample:
    return item(
        f"vqa_rad/{row['qid']}",
        (image, f"{row['question'].strip()} Answer yes or no."),
        _answer(row).capitalize(),
        target=_answer(row),
        license=LICENSE,
        study_id=study,
        split=split,
        meta={"organ": row["image_organ"], "kind": row["question_type"]},
    )


def _case(row: dict[str, Any]) -> str:
    return str(row["image_case_url"])


def _answer(row: dict[str, Any]) -> str:
    return str(row["answer"]).strip().lower()


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    row = {
        "qid": "example",
        "question": "Is there a pneumothorax?",
        "answer": "No",
        "image_organ": "CHEST",
        "question_type": "PRES",
    }
    return _question(row, ImageRef("example.jpg"), "case 1", "test")  # nobody opens the image
