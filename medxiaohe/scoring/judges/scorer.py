"""Scorers that need a judge: questions about a trace, and a score from the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medxiaohe.scoring._free import no_answer, reference
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.questions import Question, Verdict
from medxiaohe.types import Sample, Score, Trace


@dataclass(frozen=True)
class JudgedScorer:
    """Scorer that asks a judge; called with one trace, or `many` at once, which a judge answers in batches.

    A reply that says nothing scores 0 and is not shown to the judge; without a judge the score is unjudged.
    """

    name: str
    kind: str  # what the judge is asked as; its self-test is about this
    questions: Callable[[Sample, Trace], list[Question]]
    score: Callable[[str, Sample, Trace, list[tuple[Verdict, ...]]], Score]
    mean_within: tuple[float, float] | None = None  # what the mean over items, not each item, is clipped to

    def __call__(self, sample: Sample, trace: Trace) -> Score:
        return self.many([(sample, trace)])[0]

    def many(self, pairs: Sequence[tuple[Sample, Trace]]) -> list[Score]:
        """Score several traces at once.

        Args:
            pairs: (item, conversation).

        Returns:
            Scores in order; `unjudged` without a judge.
        """
        return [score for score, _ in self.judged(pairs)]

    def judged(self, pairs: Sequence[tuple[Sample, Trace]]) -> list[tuple[Score, tuple[Verdict, ...]]]:
        """Score several traces and return the verdicts behind each score.

        Args:
            pairs: (item, conversation).

        Returns:
            (score, verdicts of all questions about the trace) in order; no verdicts where a reply says
            nothing or there is no judge.
        """
        prepared = [
            (no_answer(self.name, trace, reference(sample)), self.questions(sample, trace))
            for sample, trace in pairs
        ]
        judge = use.current()
        if judge is None:
            none = Score(
                self.name, None, "unjudged", why="no judge: set `judge` of the run, see docs/judges.md"
            )
            return [(nothing or none, ()) for nothing, _ in prepared]
        answers = iter(
            judge.ask(
                [question for nothing, questions in prepared if nothing is None for question in questions]
            )
        )
        results: list[tuple[Score, tuple[Verdict, ...]]] = []
        for (sample, trace), (nothing, questions) in zip(pairs, prepared, strict=True):
            if nothing is not None:
                results.append((nothing, ()))
                continue
            verdicts = [next(answers) for _ in questions]
            results.append(
                (self.score(self.name, sample, trace, verdicts), tuple(v for row in verdicts for v in row))
            )
        return results


def undecided(verdicts: Sequence[Verdict]) -> str:
    """Explain why some of the verdicts decide nothing.

    Args:
        verdicts: of one trace.

    Returns:
        A sentence, or "" when all decide.
    """
    open_verdicts = [verdict for verdict in verdicts if not verdict.decided]
    if not open_verdicts:
        return ""
    first = open_verdicts[0]
    why = f"{first.label or 'no verdict'}: {first.why[:120]}"
    return f"{len(open_verdicts)} of {len(verdicts)} items unjudged ({why})"
