"""Which of two answers is better, asked in both orders: only a preference that survives the swap counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe.scoring.judges.questions import ABSTAINED, Judge, Question, Verdict

SWAPPED = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True)
class Preference:
    # first, second, tie; ABSTAINED when the judge abstained or the order decided; "" when it failed
    label: str
    why: str
    verdicts: tuple[Verdict, Verdict]  # as given, and with the answers swapped

    @property
    def flipped(self) -> bool:
        """Detect position bias: the judge decided both times, and not the same way.

        Returns:
            Whether the order of the answers decided.
        """
        there, back = self.verdicts
        return there.decided and back.decided and SWAPPED[back.label] != there.label


def compare(judge: Judge, pairs: Sequence[tuple[str, str, str]]) -> list[Preference]:
    """Compare pairs of answers, each in both orders.

    Args:
        judge: asked twice for each pair.
        pairs: (question, first answer, second answer).

    Returns:
        One preference for each pair, in order.
    """
    asked = [Question("pair", first, (second,), context) for context, first, second in pairs]
    asked += [Question("pair", second, (first,), context) for context, first, second in pairs]
    said = [row[0] for row in judge.ask(asked)]
    return [
        _preference(there, back) for there, back in zip(said[: len(pairs)], said[len(pairs) :], strict=True)
    ]


def _preference(there: Verdict, back: Verdict) -> Preference:
    if not there.decided or not back.decided:
        undecided = there if not there.decided else back
        return Preference(undecided.label, undecided.why, (there, back))
    if SWAPPED[back.label] != there.label:
        why = f"{there.label} as given and {SWAPPED[back.label]} with the answers swapped: the order decided"
        return Preference(ABSTAINED, why, (there, back))
    return Preference(there.label, there.why, (there, back))
