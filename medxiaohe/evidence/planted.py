"""Plant errors in report sentences, to measure and to train verifiers.

Perturbed reports are free labels (Yan et al., arXiv 2307.14634). Kinds:

    finding          another finding, which the report does not name, is stated
    denial removed   "No pneumothorax." -> "Pneumothorax."
    denial added     "A small effusion is seen." -> "No small effusion is seen."
    side             left <-> right
    degree           mild <-> severe
    number           a number with or without a unit becomes another
    prior            a comparison with an earlier study is added
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection

from medxiaohe.evidence.sentences import compares
from medxiaohe.scoring._findings import Finding, Lexicon

KINDS = ("finding", "denial removed", "denial added", "side", "degree", "number", "prior")
STATED = (  # findings of the lexicon in plain words
    ("pneumothorax", "There is a small apical pneumothorax."),
    ("pleural effusion", "There is a moderate pleural effusion."),
    ("consolidation", "There is a focal consolidation in the upper lobe."),
    ("pulmonary edema", "Pulmonary edema is present."),
    ("cardiomegaly", "The heart is enlarged."),
    ("fracture", "There is a displaced rib fracture."),
    ("lung mass", "A mass is seen in the perihilar region."),
    ("emphysema", "There is emphysema."),
    ("endotracheal tube", "An endotracheal tube is in place."),
    ("hiatal hernia", "A hiatal hernia is noted."),
)
DENIAL = re.compile(
    r"^(?P<lead>.*?)\b(?:there (?:is|are) no(?: evidence (?:of|for))?|no(?: evidence (?:of|for))?"
    r"|without(?: evidence (?:of|for))?"
    r"|negative for|free of)\s+(?P<rest>.+)$",
    re.IGNORECASE,
)
STATEMENT = re.compile(r"^(?P<lead>there (?:is|are|has been)(?: an?)?|an?)\s+(?P<rest>.+)$", re.IGNORECASE)
SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
DEGREES = {
    "mild": "severe", "mildly": "severely", "small": "large", "tiny": "large", "minimal": "marked",
    "minimally": "markedly", "slight": "marked", "slightly": "markedly", "severe": "mild", "large": "small",
    "marked": "mild", "markedly": "mildly", "moderate": "mild", "moderately": "mildly", "massive": "tiny",
}  # fmt: skip
NUMBER = re.compile(
    r"(?<![\w.\-/])\d+(?:\.\d+)?(?=\s*(?:-\s*)?(?:mm|cm|millimet|centimet|leads?|views?|surgical|\b))(?!/)"
)
COMPARISONS = (
    "This has increased since the prior exam.",
    "Compared to the previous study, this is new.",
    "There has been interval worsening.",
    "This is unchanged from the prior radiograph.",
)


def changed(kind: str, sentence: str, *, named: Collection[str], draw: random.Random) -> str:
    """Plant one error of a kind in a sentence.

    Args:
        kind: one of KINDS.
        sentence: of a report.
        named: findings that the whole report names, present or absent.
        draw: source of randomness.

    Returns:
        the changed sentence, or "" if this kind does not apply to it

    Raises:
        KeyError: the kind is not one of KINDS.
    """
    return _CHANGES[kind](sentence, named, draw)


def names_of(report: str, words: Lexicon) -> set[str]:
    """Findings that a report names, with their parents in the lexicon.

    Args:
        report: text.
        words: the lexicon of findings.

    Returns:
        names, whatever their status
    """
    names = set[str]()
    for finding in words.findings(report):
        name = finding.name
        while name and name not in names:
            names.add(name)
            name = words.parents.get(name, "")
    return names


def is_denial(findings: Collection[Finding]) -> bool:
    """Whether a sentence denies every finding that it names.

    Args:
        findings: of the sentence.

    Returns:
        False for a sentence without findings
    """
    return bool(findings) and all(finding.status == "absent" for finding in findings)


def _finding(sentence: str, named: Collection[str], draw: random.Random) -> str:
    free = [text for name, text in STATED if name not in named]
    return draw.choice(free) if free else ""


def _denial_removed(sentence: str, named: Collection[str], draw: random.Random) -> str:
    match = DENIAL.match(sentence)
    if not match or match["lead"].strip():
        return ""
    rest = re.sub(r"\bor\b", "and", match["rest"])
    rest = re.sub(r"^(?:definite|obvious|convincing|significant|other|further) ", "", rest)
    return rest[:1].upper() + rest[1:]


def _denial_added(sentence: str, named: Collection[str], draw: random.Random) -> str:
    match = STATEMENT.match(sentence)
    if not match or re.search(r"\b(?:no|not|without|or|but|clear|normal)\b", sentence, re.IGNORECASE):
        return ""
    return f"There is no {match['rest']}"


def _swapped(table: dict[str, str]) -> Callable[[str, Collection[str], random.Random], str]:
    pattern = re.compile(rf"\b(?:{'|'.join(table)})\b")

    def change(sentence: str, named: Collection[str], draw: random.Random) -> str:
        """Swap the words of the table in a sentence.

        Returns:
            "" with none of them, and with different ones ("the left is larger than the right")
        """
        matches = list(pattern.finditer(sentence))
        if len({match.group().lower() for match in matches}) != 1:
            return ""  # none, or both: "the left is larger than the right"
        return pattern.sub(lambda match: table[match.group()], sentence)

    return change


def _number(sentence: str, named: Collection[str], draw: random.Random) -> str:
    matches = list(NUMBER.finditer(sentence))
    if not matches:
        return ""
    match = draw.choice(matches)
    value = float(match.group()) * draw.choice((2, 3)) + 1
    return f"{sentence[: match.start()]}{value:g}{sentence[match.end() :]}"


def _prior(sentence: str, named: Collection[str], draw: random.Random) -> str:
    return "" if compares(sentence) else f"{sentence} {draw.choice(COMPARISONS)}"


_CHANGES: dict[str, Callable[[str, Collection[str], random.Random], str]] = {
    "finding": _finding,
    "denial removed": _denial_removed,
    "denial added": _denial_added,
    "side": _swapped(SIDES),
    "degree": _swapped(DEGREES),
    "number": _number,
    "prior": _prior,
}
