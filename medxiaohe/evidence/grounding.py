"""An answer in which every sentence says what it rests on: kept with its evidence, marked, or left out."""

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

ORDER = ("contradicted", "unsupported", "unjudged", "supported")
# the sentence that answers what was asked: without it there would be no answer
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
    """The claims of a draft that no evidence so far supports or contradicts, in order.

    Args:
        draft: the answer so far.
        evidence: what was found.
        verifiers: in the order in which they decide.
        recited: texts that are no claims though the draft repeats them.

    Returns:
        claims to search evidence for
    """
    claims = by_rules(draft, recited)
    decided = ruled(claims, evidence, verifiers).decided
    pairs = zip(claims, decided, strict=True)
    return [claim for claim, one in pairs if one.label in ("unsupported", "unjudged")]


def ground(
    draft: str,
    evidence: Sequence[Evidence],
    verifiers: Sequence[Verifier],
    *,
    policy: Mapping[str, Action],
    recited: Sequence[str] = (),
) -> Grounded:
    """Write an answer of a draft again by what evidence says of its claims.

    Args:
        policy: keep, hedge or cut, for the labels contradicted, unsupported and unjudged.
        recited: texts that are no claims, such as options.
    """
    claims = by_rules(draft, recited)
    decided = ruled(claims, evidence, verifiers).decided
    text, kept, rulings = "", list[Claim](), list[Ruling]()
    for start, end in sentence_spans(draft):
        rows = [
            (claim, ruling)
            for claim, ruling in zip(claims, decided, strict=True)
            if claim.at is not None and start <= claim.at[0] < end
        ]
        sentence = draft[start:end]
        labels = {ruling.label for _, ruling in rows}
        label = next((one for one in ORDER if one in labels), "")
        action = "keep" if label in ("", "supported") else policy[label]
        if ANSWERS.search(sentence) or sentence.startswith(NOT_VERIFIED):
            action = "keep"
        if action == "cut":
            continue
        text += "\n" if text else ""
        text += f"{NOT_VERIFIED} " if action == "hedge" else ""
        for claim, ruling in rows:
            assert claim.at is not None
            at = (len(text) + claim.at[0] - start, len(text) + claim.at[1] - start)
            id = f"c{len(kept) + 1}"
            kept.append(replace(claim, id=id, at=at, evidence=ruling.evidence))
            rulings.append(replace(ruling, claim=id))
        text += sentence
        cited = list(
            dict.fromkeys(id for _, ruling in rows for id in ruling.evidence if ruling.label == "supported")
        )
        text += "".join(f" [{id}]" for id in cited)
    return Grounded(text, tuple(kept), tuple(rulings), tuple(decided))
