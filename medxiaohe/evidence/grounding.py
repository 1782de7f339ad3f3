"""Ground an answer: keep each sentence with its evidence, mark it as not verified, or remove it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medxiaohe.evidence.claims import by_rules
from medxiaohe.evidence.phrases import NOT_VERIFIED
from medxiaohe.evidence.revision import Action
from medxiaohe.evidence.rule import Verifier, ruled
from medxiaohe.scoring._sentences import sentence_spans
from medxiaohe.types import Claim, Evidence, Ruling

ORDER = ("contradicted", "unsupported", "unjudged", "supported")  # worst first
# the sentence that gives the answer is never cut
ANSWERS = re.compile(
    r"\b(?:the|my|final|correct|best)\s+(?:\w+\s+)?(?:answer|option|choice|diagnosis)\b|^\W*(?:answer\b"
    r"|\(?[A-J]\)?[.):]?\W*$|(?:yes|no|maybe|true|false)\b)|\\boxed|答案",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Grounded:
    """An answer with its claims; `before` are the rulings on the draft, one for each of its claims."""

    text: str
    claims: tuple[Claim, ...]
    rulings: tuple[Ruling, ...]
    before: tuple[Ruling, ...]


def open_claims(draft: str, evidence: Sequence[Evidence], verifiers: Sequence[Verifier],
                recited: Sequence[str] = ()) -> list[Claim]:  # fmt: skip
    """Claims of a draft that no evidence so far supports or contradicts.

    Args:
        draft: the answer so far.
        evidence: the evidence so far.
        verifiers: in the order in which they decide.
        recited: texts that are no claims though the draft repeats them, such as options.

    Returns:
        in the order of the draft: those ruled unsupported or unjudged
    """
    claims = by_rules(draft, recited)
    decided = ruled(claims, evidence, verifiers).decided
    pairs = zip(claims, decided, strict=True)
    return [claim for claim, ruling in pairs if ruling.label in ("unsupported", "unjudged")]


def ground(
    draft: str,
    evidence: Sequence[Evidence],
    verifiers: Sequence[Verifier],
    *,
    policy: Mapping[str, Action],
    recited: Sequence[str] = (),
) -> Grounded:
    """Rewrite a draft answer by the rulings on its claims.

    A sentence has the label of its worst claim (ORDER). One that gives the answer itself, or is already
    marked as not verified, is kept whatever its label.

    Args:
        draft: the answer.
        evidence: to verify the claims with.
        verifiers: in the order in which they decide.
        policy: keep, hedge or cut, for the labels contradicted, unsupported and unjudged.
        recited: texts that are no claims, such as options.

    Returns:
        the text with ids of the supporting evidence behind each sentence, its claims with their new spans and
        ids, and the rulings on them

    Raises:
        KeyError: the policy lacks one of the three labels.
    """
    claims = by_rules(draft, recited)
    decided = ruled(claims, evidence, verifiers).decided
    text, new_claims, rulings = "", list[Claim](), list[Ruling]()
    for start, end in sentence_spans(draft):
        rows = [
            (claim, ruling)
            for claim, ruling in zip(claims, decided, strict=True)
            if claim.at is not None and start <= claim.at[0] < end
        ]
        sentence = draft[start:end]
        labels = {ruling.label for _, ruling in rows}
        # label of the sentence: the worst of its claims
        label = next((name for name in ORDER if name in labels), "")
        action = "keep" if label in ("", "supported") else policy[label]
        if ANSWERS.search(sentence) or sentence.startswith(NOT_VERIFIED):
            action = "keep"
        if action == "cut":
            continue
        text += "\n" if text else ""
        text += f"{NOT_VERIFIED} " if action == "hedge" else ""
        for claim, ruling in rows:
            assert claim.at is not None
            # offsets of the draft become offsets of the new text
            at = (len(text) + claim.at[0] - start, len(text) + claim.at[1] - start)
            id = f"c{len(new_claims) + 1}"
            new_claims.append(replace(claim, id=id, at=at, evidence=ruling.evidence))
            rulings.append(replace(ruling, claim=id))
        text += sentence
        cited = list(
            dict.fromkeys(id for _, ruling in rows for id in ruling.evidence if ruling.label == "supported")
        )
        text += "".join(f" [{id}]" for id in cited)
    return Grounded(text, tuple(new_claims), tuple(rulings), tuple(decided))
