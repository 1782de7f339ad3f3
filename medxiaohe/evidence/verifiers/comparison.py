"""Verifier: a claim that compares with an earlier study needs one.

    unsupported   no evidence is of an earlier study or compares the same finding
    unjudged      otherwise: other verifiers decide whether the comparison is right

Reports of chest X-rays compare with studies that no reader of the data set has; models learn it from them
(Ramesh et al. 2022, CXR-PRO).
"""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe.evidence.sentences import Sentence, compares, split
from medxiaohe.evidence.verifiers.entities import words_of
from medxiaohe.scoring._findings import lexicon
from medxiaohe.types import Claim, Evidence, Ruling

NAME = "comparison"
SAME_WORDS = 0.5  # share of the claim's words in a sentence that compares


def comparison(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> list[Ruling]:
    """Rule on claims that need an earlier study.

    Args:
        claims: to rule on.
        evidence: to verify them with.

    Returns:
        one ruling for each claim, in order
    """
    prior = next((item.id for item in evidence if item.kind == "prior"), "")
    rows = (
        []
        if prior or not any(claim.needs == "prior" for claim in claims)
        else [
            (item.id, sentence)
            for item in evidence
            for sentence in split(item.text)
            if compares(sentence.text)
        ]
    )
    return [_ruling(claim, prior, rows) for claim in claims]


def _ruling(claim: Claim, prior: str, rows: Sequence[tuple[str, Sentence]]) -> Ruling:
    if claim.needs != "prior":
        return Ruling(claim.id, "unjudged", by=NAME, why="the claim does not compare")
    if prior:
        return Ruling(claim.id, "unjudged", (prior,), NAME, "there is an earlier study")
    for id, sentence in rows:
        if _same(claim, sentence):
            return Ruling(claim.id, "unjudged", (id,), NAME, "the evidence compares the same")
    return Ruling(claim.id, "unsupported", by=NAME, why="it compares, and there is no earlier study")


def _same(claim: Claim, sentence: Sentence) -> bool:
    """Whether a sentence compares the finding of a claim, or has half of its words."""
    if words_of(claim.text).text == words_of(sentence.text).text:
        return True
    if claim.finding is not None:
        parents = lexicon().parents
        names = {finding.name for finding in sentence.findings}
        return bool(names & {claim.finding.name, parents.get(claim.finding.name, "")})
    mine, theirs = words_of(claim.text).stems, words_of(sentence.text).stems
    return bool(mine) and len(mine & theirs) >= SAME_WORDS * len(mine)


EXAMPLE = (
    (
        Claim("c1", "The effusion has increased since the prior exam.", needs="prior"),
        Claim("c2", "There is an effusion.", needs="image"),
    ),
    (Evidence("e1", "There is an effusion.", "report"),),
    ("unsupported", "unjudged"),
)
