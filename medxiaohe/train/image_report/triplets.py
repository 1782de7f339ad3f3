"""Triplets of a report: finding, relation, value, by the extractor of findings (MOTOR has RadGraph's).

"Small left pleural effusion."  ->  (pleural effusion, is, present), (pleural effusion, side, left),
                                    (pleural effusion, degree, mild)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medxiaohe.scoring._findings import Finding

MOST = 30  # triplets of a report: 90 terms, as many as MOTOR reads word tokens
TRAITS = ("side", "degree", "time", "change")
Triplet = tuple[str, str, str]


def triplets(findings: Sequence[Finding], most: int = MOST) -> list[Triplet]:
    """Extract the triplets of a report, each once: status first, then sides, degrees, times, changes and
    places.

    Args:
        findings: of the report.
        most: triplets of a report.

    Returns:
        (finding, relation, value), at most `most`.
    """
    result: dict[Triplet, None] = {}
    for finding in findings:
        result[finding.name, "is", finding.status] = None
    for finding in findings:
        for trait in TRAITS:
            if value := getattr(finding, trait):
                result[finding.name, trait, value] = None
        for location in sorted(finding.places):
            result[finding.name, "place", location] = None
    return list(result)[:most]


def terms_of(reports: Iterable[Sequence[Triplet]]) -> list[str]:
    """Collect the vocabulary of triplets.

    Args:
        reports: triplets of each report.

    Returns:
        Words, sorted, after an empty one whose number 0 stands for none.
    """
    return ["", *sorted({word for report in reports for item in report for word in item})]


def numbered(report: Sequence[Triplet], terms: dict[str, int], most: int) -> list[list[int]]:
    """Encode triplets as numbers of terms, padded with zeros.

    Args:
        report: triplets; those with an unknown word are left out.
        terms: word -> number.
        most: triplets of a report.

    Returns:
        [most, 3] integers.
    """
    rows = [[terms[word] for word in item] for item in report if all(word in terms for word in item)][:most]
    return rows + [[0, 0, 0]] * (most - len(rows))
