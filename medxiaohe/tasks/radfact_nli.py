"""Whether a phrase of one chest X-ray report follows from another report, contradicts it, or neither
(RadFact, Bannur et al. 2024).

The worked examples of RadFact, ten pairs of reports read both ways, as gold: they measure a judge as well as
a model. All of it is test; a judge prompted with these examples has seen them.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.one_of import one_of
from medxiaohe.tasks._common import item, known_split, place
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

LICENSE = "MIT"
FINGERPRINTS = {"test": "39ef4f98b405b79a"}
CHOICES = ("entailment", "contradiction", "neutral")
TAGS = ("text", "english", "radiology", "judging")


def radfact_nli(path: str = "") -> Task:
    """RadFact entailment: a phrase of one report against another report.

    Args:
        path: JSON file of worked examples; "" for ${MEDXIAOHE_DATA}/report_eval/radfact_nli_examples.json.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "radfact_nli",
        partial(samples, path),
        (one_of,),
        example(),
        LICENSE,
        prompt="one_of",
        cluster="report",
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
        One item for each phrase of both reports of a pair, in the order of the file.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing or does not hold examples of RadFact.
    """
    known_split(split, ("test",))
    file = place(path, "report_eval/radfact_nli_examples.json")
    try:
        for row in io.read_json(file):
            for side, other_side in (("A", "B"), ("B", "A")):
                for number, phrase in enumerate(row["output"][f"phrases_{side}_evidenced"]):
                    yield _question(
                        f"{row['example_id']}-{side}{number}",
                        row["input"][f"phrases_{other_side}"],
                        phrase,
                        row["example_id"],
                    )
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}: not examples of RadFact: {error!r}") from error


def _question(id: str, report: list[str], phrase: Mapping[str, Any], study: str) -> Sample:
    text = (
        f"Report: {' '.join(report)}\nStatement: {phrase['phrase']}\nDoes the statement follow from the"
        " report (entailment), is it against "
    )
    text += "it (contradiction), or neither (neutral)?"
    fields = {"choices": CHOICES, "license": LICENSE, "study_id": study, "split": "test"}
    return item(f"radfact_nli/{id}", asked("one_of", text, CHOICES), phrase["status"], **fields)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question(
        "example",
        ["The lungs are clear."],
        {"phrase": "There is a consolidation.", "status": "contradiction"},
        "example",
    )
