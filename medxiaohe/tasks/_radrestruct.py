"""Rad-ReStruct (Pellegrini et al. 2023): structured chest X-ray reports as a tree of questions, here about
the report's text.

The pictures are not in the data pack, so each question stands under findings and impression of the report
with the same uid (Indiana University collection): reading, not seeing. What was answered higher up in the
tree stands above the question, as in the original. Official train is train; of the official validation
studies, half are validation, half test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.tasks._common import hash_split, known_split, place
from medxiaohe.tasks._rows import table

LICENSE = "MIT (questions); CC BY-NC-ND 4.0 (reports, Open-i)"
TAGS = ("text", "english", "radiology", "reports")


@dataclass(frozen=True, slots=True)
class Asked:
    """Question of Rad-ReStruct under its report."""

    id: str
    study: str
    text: str  # report, answers so far and question
    gold: tuple[str, ...]
    options: tuple[str, ...]


EXAMPLE = {
    "findings": "There is a calcified granuloma in the left upper lobe.",
    "impression": "No acute disease.",
}


def questions(path: str, split: str) -> Iterator[Asked]:
    """Read the questions of a split, each under its report.

    Args:
        path: folder with radrestruct/qa_pairs.jsonl and iu_reports/indiana_reports.csv; "" for
            ${MEDXIAOHE_DATA}/cxr.
        split: train, validation or test.

    Yields:
        Questions in the order of the file; studies without a report are left out.

    Raises:
        ConfigError: there is no such split.
        DataError: files are missing or not of Rad-ReStruct.
    """
    known_split(split)
    folder = place(path, "cxr")
    reports = _reports(folder / "iu_reports" / "indiana_reports.csv")
    for row in io.read_jsonl(folder / "radrestruct" / "qa_pairs.jsonl"):
        try:
            if _split(row) != split or row["uid"] not in reports:
                continue
            for number, (question, gold, so_far, about) in enumerate(row["qa"]):
                yield asked(
                    f"{row['uid']}-{number:03d}",
                    row["uid"],
                    reports[row["uid"]],
                    question,
                    gold,
                    so_far,
                    about["options"],
                )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{folder}/radrestruct/qa_pairs.jsonl: not rows of Rad-ReStruct: {error!r}"
            ) from error


def asked(
    id: str,
    study: str,
    report: Mapping[str, str],
    question: str,
    gold: list[Any],
    so_far: list[Any],
    options: list[Any],
) -> Asked:
    """Write a question under its report and the answers so far.

    Args:
        id: of the question.
        study: uid of the report.
        report: with findings and impression.
        question: words of the question.
        gold: right options.
        so_far: [question, answers] higher up in the tree.
        options: of the question, in the order of the template.

    Returns:
        The question with its text.
    """
    lines = [f"Findings: {report['findings']}", f"Impression: {report['impression']}"]
    lines += [f"{before} {', '.join(answers)}." for before, answers in so_far]
    return Asked(id, study, "\n".join([*lines, question]), tuple(gold), tuple(options))


def _split(row: Mapping[str, str]) -> str:
    if row["split"] == "train":
        return "train"
    return (
        "validation"
        if hash_split("radrestruct", row["uid"], train=0.0, validation=0.5) == "validation"
        else "test"
    )


@cache
def _reports(file: Path) -> dict[str, dict[str, str]]:
    return {row["uid"]: row for row in table(file) if row["findings"] or row["impression"]}
