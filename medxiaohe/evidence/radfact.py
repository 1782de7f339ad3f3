"""The six measures of RadFact (Bannur et al. 2024, arXiv 2406.04449), by rules in place of a language model.

    logical_precision    share of the report's phrases that the reference entails
    logical_recall       share of the reference's phrases that the report entails
    grounding_precision  of the entailed phrases of the report that have boxes, those whose boxes are entailed
    grounding_recall     the same of the reference
    spatial_precision    of all phrases of the report that have boxes, those entailed in words and boxes
    spatial_recall       the same of the reference
    pointing             of the report's boxes, those whose centre lies in a box of the reference

A box is entailed when more than half of its pixels lie in the union of the boxes of the phrases that entail
its phrase. RadFact counts a phrase as not entailed when its judge fails; here that is `unjudged`, counted
separately.

A report is text with boxes behind the sentences they belong to: "One white cell. [[10, 20, 90, 110]]". Of a
report with headings the section Findings counts; the sentences of the workflow `report` have the boxes of
the evidence that its claims name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from medxiaohe.evidence.assembly import sections_of
from medxiaohe.evidence.claims import by_findings
from medxiaohe.evidence.rule import Verifier, named, ruled
from medxiaohe.evidence.verifiers.measured import kinds_of
from medxiaohe.scoring._free import reference, said
from medxiaohe.scoring._sentences import sentences
from medxiaohe.scoring._text import missing
from medxiaohe.scoring.boxes import FOUR
from medxiaohe.types import Evidence, Locator, Sample, Score, Trace

MEASURES = (
    "logical_precision", "logical_recall", "grounding_precision", "grounding_recall", "spatial_precision",
    "spatial_recall", "pointing",
)  # fmt: skip
ENTAILED = 0.5  # share of the pixels of a box that must be covered, more than this (RadFact)
NUMBERS = r"\[[\d\s,.\-]+\]"
BOXES = re.compile(rf"\[\s*{NUMBERS}(?:\s*,\s*{NUMBERS})*\s*\]|{NUMBERS}")
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence of a report and the boxes that it is about: left, top, right, bottom in pixels."""

    text: str
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion: `part` of `whole` phrases or boxes."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """The proportion.

        Returns:
            from 0 to 1; None if nothing was counted
        """
        return self.part / self.whole if self.whole else None


def phrases(text: str) -> list[Phrase]:
    """Split a report into sentences, each with the boxes behind it.

    Args:
        text: a report; boxes are [left, top, right, bottom] in pixels behind a sentence.

    Returns:
        in order; boxes before the first sentence are dropped
    """
    results, last = list[Phrase](), 0
    for match in BOXES.finditer(text):
        results += [
            Phrase(sentence)
            for sentence in sentences(text[last : match.start()])
            if re.search(r"\w", sentence)
        ]
        four = [tuple(round(float(n)) for n in box) for box in FOUR.findall(match[0])]
        if results and four:
            boxes = tuple(box for box in four if len(box) == 4)
            results[-1] = replace(results[-1], boxes=(*results[-1].boxes, *boxes))
        last = match.end()
    return results + [Phrase(sentence) for sentence in sentences(text[last:]) if re.search(r"\w", sentence)]


def reported(trace: Trace) -> list[Phrase]:
    """Phrases of the report that a trace ends with.

    Args:
        trace: of any workflow; a sentence that is one of its claims has the boxes of that claim's evidence.

    Returns:
        the sentences of the section Findings, in order, each with its boxes
    """
    at = {item.id: item.at.box for item in trace.evidence if item.at is not None and item.at.box is not None}
    boxes_of = {claim.text: [at[id] for id in claim.evidence if id in at] for claim in trace.claims}
    return [
        item if item.boxes else replace(item, boxes=tuple(boxes_of.get(item.text, ())))
        for item in phrases(sections_of(said(trace))[0])
    ]


def measure(
    report: Sequence[Phrase],
    gold: Sequence[Phrase],
    verifiers: Sequence[Verifier] | None = None,
    size: tuple[int, int] | None = None,
) -> dict[str, Share]:
    """Compute the measures of one report.

    Args:
        report: phrases of the report.
        gold: phrases of the reference.
        verifiers: that decide entailment; None: the rules that ask no model.
        size: (width, height) of the picture in pixels, needed for sentences that name parts of it.

    Returns:
        name of MEASURES -> share, and `unjudged`: phrases of the report that no verifier could judge
    """
    ask = list(verifiers or named())
    shares: dict[str, Share] = {}
    for side, own, premises in (("precision", report, gold), ("recall", gold, report)):
        # precision: phrases of the report by the reference; recall: the reverse
        rows = [entailed(phrase, premises, ask, size) for phrase in own]
        # of the phrases with boxes, those entailed in words and boxes
        boxed = [(phrase, row) for phrase, row in zip(own, rows, strict=True) if phrase.boxes]
        inside = [row.words and row.boxes for _, row in boxed]
        shares[f"logical_{side}"] = Share(sum(row.words for row in rows), len(rows))
        shares[f"grounding_{side}"] = Share(sum(inside), sum(row.words for _, row in boxed))
        shares[f"spatial_{side}"] = Share(sum(inside), len(boxed))
        if side == "precision":
            shares["unjudged"] = Share(sum(row.unjudged for row in rows), len(rows))
    # pointing game: centres of the report's boxes in boxes of the reference
    mine, theirs = ([box for phrase in sides for box in phrase.boxes] for sides in (report, gold))
    shares["pointing"] = Share(sum(_middle_in(box, theirs) for box in mine), len(mine))
    return shares


@dataclass(frozen=True, slots=True)
class Entailed:
    """Whether a phrase is entailed in words, and its boxes by those of the phrases that entail it."""

    words: bool
    boxes: bool
    unjudged: bool = False


def entailed(
    phrase: Phrase, by: Sequence[Phrase], verifiers: Sequence[Verifier], size: tuple[int, int] | None = None
) -> Entailed:
    """Whether phrases of one report entail a phrase of the other.

    Args:
        phrase: the hypothesis.
        by: premises, phrases of the other report.
        verifiers: in the order in which they decide.
        size: (width, height) of the picture in pixels; None: unknown.

    Returns:
        whether its words and its boxes are entailed, and whether it could not be judged
    """
    claims = by_findings(phrase.text)
    if not claims:
        return Entailed(False, False, True)
    rulings = ruled(claims, _evidence(by, size), verifiers).decided
    if not all(ruling.label == "supported" for ruling in rulings):
        return Entailed(False, False, any(ruling.label == "unjudged" for ruling in rulings))
    # the premises that the rulings name (ids are "premise.box"), and the union of their boxes
    numbers = {int(id.split(".")[0]) for ruling in rulings for id in ruling.evidence}
    theirs = [box for number in sorted(numbers) for box in by[number].boxes]
    return Entailed(True, all(covered(box, theirs) > ENTAILED for box in phrase.boxes))


def covered(box: Sequence[int], others: Sequence[Sequence[int]]) -> float:
    """Share of the area of a box that lies in the union of other boxes.

    Args:
        box: left, top, right, bottom.
        others: boxes in the same unit.

    Returns:
        from 0 to 1; 0 for a box without area
    """
    left, top, right, bottom = box
    clipped = [(max(a, left), max(b, top), min(c, right), min(d, bottom)) for a, b, c, d in others]
    inside = [
        rectangle for rectangle in clipped if rectangle[0] < rectangle[2] and rectangle[1] < rectangle[3]
    ]
    # area of the union by columns between neighbouring edges
    edges = sorted({x for rectangle in inside for x in (rectangle[0], rectangle[2])})
    area = 0
    for a, b in pairwise(edges):
        # of this column, the merged vertical intervals
        spans = sorted(
            (rectangle[1], rectangle[3]) for rectangle in inside if rectangle[0] <= a and b <= rectangle[2]
        )
        end = top
        for low, high in spans:
            area += (b - a) * max(0, high - max(low, end))
            end = max(end, high)
    box_area = (right - left) * (bottom - top)
    return area / box_area if box_area > 0 else 0.0


def _evidence(premises: Sequence[Phrase], size: tuple[int, int] | None) -> list[Evidence]:
    """Phrases as evidence: their words, and a region for each box of a phrase about one kind of cell."""
    evidence = []
    of_size = f" of {size[0]} x {size[1]} pixels" if size else ""
    for number, phrase in enumerate(premises):
        evidence.append(Evidence(f"{number}.0", phrase.text, "report"))
        kinds = kinds_of(phrase.text)
        for n, box in enumerate(phrase.boxes, 1):
            if len(kinds) == 1:
                words = f"{next(iter(kinds))} at {list(box)}{of_size}"
                evidence.append(
                    Evidence(f"{number}.{n}", words, "report", kind="region", at=Locator(box=box))
                )
    return evidence


def _middle_in(box: Box, others: Sequence[Box]) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(a <= x <= c and b <= y <= d for a, b, c, d in others)


def _says_something(phrase: Phrase) -> bool:
    """Whether a phrase has a box, a finding or a kind of cell."""
    return bool(phrase.boxes or kinds_of(phrase.text) or any(c.finding for c in by_findings(phrase.text)))


def radfact(
    sample: Sample, trace: Trace, *, measure_of: str = "logical_precision", width: int = 0, height: int = 0
) -> Score:
    """Score a report by one of the measures.

    Args:
        sample: its gold answer is a report with boxes.
        trace: its answer is one.
        measure_of: one of MEASURES.
        width: of the picture in pixels; 0: unknown.
        height: of the picture in pixels; 0: unknown.

    Returns:
        from 0 to 1; 0 for a measure of boxes if only the reference has any, unjudged if it has none,
        `unparsed` or `refused` for a report without a finding and a box

    Raises:
        KeyError: `measure_of` is not one of MEASURES.
    """
    name = f"radfact.{measure_of}"
    mine, gold = reported(trace), phrases(reference(sample))
    if not any(_says_something(phrase) for phrase in mine):
        return missing(name, trace, "no sentence with a finding and no box")
    share = measure(mine, gold, None, (width, height) if width and height else None)[measure_of]
    if share.value is None and not any(phrase.boxes for phrase in gold):
        return Score(name, None, "unjudged", why="the reference has no box")
    why = f"{share.part} of {share.whole}"
    return Score(name, share.value or 0.0, parsed=f"{len(mine)} phrases", why=why)
