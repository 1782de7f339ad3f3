"""CRAFT-MD (Johri et al. 2025): the diagnosis of a case vignette, of four, in one turn. A sixth of its MedQA
part; all of it is test.

36 of the 319 vignettes are MedQA test questions word for word, which the data pack lists; `meta.medqa_line`
is the line of that question, so that a contaminated item can be told. `craftmd_talk` asks for the same cases
in conversation.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.choice import LETTERS, choice
from medxiaohe.tasks._common import item, known_split, place, shuffled
from medxiaohe.tasks._prompts import asked
from medxiaohe.tasks._rows import table
from medxiaohe.types import Sample, Task

LICENSE = "MIT"
FINGERPRINTS = {"test": "a1e87b2988f58607"}
TAGS = ("text", "english", "cases")
CHOICES = ("choice_1", "choice_2", "choice_3", "choice_4")


def craftmd(path: str = "") -> Task:
    """CRAFT-MD: diagnosis of a case vignette, of four options, in one turn.

    Args:
        path: CSV, with craftmd_medqa_overlap.json beside it; "" for
            ${MEDXIAOHE_DATA}/cases/craftmd_usmle_sample.csv.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "craftmd",
        partial(samples, path),
        (choice,),
        example(),
        LICENSE,
        prompt="choice",
        cluster="case",
        splits=("test",),
        tags=TAGS,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: test, the only one.

    Yields:
        One item for each vignette, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing, or a row is not of CRAFT-MD.
    """
    known_split(split, ("test",))
    for row, meta in rows(path):
        yield question(row, meta)


def rows(path: str) -> Iterator[tuple[Mapping[str, str], dict[str, str]]]:
    """Read the vignettes of CRAFT-MD with their metadata.

    Args:
        path: as the task takes it.

    Yields:
        (row, metadata): category, number of the row and, where it is a MedQA test question, the line of that.

    Raises:
        DataError: the file is missing, or a row is not of CRAFT-MD.
    """
    file = place(path, "cases/craftmd_usmle_sample.csv")
    overlap = _overlap(file.with_name("craftmd_medqa_overlap.json"))
    results = list(enumerate(table(file)))
    for number, row in shuffled(results, key=lambda pair: f"{pair[1].get('case_id')}/{pair[0]}"):
        if not {"case_vignette", "answer", "case_id", *CHOICES} <= set(row):
            raise DataError(f"{file}: not a row of CRAFT-MD: it has {', '.join(row)}")
        line = {"medqa_line": str(overlap[number])} if number in overlap else {}
        yield row, {"category": row.get("category", ""), "row": str(number), **line}


def _overlap(file: Path) -> dict[int, int]:
    return {pair["craft_row"]: pair["medqa_line"] for pair in io.read_json(file)} if file.is_file() else {}


def question(row: Mapping[str, str], meta: Mapping[str, str]) -> Sample:
    """Build the item of a vignette.

    Args:
        row: of CRAFT-MD.
        meta: as `rows` yields it.

    Returns:
        A multiple-choice item.
    """
    letter, choices = gold(row)
    return item(
        f"craftmd/{row['case_id']}-{meta['row']}",
        asked("choice", row["case_vignette"].strip(), choices),
        f"{letter}. {row['answer']}",
        target=letter,
        choices=choices,
        license=LICENSE,
        study_id=row["case_id"],
        split="test",
        meta=dict(meta),
    )


def gold(row: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Order the options by a hash of the case: in the file the right option is often in one place.

    Args:
        row: of CRAFT-MD.

    Returns:
        (letter of the right option, options in order).
    """
    choices = tuple(
        sorted(
            (row[key] for key in CHOICES),
            key=lambda option: io.unit_interval("options", row["case_id"], option),
        )
    )
    return LETTERS[choices.index(row["answer"])], choices


EXAMPLE = {
    "case_id": "example",
    "case_vignette": (
        "A 14-year-old boy has been thirsty for three weeks. He urinates at night. His blood glucose is 420"
        " mg/dL. Which of the following is the most likely diagnosis?"
    ),
    "choice_1": "Type 1 diabetes mellitus",
    "choice_2": "Diabetes insipidus",
    "choice_3": "Cushing syndrome",
    "choice_4": "Pyelonephritis",
    "answer": "Type 1 diabetes mellitus",
}


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return question(EXAMPLE, {"row": "0"})
