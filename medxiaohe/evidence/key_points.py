"""Score a reply by key points of an image or study: plus for each covered, minus for each false statement.

    value = (points covered - false statements) / points, at least 0

After the caption benchmark of MedXIAOHE (arXiv 2602.12705), whose points two physicians verified; its images
and points are not published. A point is covered if the reply, as evidence, supports it; a statement is false
if the record contradicts it, or does not support a finding that it affirms. Verifiers are rules unless
others are passed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe.errors import DataError
from medxiaohe.evidence.claims import by_findings
from medxiaohe.evidence.rule import Verifier, named, ruled
from medxiaohe.scoring._free import no_answer, said
from medxiaohe.types import Claim, Evidence, Message, Sample, Score, Trace

NAME = "key_points"


@dataclass(frozen=True, slots=True)
class Points:
    """Counts of covered points and of false statements of a reply."""

    covered: int
    false: int
    unjudged: int  # statements of the reply that no verifier could judge
    points: int

    @property
    def value(self) -> float:
        """Score of the reply.

        Returns:
            (covered - false) / points, at least 0; 0 without points
        """
        return max(0.0, (self.covered - self.false) / self.points) if self.points else 0.0


def count(
    reply: str, points: Sequence[str], record: str, verifiers: Sequence[Verifier] | None = None
) -> Points:
    """Count the key points that a reply covers and its false statements.

    Args:
        reply: text of a model.
        points: one statement each.
        record: everything documented about the item; statements are verified with it and with the points.
        verifiers: that rule on claims; None: the rules that ask no model.

    Returns:
        the counts
    """
    ask = list(verifiers or named())
    # recall: the reply as evidence for each point
    mine = [Evidence(f"r{n}", item.text, "reply") for n, item in enumerate(by_findings(reply))]
    reply_evidence = [Evidence("reply", reply, "reply"), *mine]
    covered = sum(_holds(point, reply_evidence, ask) for point in points)
    # precision: the record and the points as evidence for each statement of the reply
    claims = by_findings(reply)
    record_evidence = [
        Evidence("record", record, "record"),
        *(Evidence(f"p{n}", p, "record") for n, p in enumerate(points)),
    ]
    rulings = ruled(claims, record_evidence, ask).decided
    false = sum(_is_false(claim, item.label) for claim, item in zip(claims, rulings, strict=True))
    return Points(covered, false, sum(item.label == "unjudged" for item in rulings), len(points))


def _holds(point: str, evidence: Sequence[Evidence], verifiers: Sequence[Verifier]) -> bool:
    claims = by_findings(point)
    return bool(claims) and all(
        ruling.label == "supported" for ruling in ruled(claims, evidence, verifiers).decided
    )


def _is_false(claim: Claim, label: str) -> bool:
    affirmed = claim.finding is not None and claim.finding.status != "absent"
    return label == "contradicted" or (label == "unsupported" and affirmed)


def key_points(sample: Sample, trace: Trace) -> Score:
    """Score a reply by key points; the target is JSON {"points": [...], "record": "..."}.

    Args:
        sample: its target is JSON {points: [...], record: ...}.
        trace: its answer is scored.

    Returns:
        from 0 to 1; `unparsed` or `refused` without an answer

    Raises:
        DataError: the target has another form.
    """
    points, record = _target(sample.target)
    if nothing := no_answer(NAME, trace, " ".join(points)):
        return nothing
    counts = count(said(trace), points, record)
    why = f"{counts.covered} of {counts.points} points, {counts.false} false, {counts.unjudged} unjudged"
    return Score(NAME, counts.value, parsed=why, why=why)


def to_target(points: Sequence[str], record: str) -> str:
    """Serialise key points and record as the target of an item.

    Args:
        points: one statement each.
        record: everything documented about the item.

    Returns:
        JSON of one line
    """
    return json.dumps({"points": list(points), "record": record}, ensure_ascii=False)


def _target(text: str) -> tuple[list[str], str]:
    try:
        row: Any = json.loads(text)
        points = [str(point) for point in row["points"]]
        if not points:
            raise ValueError("no points")
        return points, str(row.get("record", ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f'the target of {NAME} must be JSON {{"points": ["..."], "record": "..."}}, not {text[:80]!r}'
        ) from error


EXAMPLE = Sample(
    "key_points/example",
    (
        Message("user", ("Findings: Small left pleural effusion. Normal heart size. Write the impression.",)),
        Message("assistant", ("Small left pleural effusion.",)),
    ),
    target=to_target(["Small left pleural effusion."], "Small left pleural effusion. Normal heart size."),
)
