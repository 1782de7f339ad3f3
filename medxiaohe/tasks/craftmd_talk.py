"""CRAFT-MD in conversation: the doctor model sees four options and the first sentence of the case, and asks
for the rest.

The simulated patient (agents/patient.py) answers with sentences of the vignette; a request for a test finds
the sentences that share its words. The same cases as `craftmd`, so the difference is what asking costs.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial

from medxiaohe.scoring.choice import choice
from medxiaohe.tasks import craftmd
from medxiaohe.tasks._common import item, known_split
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
ASKS = re.compile(r"\b(?:which of the following|what is the|most likely)\b.*\?$", re.IGNORECASE)

FINGERPRINTS = {"test": "120f88280fcd460c"}


def craftmd_talk(path: str = "") -> Task:
    """CRAFT-MD in conversation: four options and the first sentence of the case; the doctor model asks for
    the rest.

    Args:
        path: CSV of CRAFT-MD; "" for ${MEDXIAOHE_DATA}/cases/craftmd_usmle_sample.csv.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "craftmd_talk",
        partial(samples, path),
        (choice,),
        example(),
        craftmd.LICENSE,
        workflow="patient",
        prompt="doctor",
        cluster="case",
        splits=("test",),
        tags=(*craftmd.TAGS, "dialogue", "agent"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: test, the only one.

    Yields:
        One item for each vignette, with the facts of the simulated patient, in an order that depends only on
        the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing, or a row is not of CRAFT-MD.
    """
    known_split(split, ("test",))
    for row, meta in craftmd.rows(path):
        yield _question(row, meta)


def _question(row: Mapping[str, str], meta: Mapping[str, str]) -> Sample:
    letter, choices = craftmd.gold(row)
    first, *rest = [
        sentence
        for sentence in SENTENCE.split(" ".join(row["case_vignette"].split()))
        if not ASKS.search(sentence)
    ] or [""]
    return item(
        f"craftmd_talk/{row['case_id']}-{meta['row']}",
        asked("choice", f"{first}\nTalk with the patient and find the diagnosis among these:", choices),
        f"FINAL DIAGNOSIS: {letter}",
        target=letter,
        choices=choices,
        license=craftmd.LICENSE,
        study_id=row["case_id"],
        split="test",
        meta=dict(meta),
        facts={
            "patient": [{"topic": "history", "text": sentence} for sentence in (first, *rest)],
            "results": [{"name": sentence, "text": sentence} for sentence in rest],
        },
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question(craftmd.EXAMPLE, {"row": "0"})
