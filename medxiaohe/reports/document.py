"""Read a report out of a trace, for every format, so that formats cannot differ in content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe import STATEMENT, io
from medxiaohe.errors import DataError
from medxiaohe.evidence.assembly import GIVEN
from medxiaohe.types import Claim, Evidence, Finding, ImageRef, Ruling, Trace

FORMAT = "medxiaohe/report/1"
WORKFLOW = "report"
NOTE = "decisions"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Sentence of a section, with its claims' ruling and evidence."""

    text: str
    action: str  # keep, hedge, cut, replace, add
    label: str  # the ruling on it
    findings: tuple[Finding, ...]
    evidence: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Document:
    """A report: `text` is all of it; `claims` have offsets in it, with one ruling each in `rulings`."""

    study: str
    given: Mapping[str, str]  # Indication, Comparison, Technique
    findings: tuple[Sentence, ...]
    impression: tuple[Sentence, ...]
    cut: tuple[Sentence, ...]
    text: str
    claims: tuple[Claim, ...]
    rulings: tuple[Ruling, ...]
    evidence: tuple[Evidence, ...]
    images: tuple[ImageRef, ...]
    limits: str
    model: str

    @property
    def verified(self) -> int:
        """Number of claims that are supported.

        Returns:
            rulings with the label `supported`.
        """
        return sum(ruling.label == "supported" for ruling in self.rulings)

    def ruling_of(self, claim: Claim) -> Ruling:
        """Look up the ruling on a claim.

        Args:
            claim: of the report.

        Returns:
            its ruling
        """
        return next(ruling for ruling in self.rulings if ruling.claim == claim.id)


def of_trace(trace: Trace) -> Document:
    """Read the report out of a trace of the workflow `report`.

    Args:
        trace: a finished trace.

    Returns:
        the report.

    Raises:
        DataError: the trace is of another workflow, or ended before there was a report.
    """
    if trace.origin.get("workflow", WORKFLOW) != WORKFLOW:
        raise DataError(f"the trace is of the workflow {trace.origin['workflow']}: it has no report")
    if trace.error:
        raise DataError(f"there is no report: {trace.error}")
    notes = [step for step in trace.steps if step.kind == "note" and step.who == NOTE]
    if not notes:
        raise DataError("the trace has no decisions, so there is no report in it")
    rows: dict[str, list[Sentence]] = {"findings": [], "impression": [], "cut": []}
    for row in notes[-1].given or ():
        rows[row["section"]].append(_sentence(row))
    model = next((step.model for step in trace.steps if step.kind == "ask"), "")
    return Document(
        trace.prompt.id,
        {
            name: " ".join(str(trace.prompt.facts.get(name.lower(), "")).split()) or GIVEN[name]
            for name in GIVEN
        },
        tuple(rows["findings"]),
        tuple(rows["impression"]),
        tuple(rows["cut"]),
        trace.answer,
        trace.claims,
        trace.rulings,
        trace.evidence,
        tuple(image for message in trace.prompt.messages for image in message.images),
        trace.answer.rpartition("Limits: ")[2],
        model,
    )


def to_json(report: Document) -> dict[str, Any]:
    """Convert a report to JSON: sections with their sentences, claims, rulings and evidence.

    Args:
        report: the report, read by `of_trace`.

    Returns:
        JSON of the format `FORMAT`
    """
    sections = {"Findings": report.findings, "Impression": report.impression}
    return {
        "format": FORMAT,
        "statement": STATEMENT,
        "study": report.study,
        "model": report.model,
        "given": dict(report.given),
        "sections": {name: [_row(item) for item in rows] for name, rows in sections.items()},
        "limits": report.limits,
        "cut": [_row(item) for item in report.cut],
        "text": report.text,
        "verified": report.verified,
        "claims": io.to_json(list(report.claims)),
        "rulings": io.to_json(list(report.rulings)),
        "evidence": [_evidence(item) for item in report.evidence],
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    """Evidence without file names, which may name a patient."""
    row: dict[str, Any] = io.to_json(evidence)
    for image in row.get("images", ()):
        image["uri"] = f"sha256:{image['sha256']}" if image.get("sha256") else ""
    return row


def _row(sentence: Sentence) -> dict[str, Any]:
    return {
        "text": sentence.text,
        "action": sentence.action,
        "label": sentence.label,
        "findings": io.to_json(list(sentence.findings)),
        "evidence": list(sentence.evidence),
        "why": sentence.why,
    }


def _sentence(row: Mapping[str, Any]) -> Sentence:
    findings: Sequence[Mapping[str, Any]] = row.get("findings", ())
    return Sentence(
        row["text"],
        row["action"],
        row["label"],
        tuple(Finding(**finding) for finding in findings),
        tuple(row.get("evidence", ())),
        row.get("why", ""),
    )
