"""What a judge is asked, and what it says: one verdict for each item of a question, or none.

    rubric   does the text do what the criterion says?             met, not met
    claim    does the text say what the claim says?                supported, contradicted, neither
    pair     which of two texts answers better?                    first, second, tie
    split    the atomic claims of the text (one item, always "")   the claims, one a line

"cannot tell" is a verdict of its own and decides nothing. A verdict without a label was never given: the
judge failed, or its budget was spent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

LABELS = {
    "rubric": ("met", "not met"),
    "claim": ("supported", "contradicted", "neither"),
    "pair": ("first", "second", "tie"),
}
KINDS = (*LABELS, "split")
ABSTAINED = "cannot tell"


@dataclass(frozen=True, slots=True)
class Question:
    """`items` are criteria, claims, or the one text that `text` is compared with; `context` is what was asked
    of it."""

    kind: str
    text: str
    items: tuple[str, ...] = ("",)
    context: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    label: str  # one of LABELS[kind], ABSTAINED, or "" when none was given
    why: str = ""  # in the judge's words, or what went wrong
    prompt: str = ""  # hash of every byte that was asked
    reply: str = ""  # what the judge said, as it came
    judge: str = ""

    @property
    def decided(self) -> bool:
        return self.label not in ("", ABSTAINED)


class Judge(Protocol):
    """`name` says who judges, and changes whenever its verdicts could."""

    @property
    def name(self) -> str: ...

    def ask(self, questions: Sequence[Question]) -> list[tuple[Verdict, ...]]:
        """The verdicts on the items of each question, in order."""
        ...


def digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
