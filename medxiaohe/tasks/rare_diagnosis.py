"""Five most likely diagnoses from the findings of a patient: cases of the phenopacket store (Danis et al.
2025), openly asked.

The same cases and the same split as `rare_disease`, which offers four options. A diagnosis counts by its
name: with `tree` the synonyms of the tree count, without it the spelling, which is a lower bound. Among the
first five, and at the first.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from medxiaohe.tasks import rare_disease
from medxiaohe.tasks._common import item, shuffled
from medxiaohe.tasks._names import among
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"train": "df8e162d9ee8ca51", "validation": "a35aed626d2cc5be", "test": "a6d7258dc4c19477"}


def rare_diagnosis(path: str = "", tree: Path | None = None) -> Task:
    """Rare diseases, openly asked: the five most likely diagnoses from the findings of a patient.

    Args:
        path: folder of phenopackets (JSON); "" for ${MEDXIAOHE_DATA}/rare/phenopackets.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "rare_diagnosis",
        partial(samples, path),
        (among(tree, 5), among(tree, 1)),
        example(),
        rare_disease.LICENSE,
        prompt="ranked",
        cluster="report",
        tags=("text", "english", "cases", "rare"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each case of `rare_disease.cases`, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, or a file is not a phenopacket.
    """
    for case in shuffled(rare_disease.cases(path, split), key=lambda case: case.id):
        yield _question(case, split)


def _question(case: rare_disease.Case, split: str) -> Sample:
    absent = f"\nAbsent: {'; '.join(case.absent)}." if case.absent else ""
    return item(
        f"rare_diagnosis/{case.id}",
        asked("ranked", f"Findings: {'; '.join(case.present)}.{absent}\nWhich diseases explain them best?"),
        case.label,
        license=rare_disease.LICENSE,
        study_id=case.study or case.id,  # patients of one report, who share its disease, are one unit
        split=split,
        meta={"disease": case.disease},
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    present = ("Ectopia lentis", "Aortic root aneurysm", "Arachnodactyly", "Tall stature")
    return _question(
        rare_disease.Case("example", "OMIM:154700", "Marfan syndrome", ("gene FBN1",), "", present, ()),
        "test",
    )
