"""PubMedQA (Jin et al. 2019, aclanthology.org/D19-1259): does the abstract answer the question with yes, no
or maybe?

The labelled set has 1,000 questions; our file is the official half that is not the test set. It is split here
by a hash of the PMID, 50 % train, 10 % validation, 40 % test, so numbers are not those of the official test
set.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks._common import hash_split, item, known_split, place, shuffled
from medxiaohe.types import Sample, Task

LICENSE = "MIT"
FINGERPRINTS = {"train": "0dd3cf1045e0693b", "validation": "abc078e6ae868d5f", "test": "bedc1fe2cb0104ce"}
CHOICES = ("yes", "no", "maybe")


def pubmedqa(path: str = "") -> Task:
    """PubMedQA: answer a question from an abstract with yes, no or maybe.

    Args:
        path: JSON file {PMID: {QUESTION, CONTEXTS, final_decision}}; "" for
            ${MEDXIAOHE_DATA}/corpus/pubmedqa_dev500.json.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "pubmedqa",
        partial(samples, path),
        (yes_no,),
        example(),
        LICENSE,
        prompt="yes_no_maybe",
        cluster="article",
        tags=("text", "english", "literature", "medevalkit"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each PMID, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing or not of PubMedQA.
    """
    known_split(split)
    file = place(path, "corpus/pubmedqa_dev500.json")
    rows = io.read_json(file)
    try:
        for pmid in shuffled(rows, key=str):
            if hash_split("pubmedqa", pmid, train=0.5, validation=0.1) == split:
                yield _question(pmid, rows[pmid], split)
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}: not a PubMedQA file ({error!r})") from error


def _question(pmid: str, row: dict[str, Any], split: str) -> Sample:
    if row["final_decision"] not in CHOICES:
        raise DataError(
            f"pubmedqa {pmid}: final_decision must be yes, no or maybe, not {row['final_decision']!r}"
        )
    abstract = "\n".join(row["CONTEXTS"])
    return item(
        f"pubmedqa/{pmid}",
        f"Abstract: {abstract}\nQuestion: {row['QUESTION']}\nAnswer yes, no or maybe.",
        row["final_decision"].capitalize(),
        target=row["final_decision"],
        choices=CHOICES,
        license=LICENSE,
        study_id=pmid,
        split=split,
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    context = (
        "Of 120 patients, 60 had the drug and 60 a placebo. Pain fell by 2 points in both groups (p = 0.9)."
    )
    return _question(
        "0",
        {"QUESTION": "Does the drug relieve pain?", "CONTEXTS": [context], "final_decision": "no"},
        "test",
    )
