"""Which rare disease explains a patient's findings, of four: cases of the phenopacket store (Danis et al.
2025).

The wrong options are diseases whose patients share most findings with this one, from other genes of the same
split. Cases that share a gene, a disease or a published report are in the same split.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.choice import choice
from medxiaohe.tasks._common import components, hash_split, known_split, multiple_choice, place, shuffled
from medxiaohe.types import Sample, Task

LICENSE = "BSD-3-Clause"
FINGERPRINTS = {"train": "a6adc614a1d617c0", "validation": "a07dbf20bc606ebf", "test": "dd8dea375f16f01e"}
NEAREST = 8  # wrong options are three of so many most similar diseases
MIN_FINDINGS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """Patient of the phenopacket store: diagnosis and phenotypic features."""

    id: str
    disease: str  # OMIM id
    label: str
    genes: tuple[str, ...]
    study: str
    present: tuple[str, ...]
    absent: tuple[str, ...]


def rare_disease(path: str = "") -> Task:
    """Rare diseases: which one explains a patient's findings, of four options.

    Args:
        path: folder of phenopackets (JSON); "" for ${MEDXIAOHE_DATA}/rare/phenopackets.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "rare_disease",
        partial(samples, path),
        (choice,),
        example(),
        LICENSE,
        prompt="choice",
        cluster="report",
        tags=("text", "english", "cases", "rare"),
        fingerprints={} if path else FINGERPRINTS,
    )


def cases(path: str, split: str) -> list[Case]:
    """Read the cases of a split with one diagnosis and `MIN_FINDINGS` findings or more.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Returns:
        Cases in the order of the files; cases that share gene, disease or report are in one split.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, or a file is not a phenopacket.
    """
    known_split(split)
    folder = place(path, "rare/phenopackets")
    results = [
        case
        for file in sorted(folder.rglob("*.json"))
        if (case := _case(file)) and len(case.present) >= MIN_FINDINGS
    ]
    connected = components([case.disease, *case.genes, *filter(None, [case.study])] for case in results)
    return [
        case
        for case in results
        if hash_split("rare_disease", connected[case.disease], train=0.7, validation=0.1) == split
    ]


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each case with three distractors, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, or a file is not a phenopacket.
    """
    ours = cases(path, split)
    findings: dict[str, set[str]] = {}
    labels, genes = {case.disease: case.label for case in ours}, dict[str, set[str]]()
    for case in ours:
        findings.setdefault(case.disease, set()).update(case.present)
        genes.setdefault(case.disease, set()).update(case.genes)
    for case in shuffled(ours, key=lambda c: c.id):
        others = [
            id
            for id in _similar(case, findings)
            if not genes[id] & genes[case.disease] and labels[id] != case.label
        ]
        chosen = sorted(others[:NEAREST], key=lambda id: io.unit_interval("distractor", case.id, id))[:3]
        if len(chosen) == 3:
            yield _question(case, [labels[id] for id in chosen], split)


def _similar(case: Case, findings: Mapping[str, set[str]]) -> list[str]:
    """Other diseases, the one that shares most findings with the patient first (Jaccard)."""
    own = set(case.present)
    # Jaccard index |A and B| / |A or B| of findings, by disease
    share = {
        id: len(own & of_disease) / len(own | of_disease)
        for id, of_disease in findings.items()
        if id != case.disease
    }
    return sorted(share, key=lambda id: (-share[id], id))


def _question(case: Case, others: Sequence[str], split: str) -> Sample:
    absent = f"\nAbsent: {'; '.join(case.absent)}." if case.absent else ""
    return multiple_choice(
        f"rare_disease/{case.id}",
        f"Findings: {'; '.join(case.present)}.{absent}\nWhich disease explains them best?",
        case.label,
        others,
        key=case.id,
        license=LICENSE,
        patient_id=case.id,
        study_id=case.study,
        split=split,
        meta={"disease": case.disease},
    )


def _case(file: Path) -> Case | None:
    """The case of a phenopacket with one diagnosis; None for one with several."""
    try:
        packet = json.loads(file.read_bytes())
        results = [i["diagnosis"] for i in packet.get("interpretations", [])]
        if len(results) != 1:
            return None
        references = [r["id"] for r in packet["metaData"].get("externalReferences", [])]
        features = packet["phenotypicFeatures"]
        return Case(
            packet["id"],
            results[0]["disease"]["id"],
            results[0]["disease"]["label"],
            tuple(
                sorted(
                    {gene for item in results[0].get("genomicInterpretations", []) if (gene := _gene(item))}
                )
            ),
            next((r for r in references if r.startswith("PMID:")), ""),
            tuple(dict.fromkeys(f["type"]["label"] for f in features if not f.get("excluded"))),
            tuple(dict.fromkeys(f["type"]["label"] for f in features if f.get("excluded"))),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: not a phenopacket: {error!r}") from error


def _gene(interpretation: Mapping[str, Any]) -> str:
    variant = interpretation.get("variantInterpretation", {}).get("variationDescriptor", {})
    symbol = variant.get("geneContext", {}).get("symbol", "")
    return f"gene {symbol}" if symbol else ""


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    present = ("Ectopia lentis", "Aortic root aneurysm", "Arachnodactyly", "Tall stature")
    case = Case(
        "example", "OMIM:154700", "Marfan syndrome", ("gene FBN1",), "", present, ("Intellectual disability",)
    )
    return _question(case, ["Hypochondroplasia", "Noonan syndrome 1", "Rett syndrome"], "test")
