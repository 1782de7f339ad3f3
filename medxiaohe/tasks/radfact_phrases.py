"""The findings section of a chest X-ray report as single statements, one a line (RadFact, Bannur et al.
2024): nine reports.

The worked examples of RadFact as gold; a statement counts when it is spelt as theirs, so this is a lower
bound, and a check of a judge that splits claims. All of it is test.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.rouge_l import rouge_l
from medxiaohe.tasks import radfact_nli
from medxiaohe.tasks._common import item, known_split, place
from medxiaohe.tasks._names import listed
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"test": "98153e196243b5d8"}


def radfact_phrases(path: str = "") -> Task:
    """RadFact phrases: split the findings of a report into single statements.

    Args:
        path: JSON file of worked examples; "" for
            ${MEDXIAOHE_DATA}/report_eval/radfact_report_to_phrases.json.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "radfact_phrases",
        partial(samples, path),
        (listed(None), rouge_l),
        example(),
        radfact_nli.LICENSE,
        prompt="phrases",
        cluster="report",
        splits=("test",),
        tags=radfact_nli.TAGS,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: test, the only one.

    Yields:
        One item for each report, in the order of the file.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing or does not hold examples of RadFact.
    """
    known_split(split, ("test",))
    file = place(path, "report_eval/radfact_report_to_phrases.json")
    try:
        yield from map(_question, io.read_json(file))
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}: not examples of RadFact: {error!r}") from error


def _question(row: Mapping[str, Any]) -> Sample:
    phrases = [new for sentence in row["parsed_report"]["sentence_list"] for new in sentence["new"]]
    question = (
        f"Findings: {row['findings_text']}\nRewrite the findings as single statements, one a line: each says"
        " one thing about one place, in the words of the report. Leave out what is no finding."
    )
    fields = {"license": radfact_nli.LICENSE, "study_id": row["example_id"], "split": "test"}
    return item(f"radfact_phrases/{row['example_id']}", question, "\n".join(dict.fromkeys(phrases)), **fields)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    sentences = [{"new": ["The heart is enlarged.", "The lungs are clear."]}]
    row = {
        "example_id": "example",
        "findings_text": "The heart is enlarged and the lungs are clear.",
        "parsed_report": {"sentence_list": sentences},
    }
    return _question(row)
