"""Triplets of a report: finding, relation, value, by the extractor of findings (MOTOR has RadGraph's).

"Small left pleural effusion."  ->  (pleural effusion, is, present), (pleural effusion, side, left),
                                    (pleural effusion, degree, mild)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medxiaohe.scoring._findings import Finding

MOST = 30  # of a report (MO-3)
TRAITS = ("side", "degree", "time", "change")
Triplet = tuple[str, str, str]


def triplets(findings: Sequence[Finding], most: int = MOST) -> list[Triplet]:
    """The triplets of a report, each once: first what is and is not there, then sides, degrees and places."""
    found: dict[Triplet, None] = {}
    for one in findings:
        found[one.name, "is", one.status] = None
    for one in findings:
        for trait in TRAITS:
            if value := getattr(one, trait):
                found[one.name, trait, value] = None
        for place in sorted(one.places):
            found[one.name, "place", place] = None
    return list(found)[:most]


def terms_of(reports: Iterable[Sequence[Triplet]]) -> list[str]:
    """Every word of some triplets, sorted, behind an empty one whose number stands for none."""
    return ["", *sorted({word for report in reports for one in report for word in one})]


def numbered(report: Sequence[Triplet], terms: dict[str, int], most: int) -> list[list[int]]:
    """[most, 3]: the triplets whose words are known, then zeros."""
    rows = [[terms[word] for word in one] for one in report if all(word in terms for word in one)][:most]
    return rows + [[0, 0, 0]] * (most - len(rows))
