"""Pairs of an image and its report, from the rows of a mixture or of a data.read stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.progress import track
from medxiaohe.scoring._findings import Lexicon
from medxiaohe.train.image_report import tags as tagging
from medxiaohe.train.image_report.triplets import Triplet, triplets
from medxiaohe.types import HELD_OUT, ImageRef, Sample

FILES = ("documents.jsonl", "instructions.jsonl", "samples.jsonl")


@dataclass(frozen=True)
class Pair:
    id: str
    image: ImageRef
    report: str
    study: str
    patient: str
    license: str
    labels: tuple[int, ...]
    triplets: tuple[Triplet, ...]


def report_of(sample: Sample) -> str:
    """Read the report of a sample.

    Args:
        sample: an instruction or a document.

    Returns:
        The answer of an instruction, or the text of a document; "" where an instruction has no answer.
    """
    if sample.is_document:
        return sample.text.strip()
    last = sample.messages[-1]
    return last.text.strip() if last.role == "assistant" else ""


def read(
    folder: Path, tags: Sequence[tagging.Tag], lexicon: Lexicon, most: int, split: str
) -> tuple[list[Pair], dict[str, int]]:
    """Read pairs of an image and its report from a folder's rows; of several images the first counts.

    Args:
        folder: of a mixture or a data.read stage.
        tags: that reports are labelled with.
        lexicon: the extractor of findings.
        most: triplets of a report.
        split: "train" leaves out rows of validation and test, "validation" takes only those of it.

    Returns:
        (pairs in the order of the rows, why other rows were left out)

    Raises:
        DataError: the folder has no rows.
    """
    files = [folder / name for name in FILES if (folder / name).is_file()]
    if not files:
        raise DataError(f"{folder}: none of {', '.join(FILES)}: give a mixture or a data.read stage")
    results, left_out = [], {"no image": 0, "no report": 0, "split": 0, "more images": 0}
    for sample in track(_samples(files), f"findings of reports, {split}"):
        requested = sample.split == split if split in HELD_OUT else sample.split not in HELD_OUT
        report = report_of(sample)
        why = "" if requested else "split"
        why = why or ("" if sample.images else "no image") or ("" if report else "no report")
        if why:
            left_out[why] += 1
            continue
        left_out["more images"] += len(sample.images) - 1
        findings = lexicon.findings(report)
        study = sample.study_id or sample.id
        results.append(
            Pair(
                sample.id, sample.images[0], report, study, sample.patient_id or study, sample.license,
                tuple(tagging.labels(tags, findings)), tuple(triplets(findings, most)),
            )
        )  # fmt: skip
    return results, {why: number for why, number in left_out.items() if number}


def _samples(files: Sequence[Path]) -> Iterator[Sample]:
    for file in files:
        yield from io.read_samples(file)


class Numbers:
    """Numbers of names, in the order of their first use."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> Any:
        """Number names, the same name with the same number in every call.

        Args:
            names: n names.

        Returns:
            An int64 tensor (n,).
        """
        import torch

        return torch.tensor([self._known.setdefault(name, len(self._known)) for name in names])
