"""Whether a sentence with or without a planted error is borne out by a chest X-ray report (Indiana University
collection, Demner-Fushman et al. 2016).

Of each report one sentence is asked about as it is, or with an error of one kind: another finding, a denial
taken out or put in, another side, degree or number, a comparison. Gold are the sentences as they were. Text
only; split by report as iu_impression.
"""

import random
from collections.abc import Iterator, Mapping
from functools import partial

from medxiaohe.errors import DataError
from medxiaohe.evidence import planted
from medxiaohe.evidence.sentences import split as split_sentences
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks._common import hash_split, item, known_split, place
from medxiaohe.tasks._rows import table
from medxiaohe.types import Sample, Task

LICENSE = "CC BY-NC-ND 4.0 (Open-i, Indiana University)"
TAGS = ("text", "english", "radiology", "reports", "judging")
FINGERPRINTS = {"train": "9dc092ad14b220ea", "validation": "b955467e6161ff40", "test": "4066fe38eca509c8"}
LEFT = "as written"
FIT_ANYTHING = ("finding", "prior")


def iu_verify(path: str = "") -> Task:
    """Verify a sentence, with or without a planted error, against a chest X-ray report: yes or no.

    Args:
        path: CSV file of reports; "" for ${MEDXIAOHE_DATA}/cxr/iu_reports/indiana_reports.csv.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "iu_verify",
        partial(samples, path),
        (yes_no,),
        example(),
        LICENSE,
        prompt="yes_no",
        cluster="study",
        tags=TAGS,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        At most one item for each report, in the order of the file; the drawn error depends only on the
        report's uid.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing or lacks a column.
    """
    known_split(split)
    file = place(path, "cxr/iu_reports/indiana_reports.csv")
    try:
        for row in table(file):
            report = row["findings"].strip()
            if report and hash_split("iu_impression", row["uid"], train=0.6, validation=0.1) == split:
                if drawn := _drawn(report, row["uid"]):
                    yield _question(row["uid"], report, *drawn, split=split)
    except KeyError as error:
        raise DataError(f"{file}: no column {error}") from error


def _drawn(report: str, uid: str) -> tuple[str, str] | None:
    """A sentence about a report and the kind of its error; half of the reports give one without."""
    draw = random.Random(uid)
    rows = [candidate for candidate in split_sentences(report) if candidate.findings]
    if not rows:
        return None
    sentence = draw.choice(rows)
    if draw.random() < 0.5:
        return sentence.text, LEFT
    kinds = [k for k in planted.KINDS if k != "denial removed" or planted.is_denial(sentence.findings)]
    draw.shuffle(kinds)
    kinds.sort(key=lambda kind: kind in FIT_ANYTHING)  # those that fit few sentences first
    names = planted.names_of(report, lexicon())
    for kind in kinds:
        if text := planted.changed(kind, sentence.text, named=names, draw=draw):
            return text, kind
    return None


def _question(uid: str, report: str, text: str, kind: str, *, split: str) -> Sample:
    question = (
        f"Report: {report}\nStatement: {text}\nDoes the report bear the statement out? Answer yes or no."
    )
    meta: Mapping[str, str] = {"error": kind}
    return item(
        f"iu_verify/{uid}", question, "yes" if kind == LEFT else "no",
        license=LICENSE, study_id=uid, split=split, meta=meta,
    )  # fmt: skip


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question(
        "example", "The lungs are clear. The heart is enlarged.", "The heart is enlarged.", LEFT, split="test"
    )
