"""Verifier: a judge decides whether the evidence supports each claim.

One question with all claims; verdicts are cached by their exact words, never by similarity, since "5 mg" is
near to "50 mg" (docs/judges.md). A claim that the judge cannot decide, did not answer or failed on is
unjudged, never unsupported. Without a judge of its own it asks the one that `scoring.judges.use.opened` set,
which has passed its self-test.
"""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe.evidence.verifiers.entities import words_of
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.questions import Judge, Question, Verdict
from medxiaohe.scoring.judges.rules import RuleJudge
from medxiaohe.types import Claim, Evidence, Label, Ruling

LABELS: dict[str, Label] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "neither": "unsupported",
}


def judged(
    claims: Sequence[Claim], evidence: Sequence[Evidence], *, judge: Judge | None = None, rules: bool = False
) -> list[Ruling]:
    """Rule on claims by a judge.

    Args:
        claims: to rule on.
        evidence: to verify them with.
        judge: which is asked; None: the judge in use.
        rules: ask the judge of rules if no other is in use.

    Returns:
        one ruling for each claim, in order; unjudged without a judge, unsupported without evidence in words
    """
    judge = judge or use.current() or (RuleJudge.of() if rules else None)
    if judge is None:
        return [Ruling(claim.id, "unjudged", by="judged", why="no judge is in use") for claim in claims]
    by = f"judged:{judge.name}"
    if not claims or not any(item.text.strip() for item in evidence):
        return [
            Ruling(claim.id, "unsupported", by=by, why="there is no evidence in words") for claim in claims
        ]
    text = "\n".join(item.text for item in evidence)
    (verdicts,) = judge.ask([Question("claim", text, tuple(claim.text for claim in claims))])
    return [_ruling(claim, verdict, evidence, by) for claim, verdict in zip(claims, verdicts, strict=True)]


def _ruling(claim: Claim, verdict: Verdict, evidence: Sequence[Evidence], by: str) -> Ruling:
    label = LABELS.get(verdict.label, "unjudged")
    ids = (_nearest(claim, evidence),) if label in ("supported", "contradicted") else ()
    return Ruling(claim.id, label, ids, by, verdict.why)


def _nearest(claim: Claim, evidence: Sequence[Evidence]) -> str:
    """Id of the evidence that shares most stems with a claim, the shortest of equal ones."""
    mine = words_of(claim.text).stems
    return max(evidence, key=lambda item: (len(mine & words_of(item.text).stems), -len(item.text))).id


EXAMPLE = (
    (Claim("c1", "Ivermectin treats scabies."), Claim("c2", "Ivermectin does not treat scabies.")),
    (Evidence("e1", "Scabies: ivermectin treats scabies by mouth.", "leaflet"),),
    ("supported", "contradicted"),
)
EXAMPLE_SETTINGS = {"rules": True}
