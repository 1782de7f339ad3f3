"""K-QA (Manes et al. 2024): real questions of patients, answered freely, against statements that physicians
made must-have.

A judge says which statements the answer supports or contradicts. claims is the share of must-have statements,
beside it the share not contradicted. Half of the published questions, by hash; all of it is test.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring import claims
from medxiaohe.tasks._common import item, known_split, place, shuffled
from medxiaohe.types import Sample, Task

LICENSE = "MIT"
FINGERPRINTS = {"test": "2c920ea4566b3469"}


def kqa(path: str = "") -> Task:
    """K-QA: free answers to patients' questions, judged against must-have statements of physicians.

    Args:
        path: questions_w_answers.jsonl of K-QA; "" for
            ${MEDXIAOHE_DATA}/rubric/kqa/questions_w_answers.jsonl.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "kqa",
        partial(samples, path),
        (claims.claims, claims.contradicted),
        example(),
        LICENSE,
        prompt="plain",
        cluster="question",
        splits=("test",),
        tags=("text", "english", "patients"),
        gold=lambda sample: sample.messages[-1].text,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: test, the only one.

    Yields:
        One item for each question, in an order that depends only on the questions.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing, or a row is not of K-QA.
    """
    known_split(split, ("test",))
    file = place(path, "rubric/kqa/questions_w_answers.jsonl")
    for row in shuffled(io.read_jsonl(file), key=lambda row: str(row.get("Question"))):
        try:
            yield _question(row)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file}: not a row of K-QA: {error!r}") from error


def _question(row: Mapping[str, Any]) -> Sample:
    id = io.fingerprint(row["Question"])
    must, nice = (
        [" ".join(claim.split()) for claim in row[key] or ()] for key in ("Must_have", "Nice_to_have")
    )
    answer = row["Free_form_answer"].strip()
    return item(
        f"kqa/{id}",
        row["Question"].strip(),
        answer,
        target=claims.to_target(must, nice),
        license=LICENSE,
        study_id=id,
        split="test",
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    answer = "Scabies is treated by mouth with ivermectin. The dose depends on the weight."
    must, nice = ["Scabies is treated by mouth with ivermectin"], ["The dose depends on the weight"]
    return _question(
        {
            "Question": "How is scabies treated by mouth?",
            "Free_form_answer": answer,
            "Must_have": must,
            "Nice_to_have": nice,
        }
    )
