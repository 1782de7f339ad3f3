"""Key points of a chest X-ray report from its findings (Indiana University collection, Demner-Fushman et al.
2016): one point for each sentence of the radiologist's impression, less one for each false statement.

Points are those of one radiologist, not of two physicians who agreed. Text only; split by report as
iu_impression; reports whose impression names no finding are left out.
"""

from collections.abc import Iterator
from functools import partial

from medxiaohe.errors import DataError
from medxiaohe.evidence.key_points import key_points, to_target
from medxiaohe.evidence.sentences import split as split_sentences
from medxiaohe.tasks._common import hash_split, item, known_split, place
from medxiaohe.tasks._rows import table
from medxiaohe.types import Sample, Task

LICENSE = "CC BY-NC-ND 4.0 (Open-i, Indiana University)"
TAGS = ("text", "english", "radiology", "reports")
FINGERPRINTS = {"train": "e8ecca4c77ca3163", "validation": "32be22707cf28c15", "test": "fd6a2d9b4e032c99"}


def iu_key_points(path: str = "") -> Task:
    """Key points of a chest X-ray report from its findings (Indiana University collection).

    Args:
        path: CSV file of reports; "" for ${MEDXIAOHE_DATA}/cxr/iu_reports/indiana_reports.csv.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "iu_key_points",
        partial(samples, path),
        (key_points,),
        example(),
        LICENSE,
        prompt="own",
        gold=lambda sample: sample.messages[-1].text,
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
        One item for each report whose impression names a finding, in the order of the file.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing or lacks a column.
    """
    known_split(split)
    file = place(path, "cxr/iu_reports/indiana_reports.csv")
    try:
        for row in table(file):
            findings, impression = row["findings"].strip(), row["impression"].strip()
            mine = hash_split("iu_impression", row["uid"], train=0.6, validation=0.1) == split
            if findings and impression and mine:
                if points := [sentence.text for sentence in split_sentences(impression) if sentence.findings]:
                    yield _question(row["uid"], findings, impression, points, split)
    except KeyError as error:
        raise DataError(f"{file}: no column {error}") from error


def _question(uid: str, findings: str, impression: str, points: list[str], split: str) -> Sample:
    return item(
        f"iu_key_points/{uid}",
        (f"Findings: {findings}\nWrite the key points of this chest X-ray, one sentence each.",),
        " ".join(points),
        target=to_target(points, f"{findings} {impression}"),
        license=LICENSE,
        study_id=uid,
        split=split,
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    findings = "The lungs are clear. The heart is enlarged. No effusion."
    return _question("example", findings, "Cardiomegaly.", ["Cardiomegaly."], "test")
