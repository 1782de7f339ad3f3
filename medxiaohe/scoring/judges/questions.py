"""Questions to a judge and its verdicts: one verdict for each item of a question, or none.

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
    """Question to a judge: `items` are criteria, claims, or the one text that `text` is compared with;
    `context` is what `text` replies to.
    """

    kind: str
    text: str
    items: tuple[str, ...] = ("",)
    context: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict of a judge on one item."""

    label: str  # one of LABELS[kind], ABSTAINED, or "" when none was given
    why: str = ""  # in the judge's words, or what went wrong
    prompt: str = ""  # hash of every byte that was asked
    reply: str = ""  # what the judge said, as it came
    judge: str = ""

    @property
    def decided(self) -> bool:
        """Test for a verdict that decides: neither missing nor "cannot tell".

        Returns:
            Whether the label counts.
        """
        return self.label not in ("", ABSTAINED)


class Judge(Protocol):
    """Interface of judges. `name` says who judges, and changes whenever its verdicts could."""

    @property
    def name(self) -> str:
        """Name of the judge; it changes whenever its verdicts could.

        Returns:
            The key of caches and records.
        """
        ...

    def ask(self, questions: Sequence[Question]) -> list[tuple[Verdict, ...]]:
        """Ask for a verdict on every item.

        Args:
            questions: each with one or more items.

        Returns:
            One tuple of verdicts for each question, in order of its items.
        """
        ...


def digest(*parts: object) -> str:
    """Hash values by their JSON text.

    Args:
        parts: values that JSON can hold.

    Returns:
        SHA-256 as 64 hex digits.
    """
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
