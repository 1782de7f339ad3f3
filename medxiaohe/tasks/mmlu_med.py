"""The six medical and biological subjects of MMLU (Hendrycks et al. 2021), four options: half of the test
questions, by hash."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.plugins import nearest
from medxiaohe.scoring.choice import choice
from medxiaohe.tasks._common import item, known_split, place, shuffled
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

LICENSE = "MIT"
FINGERPRINTS = {"test": "9ad8bdd657e62b3f"}
SUBJECTS = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
)


def mmlu_med(path: str = "", subject: str = "") -> Task:
    """MMLU: the six medical and biological subjects, four options.

    Args:
        path: JSON lines {id, question, options, answer}, ids as anatomy-001; "" for
            ${MEDXIAOHE_DATA}/mcqa/mmlu_med_half.jsonl.
        subject: one of `SUBJECTS`; "" for all six.

    Returns:
        The task; data is read when its samples are.

    Raises:
        ConfigError: there is no such subject.
    """
    if subject and subject not in SUBJECTS:
        raise ConfigError(f"mmlu_med has no subject {subject!r}{nearest(subject, SUBJECTS)}")
    return Task(
        "mmlu_med",
        partial(samples, path, subject),
        (choice,),
        example(),
        LICENSE,
        prompt="choice",
        cluster="question",
        splits=("test",),
        fingerprints={} if path or subject else FINGERPRINTS,
        tags=("text", "english", "exam", "medevalkit"),
    )


def samples(path: str, subject: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        subject: as the task takes it.
        split: test, the only one.

    Yields:
        One item for each question, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing, or a row is not of MMLU.
    """
    known_split(split, ("test",))
    file = place(path, "mcqa/mmlu_med_half.jsonl")
    for row in shuffled(io.read_jsonl(file), key=lambda row: str(row.get("id"))):
        try:
            if row["id"].startswith(subject):
                yield _question(row)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file}: not a row of MMLU: {error!r}") from error


def _question(row: dict[str, Any]) -> Sample:
    choices = tuple(row["options"][letter] for letter in sorted(row["options"]))
    return item(
        f"mmlu_med/{row['id']}",
        asked("choice", row["question"], choices),
        f"{row['answer']}. {row['options'][row['answer']]}",
        target=row["answer"],
        choices=choices,
        license=LICENSE,
        split="test",
        meta={"subject": row["id"].rpartition("-")[0]},
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    options = {"A": "Ulnar", "B": "Median", "C": "Radial", "D": "Axillary"}
    return _question(
        {
            "id": "anatomy-example",
            "question": "Which nerve extends the wrist?",
            "options": options,
            "answer": "C",
        }
    )
