"""Verifier: compare counts and positions of cells, and measurements, with those of tools.

    regions       "white cell at [30, 40, 150, 160] of 640 x 480 pixels": counted, and located by their centre
    measurements  "cardiothoracic ratio: 0.48"

    supported     the claim counts as many as measured, every part of the picture that it names has one; or
                  the measured value is the claimed one within TOLERANCE
    contradicted  another number, none in a part that it names, another value
    unsupported   nothing of that kind was measured
    unjudged      the claim neither counts nor measures

A tool that detects cells says nothing of other cells: platelets that no tool detects are unsupported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe.scoring._words import content, stem
from medxiaohe.types import Claim, Evidence, Finding, Label, Locator, Ruling

NAME = "measured"
TOLERANCE = 0.05  # relative difference from a measured value
ON_LINE = 0.01  # share of width or height: a centre so near to a line is on both sides of it
KINDS = {  # of cells, as tools name them -> words for them
    "white cell": r"white (?:blood )?cells?|WBCs?|leu[ck]ocytes?",
    "red cell": r"red (?:blood )?cells?|RBCs?|erythrocytes?",
    "platelet": r"platelets?|thrombocytes?",
}
SHOWN = {"white cell": "white blood cell", "red cell": "red blood cell", "platelet": "platelet"}
VAGUE = ("several", "multiple")
MANY = 5  # cells, from which a sentence no longer lists their quarters
NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()
COUNTED = {
    kind: re.compile(
        rf"\b(?P<number>\d+|no|an?|{'|'.join(NUMBERS[1:])}|several|multiple)\s+(?:\w+\s+){{0,2}}?(?:{words})\b",
        re.IGNORECASE,
    )
    for kind, words in KINDS.items()
}
NAMED = {kind: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for kind, words in KINDS.items()}
PART = re.compile(
    r"\b(?P<high>upper|lower|top|bottom)[- ](?P<wide>left|right)\b|\b(?P<middle>cent(?:er|re)|middle)\b",
    re.IGNORECASE,
)
REGION = re.compile(
    r"^(?P<kind>[\w ]+?) at \[(?P<box>[\d, ]+)\](?: of (?P<width>\d+) x (?P<height>\d+) pixels)?"
)
MEASURED = re.compile(r"^(?P<name>[^:=\d]{3,60})[:=]\s*(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>[^\W\d]*)")
VALUE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Region:
    """One object that a tool detected in a picture: its kind and its box in pixels."""

    kind: str
    box: tuple[int, int, int, int]
    size: tuple[int, int] | None  # of the picture
    evidence: str

    @property
    def part(self) -> str:
        """Quarter of the picture that the centre of the box lies in.

        Returns:
            such as "upper left"; "" if the size of the picture is unknown
        """
        if self.size is None:
            return ""
        x, y = self._middle()
        return f"{'upper' if y < 0.5 else 'lower'} {'left' if x < 0.5 else 'right'}"

    def is_in(self, high: str, wide: str) -> bool:
        """Whether the centre of the box lies in a quarter of the picture, or at most ON_LINE outside it.

        Args:
            high: upper or lower.
            wide: left or right.

        Returns:
            by the centre as a share of the width and height of the picture
        """
        x, y = self._middle()
        return (y < 0.5 + ON_LINE if high == "upper" else y > 0.5 - ON_LINE) and (
            x < 0.5 + ON_LINE if wide == "left" else x > 0.5 - ON_LINE
        )

    def _middle(self) -> tuple[float, float]:
        """Centre of the box, as shares of the picture's width and height."""
        width, height = self.size or (1, 1)
        left, top, right, bottom = self.box
        return (left + right) / 2 / width, (top + bottom) / 2 / height

    def is_central(self) -> bool:
        """Whether the centre of the box lies in the middle half of the picture.

        Returns:
            True if both coordinates are from 0.25 to 0.75 of width and height
        """
        return all(0.25 <= share <= 0.75 for share in self._middle())


def measured(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> list[Ruling]:
    """Rule on claims by regions and measurements of tools.

    Args:
        claims: to rule on.
        evidence: of kind region or measurement; other kinds are ignored.

    Returns:
        one ruling for each claim, in order
    """
    detected = regions(evidence)
    return [_ruling(claim, detected, evidence) for claim in claims]


def regions(evidence: Sequence[Evidence]) -> list[Region]:
    """Parse the regions among pieces of evidence.

    Args:
        evidence: of any kind.

    Returns:
        in order; regions without a box or in another form are left out
    """
    rows = []
    for item in evidence:
        match = REGION.match(item.text) if item.kind == "region" else None
        if match and item.at is not None and item.at.box is not None:
            size = (int(match["width"]), int(match["height"])) if match["width"] else None
            rows.append(Region(match["kind"].strip().lower(), item.at.box, size, item.id))
    return rows


def statements(evidence: Sequence[Evidence]) -> list[tuple[str, tuple[str, ...]]]:
    """Describe regions in words, one sentence for each kind of cell.

    Args:
        evidence: of any kind.

    Returns:
        (sentence, ids of the regions); fewer than MANY cells with the quarters that they lie in
    """
    rows = []
    detected = regions(evidence)
    for kind in dict.fromkeys(region.kind for region in detected if region.kind in KINDS):
        mine = [region for region in detected if region.kind == kind]
        count = NUMBERS[len(mine)] if len(mine) < len(NUMBERS) else str(len(mine))
        quarters = sorted({region.part for region in mine} - {""}) if len(mine) < MANY else []
        location = f", {' and '.join(f'in the {quarter}' for quarter in quarters)}" if quarters else ""
        name = SHOWN[kind] + ("s" if len(mine) > 1 else "")
        verb = "is" if len(mine) == 1 else "are"
        rows.append((f"There {verb} {count} {name}{location}.", tuple(region.evidence for region in mine)))
    return rows


def findings_of(text: str) -> tuple[Finding, ...]:
    """Parse the counts of cells in a text as findings.

    Args:
        text: of a report.

    Returns:
        such as "2 white blood cells" with the location "upper left"; at most one for each kind of cell
    """
    rows = []
    for kind, pattern in COUNTED.items():
        match = pattern.search(text)
        number = match["number"].lower() if match else ""
        if match and number not in VAGUE:
            count = _number(number)
            quarters = [" ".join(filter(None, quarter.groups())).lower() for quarter in PART.finditer(text)]
            name = f"{count} {SHOWN[kind]}{'' if count == 1 else 's'}"
            rows.append(Finding(name, location=", ".join(sorted(quarters))))
    return tuple(rows)


def kinds_of(text: str) -> set[str]:
    """Kinds of cells that a text names.

    Args:
        text: of a claim or a report.

    Returns:
        keys of KINDS
    """
    return {kind for kind, pattern in NAMED.items() if pattern.search(text)}


def _ruling(claim: Claim, detected: Sequence[Region], evidence: Sequence[Evidence]) -> Ruling:
    kinds = kinds_of(claim.text)
    if kinds:
        rows = [
            _counted(claim.text, kind, [region for region in detected if region.kind == kind])
            for kind in sorted(kinds)
        ]
        for decisive in ("contradicted", "unsupported", "supported"):
            for label, ids, why in rows:
                if label == decisive:
                    return Ruling(claim.id, label, ids, NAME, why)
    label, ids, why = _value(claim.text, evidence)
    return Ruling(claim.id, label, ids, NAME, why)


def _counted(text: str, kind: str, mine: Sequence[Region]) -> tuple[Label, tuple[str, ...], str]:
    """Label, evidence and reason for the statements of a text about one kind of cell."""
    ids = tuple(region.evidence for region in mine)
    if not mine:
        return "unsupported", (), f"no tool found a {SHOWN[kind]}"
    # the number: "several" is more than one
    match = COUNTED[kind].search(text)
    number = match["number"].lower() if match else ""
    if number in VAGUE:
        right = len(mine) > 1
    elif number:
        right = _number(number) == len(mine)
    else:
        right = True
    if not right:
        return "contradicted", ids, f"{len(mine)} measured, not {number}"
    # each named part of the picture must have one
    quarters = list(PART.finditer(text))
    if quarters and any(region.size is None for region in mine):
        return "unsupported", ids, "the size of the picture is not known, so neither are parts of it"
    for quarter in quarters:
        if quarter["middle"]:
            has_one = any(region.is_central() for region in mine)
        else:
            high = {"top": "upper", "bottom": "lower"}.get(quarter["high"].lower(), quarter["high"].lower())
            has_one = any(region.is_in(high, quarter["wide"].lower()) for region in mine)
        if not has_one:
            return "contradicted", ids, f"none in the {quarter.group().lower()}"
    return "supported", ids, f"{len(mine)} measured"


def _number(word: str) -> int:
    if word.isdigit():
        return int(word)
    return 1 if word in ("a", "an") else NUMBERS.index(word)


def _value(text: str, evidence: Sequence[Evidence]) -> tuple[Label, tuple[str, ...], str]:
    """Label, evidence and reason for a measurement that a text gives."""
    words = {stem(mark.group()) for mark in content(text)}
    values = [float(number) for number in VALUE.findall(text)]
    for item in evidence:
        match = MEASURED.match(item.text) if item.kind == "measurement" else None
        if match is None or not values:
            continue
        name = {stem(mark.group()) for mark in content(match["name"])}
        if name and name <= words:
            value = float(match["value"])
            # relative difference from the measured value
            near = any(abs(number - value) <= TOLERANCE * abs(value) for number in values)
            why = f"{match['value']} {match['unit']}".strip() + " measured"
            return ("supported" if near else "contradicted"), (item.id,), why
    return "unjudged", (), "the claim neither counts nor measures anything that was measured"


def _seen(id: str, box: tuple[int, int, int, int]) -> Evidence:
    text = f"white cell at {list(box)} of 640 x 480 pixels"
    return Evidence(id, text, "smear.jpg", kind="region", at=Locator(box=box))


EXAMPLE = (
    (
        Claim("c1", "There are two white blood cells, in the upper left and in the lower right."),
        Claim("c2", "Three leukocytes are seen."),
        Claim("c3", "A white cell lies in the upper right."),
        Claim("c4", "There are many platelets."),
        Claim("c5", "The cardiothoracic ratio is 0.48."),
        Claim("c6", "The smear is thin."),
    ),
    (
        _seen("r1", (10, 20, 130, 140)),
        _seen("r2", (400, 300, 520, 420)),
        Evidence("m1", "cardiothoracic ratio: 0.55", "measure", kind="measurement"),
    ),
    ("supported", "contradicted", "contradicted", "unsupported", "contradicted", "unjudged"),
)
