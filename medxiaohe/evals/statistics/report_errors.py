"""Hallucinated (H) and omitted (O) findings of impressions, by the report's text and by labels.

    H text      share of its sentences with a finding that findings and impression of the report do not have
    H findings  the same by the findings section alone: what a reader of it could know. The impression that
                people wrote is the floor of it
    O text      share of the sentences of the people's impression with a finding that this one does not have
    H labels    share of its findings that the labels do not have, one above or below in the lexicon counted
    O labels    share of the labels that it does not have

Labels are those that people marked in Rad-ReStruct (Pellegrini et al. 2023): a second gold, independent of
the extractor on its side. Each measure is from 0 to 1, and lower is better.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.evals.statistics.stats import Difference, holm, paired, relative
from medxiaohe.evidence.sentences import split
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring.findings import compare

MEASURES = ("H text", "H findings", "O text", "H labels", "O labels")
TESTED = ("H text", "O text", "H labels", "O labels")
SENTENCES = "sentences"  # their number, reported with the measures
# names of Rad-ReStruct's tree -> words that the extractor reads
LABELS = {
    "pulmonary atelectasis": "atelectasis",
    "pulmonary disease, chronic obstructive": "copd",
    "fractures, bone": "fracture",
    "cicatrix": "scarring",
    "markings": "interstitial markings",
    "lung, hyperlucent": "emphysema",
    "catheters, indwelling": "catheter",
    "tube, inserted": "endotracheal tube",
    "atherosclerosis": "aortic atherosclerosis",
    "calcinosis": "calcification",
    "aorta": "aortic abnormality",
    "aorta, thoracic": "aortic abnormality",
    "diaphragm": "diaphragmatic abnormality",
    "thoracic vertebrae": "bony abnormality",
    "spine": "bony abnormality",
    "deformity": "bony deformity",
}
# ends of paths that are attributes of a finding
NO_FINDING = ("region", "attributes", "degree", "localization")
WHOLE = {"lung abnormality", "pleural abnormality", "abnormal bones"}  # of an area, with no name of its own


@dataclass(frozen=True, slots=True)
class Reference:
    """A report that people wrote: its two sections, and the findings that were marked for it."""

    id: str
    findings: str
    impression: str
    labels: frozenset[str] | None = None  # names of findings; None: not annotated


@dataclass(frozen=True, slots=True)
class Change:
    """Change of one measure by one arm, compared with the drafts on the same reports."""

    arm: str
    measure: str
    before: float
    after: float
    difference: Difference
    share: tuple[float, float, float] | None  # relative to `before`, with its interval; None if that is 0
    p_holm: float


def labels(path: Path) -> dict[str, frozenset[str]]:
    """Read the marked findings of each report.

    Args:
        path: qa_pairs.jsonl of Rad-ReStruct.

    Returns:
        id of a report -> names of findings of the lexicon

    Raises:
        DataError: the file has another form.
    """
    labels_of = {}
    for number, row in enumerate(io.read_jsonl(path), 1):
        try:
            names = {
                name
                for _, answer, _, about in row["qa"]
                if answer == ["yes"]
                for name in _named(about["path"].split("_"))
            }
            labels_of[str(row["uid"])] = frozenset(names)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}, line {number}: no row of Rad-ReStruct ({error})") from error
    return labels_of


def _named(path: Sequence[str]) -> set[str]:
    """Findings of the lexicon that a path of Rad-ReStruct's tree names; none for attributes of a finding."""
    if len(path) < 3 or path[-1] in NO_FINDING:
        return set()
    name = "_".join(path[2:])
    return {finding.name for finding in lexicon().findings(LABELS.get(name, name) + ".")}


def errors(text: str, report: Reference) -> dict[str, float]:
    """Measures of an impression.

    Args:
        text: the impression; "" hallucinates nothing and omits everything.
        report: of people.

    Returns:
        measure -> from 0 to 1, and SENTENCES -> number of sentences; measures by labels only if the report
        has labels, "O labels" only if one of them is specific
    """
    full_text = f"{report.findings} {report.impression}"
    measures = {
        "H text": compare(text, full_text).hallucination_rate if text else 0.0,
        "H findings": compare(text, report.findings).hallucination_rate if text else 0.0,
        "O text": compare(text, report.impression).omission_rate if text else 1.0,
        SENTENCES: float(len(split(text))),
    }
    if report.labels is not None:
        # findings that the impression affirms, and those that neither equal a label nor are its parent or
        # child
        mine = [
            finding.name for finding in lexicon().findings(text) if finding.status in ("present", "possible")
        ]
        wrong = [name for name in mine if not any(_related(name, gold) for gold in report.labels)]
        measures["H labels"] = len(wrong) / max(1, len(mine))
        if specific := report.labels - WHOLE:
            omitted = [gold for gold in specific if not any(_related(name, gold) for name in mine)]
            measures["O labels"] = len(omitted) / len(specific)
    return measures


def changes(arms: Mapping[str, Sequence[Mapping[str, float]]], base: str) -> list[Change]:
    """Compare each arm with a base on the same reports, by every tested measure that two reports have.

    Args:
        arms: name -> the measures of each report, in one order.
        base: the name of the arm that the others are compared with.

    Returns:
        one row for each arm and measure, with p after Holm's correction over all of them

    Raises:
        KeyError: `base` is not one of the arms.
    """
    rows = []
    for arm, measured in arms.items():
        for measure in TESTED if arm != base else ():
            both = [
                (old[measure], new[measure])
                for old, new in zip(arms[base], measured, strict=True)
                if measure in old
            ]
            if len(both) > 1:
                a, b = [pair for pair, _ in both], [pair for _, pair in both]
                rows.append((arm, measure, a, b, paired(a, b)))
    return [
        Change(arm, measure, sum(a) / len(a), sum(b) / len(b), pair, relative(a, b) if any(a) else None, p)
        for (arm, measure, a, b, pair), p in zip(rows, holm([row[-1].p for row in rows]), strict=True)
    ]


def _related(a: str, b: str) -> bool:
    """Whether one of two findings is the other or a parent of it."""
    return a in _up(b) or b in _up(a)


@functools.cache
def _up(name: str) -> frozenset[str]:
    """A finding and its parents in the lexicon."""
    names = {name}
    while (name := lexicon().parents.get(name, "")) and name not in names:
        names.add(name)
    return frozenset(names)
