"""Which of two answers is better, asked in both orders: only a preference that survives the swap counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe.scoring.judges.questions import ABSTAINED, Judge, Question, Verdict

SWAPPED = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True)
class Preference:
    # first, second, tie; ABSTAINED when the judge abstained or the order decided; "" when it failed
    """Preference between two answers, with the verdicts of both orders."""

    label: str
    why: str
    verdicts: tuple[Verdict, Verdict]  # as given, and with the answers swapped

    @property
    def flipped(self) -> bool:
        """Detect position bias: the judge decided both times, and not the same way.

        Returns:
            Whether the order of the answers decided.
        """
        forward, backward = self.verdicts
        return forward.decided and backward.decided and SWAPPED[backward.label] != forward.label


def compare(judge: Judge, pairs: Sequence[tuple[str, str, str]]) -> list[Preference]:
    """Compare pairs of answers, each in both orders.

    Args:
        judge: asked twice for each pair.
        pairs: (question, first answer, second answer).

    Returns:
        One preference for each pair, in order.
    """
    questions = [Question("pair", first, (second,), context) for context, first, second in pairs]
    questions += [Question("pair", second, (first,), context) for context, first, second in pairs]
    verdicts = [row[0] for row in judge.ask(questions)]
    return [
        _preference(forward, backward)
        for forward, backward in zip(verdicts[: len(pairs)], verdicts[len(pairs) :], strict=True)
    ]


def _preference(forward: Verdict, backward: Verdict) -> Preference:
    if not forward.decided or not backward.decided:
        undecided = forward if not forward.decided else backward
        return Preference(undecided.label, undecided.why, (forward, backward))
    if SWAPPED[backward.label] != forward.label:
        swapped = SWAPPED[backward.label]
        why = f"{forward.label} as given and {swapped} with the answers swapped: the order decided"
        return Preference(ABSTAINED, why, (forward, backward))
    return Preference(forward.label, forward.why, (forward, backward))
