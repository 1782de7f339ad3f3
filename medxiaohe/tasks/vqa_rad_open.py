"""VQA-RAD (Lau et al. 2018): the open questions on CT, MR and X-ray images, judged word for word.

Split as in `vqa_rad`, by MedPix case and image. Word for word is a lower bound: "right-sided pleural
effusion" is not "effusion on the right". With `tree` a synonym of the tree counts; token_f1 stands beside it.
Published results use a judge.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe.scoring.token_f1 import token_f1
from medxiaohe.tasks import vqa_rad
from medxiaohe.tasks._common import item
from medxiaohe.tasks._names import named
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import ImageRef, Sample, Task

FINGERPRINTS = {"train": "c3546234f963d43e", "validation": "0d221c5ffb4d118e", "test": "9be4b2e507802c58"}


def vqa_rad_open(path: str = "", tree: Path | None = None) -> Task:
    """VQA-RAD: open questions on CT, MR and X-ray images, compared by name.

    Args:
        path: folder with vqa_rad.json and images/; "" for ${MEDXIAOHE_DATA}/vqa/vqa_rad.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "vqa_rad_open",
        partial(samples, path),
        (named(tree), token_f1),
        example(),
        vqa_rad.LICENSE,
        prompt="short",
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
        One item for each open question, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: files are missing or not of VQA-RAD.
    """
    for row, image, study in vqa_rad.rows(path, split, "OPEN"):
        yield _question(row, image, study, split)


def _question(row: dict[str, Any], image: ImageRef, study: str, split: str) -> Sample:
    answer = " ".join(str(row["answer"]).split())
    return item(
        f"vqa_rad_open/{row['qid']}",
        (image, asked("short", row["question"].strip())),
        answer,
        target=answer,
        license=vqa_rad.LICENSE,
        study_id=study,
        split=split,
        meta={"organ": row["image_organ"], "kind": row["question_type"]},
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    row = {
        "qid": "example",
        "question": "Which organ is enlarged?",
        "answer": "The spleen",
        "image_organ": "ABD",
        "question_type": "ORGAN",
    }
    return _question(row, ImageRef("example.jpg"), "case 1", "test")
