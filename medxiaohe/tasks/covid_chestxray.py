"""Which infection a chest X-ray is of, of three (COVID-19 image data collection, Cohen et al. 2020), the
picture alone.

38 patients, 74 pictures of case reports: small, and the source of a picture tells much about the label.
Pictures of CT are left out, and so are labels with fewer than five. Patients of one article stay together;
about half is test. No evidence.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from medxiaohe.errors import DataError
from medxiaohe.scoring.one_of import one_of
from medxiaohe.tasks._common import components, hash_split, item, known_split, pictured, place, shuffled
from medxiaohe.tasks._prompts import asked
from medxiaohe.tasks._rows import table
from medxiaohe.types import ImageRef, Sample, Task

CHOICES = ("COVID-19", "Pneumocystis", "Streptococcus")
FINGERPRINTS = {"train": "eec2c66fd2fceea4", "test": "02aefd64415e4636"}
SPLITS = ("train", "test")


def covid_chestxray(path: str = "") -> Task:
    """COVID-19 image data collection: infection of a chest X-ray, of three.

    Args:
        path: folder with metadata.csv and images/; "" for ${MEDXIAOHE_DATA}/cxr/covid_chestxray.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "covid_chestxray",
        partial(samples, path),
        (one_of,),
        example(),
        "that of each picture (Creative Commons or Apache-2.0)",
        prompt="one_of",
        cluster="patient",
        splits=SPLITS,
        tags=("image", "english", "radiology"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train or test.

    Yields:
        One item for each picture, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing or its table lacks a column.
    """
    known_split(split, SPLITS)
    folder = place(path, "cxr/covid_chestxray")
    try:
        rows = [
            row
            for row in table(folder / "metadata.csv")
            if row["modality"] == "X-ray" and row["finding"] in CHOICES
        ]
        connected = components([f"patient {row['patientid']}", *filter(None, [row["doi"]])] for row in rows)
        for row in shuffled({row["filename"]: row for row in rows}.values(), key=lambda row: row["filename"]):
            if (
                hash_split(
                    "covid_chestxray", connected[f"patient {row['patientid']}"], train=0.5, validation=0.0
                )
                == split
            ):
                yield _question(row, pictured(row["filename"], folder / "images"), split)
    except KeyError as error:
        raise DataError(f"{folder}/metadata.csv: no column {error}") from error


def _question(row: Mapping[str, str], image: ImageRef, split: str) -> Sample:
    return item(
        f"covid_chestxray/{row['filename'].rpartition('.')[0]}",
        (image, asked("one_of", "Which infection does this chest X-ray show?", CHOICES)),
        row["finding"],
        choices=CHOICES,
        license=row["license"],
        patient_id=row["patientid"],
        study_id=row["doi"],
        split=split,
        meta={"view": row["view"]},
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    row = {
        "filename": "example.jpg",
        "finding": "COVID-19",
        "patientid": "0",
        "license": "CC BY",
        "doi": "",
        "view": "PA",
    }
    return _question(row, ImageRef("example.jpg"), "test")
