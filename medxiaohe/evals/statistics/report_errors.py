"""What an impression says that its report does not have, and what it leaves out: by the text, by labels, and
of several arms on the same reports.

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
SENTENCES = "sentences"  # how many there are, which is beside the measures
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
NO_FINDING = ("region", "attributes", "degree", "localization")  # ends of paths that say more of a finding
WHOLE = {"lung abnormality", "pleural abnormality", "abnormal bones"}  # of an area, with no name of its own


@dataclass(frozen=True, slots=True)
class Reference:
    """A report that people wrote: its two sections, and the findings that were marked for it."""

    id: str
    findings: str
    impression: str
    labels: frozenset[str] | None = None  # names of findings; None where nobody marked any


@dataclass(frozen=True, slots=True)
class Change:
    """What one arm changed of one measure, against the drafts on the same reports."""

    arm: str
    measure: str
    before: float
    after: float
    difference: Difference
    share: tuple[float, float, float] | None  # of `before`, with its interval; None where that is 0
    p_holm: float


def labels(path: Path) -> dict[str, frozenset[str]]:
    """The findings that were marked for each report, by its id.

    Args:
        path: qa_pairs.jsonl of Rad-ReStruct.

    Raises:
        DataError: the file is not laid out so.
    """
    found = {}
    for number, row in enumerate(io.read_jsonl(path), 1):
        try:
            names = {
                name
                for _, answer, _, about in row["qa"]
                if answer == ["yes"]
                for name in _named(about["path"].split("_"))
            }
            found[str(row["uid"])] = frozenset(names)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}, line {number}: no row of Rad-ReStruct ({error})") from error
    return found


def _named(path: Sequence[str]) -> set[str]:
    if len(path) < 3 or path[-1] in NO_FINDING:
        return set()
    name = "_".join(path[2:])
    return {one.name for one in lexicon().findings(LABELS.get(name, name) + ".")}


def errors(text: str, report: Reference) -> dict[str, float]:
    """The measures of an impression and its number of sentences; by labels where the report has any."""
    whole = f"{report.findings} {report.impression}"
    found = {
        "H text": compare(text, whole).hallucination_rate if text else 0.0,
        "H findings": compare(text, report.findings).hallucination_rate if text else 0.0,
        "O text": compare(text, report.impression).omission_rate if text else 1.0,
        SENTENCES: float(len(split(text))),
    }
    if report.labels is not None:
        mine = [one.name for one in lexicon().findings(text) if one.status in ("present", "possible")]
        wrong = [name for name in mine if not any(_related(name, gold) for gold in report.labels)]
        found["H labels"] = len(wrong) / max(1, len(mine))
        if wanted := report.labels - WHOLE:
            left = [gold for gold in wanted if not any(_related(name, gold) for name in mine)]
            found["O labels"] = len(left) / len(wanted)
    return found


def changes(arms: Mapping[str, Sequence[Mapping[str, float]]], base: str) -> list[Change]:
    """Each arm against `base` on the same reports, by every measure that is tested and that two reports have;
    p is corrected for all of these tests.

    Args:
        arms: name -> the measures of each report, in one order.
        base: the name of the arm that the others are compared with.
    """
    rows = []
    for arm, found in arms.items():
        for measure in TESTED if arm != base else ():
            both = [
                (old[measure], new[measure])
                for old, new in zip(arms[base], found, strict=True)
                if measure in old
            ]
            if len(both) > 1:
                a, b = [one for one, _ in both], [one for _, one in both]
                rows.append((arm, measure, a, b, paired(a, b)))
    return [
        Change(arm, measure, sum(a) / len(a), sum(b) / len(b), one, relative(a, b) if any(a) else None, p)
        for (arm, measure, a, b, one), p in zip(rows, holm([row[-1].p for row in rows]), strict=True)
    ]


def _related(a: str, b: str) -> bool:
    """Whether one of two findings is the other or a parent of it."""
    return a in _up(b) or b in _up(a)


@functools.cache
def _up(name: str) -> frozenset[str]:
    found = {name}
    while (name := lexicon().parents.get(name, "")) and name not in found:
        found.add(name)
    return frozenset(found)
