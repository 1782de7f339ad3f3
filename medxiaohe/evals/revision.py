"""Stage `evals.revision`: revise the drafts of an evaluation by the record in their prompts.

It measures what each policy removes from them and what it leaves.

    revised.jsonl   {study, arm, text, measures, cut [{text, why}]}, one row for each report and arm
    revision.json   {reports, labelled, floor, arms {arm: {measure: {n, mean, low, high}}}, changes}
    revision.md     the same for reading

Drafts are the answers of an `evals.run` on a task whose prompt holds the findings of a report and whose gold
is its impression (iu_impression). The revision is that of `medxiaohe describe` (evidence/revision.py), the
measures are those of evals/statistics/report_errors.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import STATEMENT, io, plugins
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evals.statistics.report_errors import (
    MEASURES,
    SENTENCES,
    Change,
    Reference,
    changes,
    errors,
    labels,
)
from medxiaohe.evals.statistics.stats import estimate
from medxiaohe.evidence.gather import Study, gather
from medxiaohe.evidence.revision import ARMS, Revised, revise
from medxiaohe.evidence.rule import Verifier, named
from medxiaohe.progress import track
from medxiaohe.recipe.settings import InputPath

BASE = "draft"  # the arm that the others are compared with
FLOOR = "human impression"
HEAD = ("drafts", "arm", "n", *MEASURES, SENTENCES)
CHANGES = ("drafts", "arm", "measure", "n", "change [95 %]", "share of the draft's [95 %]", "p (Holm)")
Measured = Mapping[str, float]


@dataclass(frozen=True)
class RevisionSettings:
    arms: tuple[str, ...] = tuple(ARMS)  # policies of evidence/revision.py that are compared
    findings: str = r"^Findings: (.+)$"  # where a prompt has what is on record; its first group
    labels: InputPath | None = None  # qa_pairs.jsonl of Rad-ReStruct, a second gold

    def __post_init__(self) -> None:
        for name in self.arms:
            if name not in ARMS:
                raise ConfigError(f"no policy {name!r}{plugins.nearest(name, ARMS)}")
        if BASE not in self.arms or len(set(self.arms)) != len(self.arms):
            raise ConfigError(f"arms must name {BASE!r}, and none twice")
        try:
            groups = re.compile(self.findings, re.MULTILINE).groups
        except re.error as error:
            raise ConfigError(f"findings is no regular expression: {error}") from error
        if groups < 1:
            raise ConfigError("findings needs a group, (...), around what is on record")


def revision(settings: RevisionSettings, out: Path, *, drafts: Path) -> dict[str, Any]:
    """Revise every draft by each policy and measure the errors of the results.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        drafts: folder of an evals.run stage, whose answers are the drafts.

    Returns:
        the summary of the stage: `reports`, `labelled`, and `arms` with the mean share of hallucinated (H)
        and omitted (O) findings by text, each from 0 to 1

    Raises:
        DataError: no draft was written for a prompt that the setting `findings` matches.
    """
    gold = labels(Path(settings.labels)) if settings.labels else {}
    rows = list(_drafts(drafts / "traces.jsonl", settings.findings, gold))
    if not rows:
        raise DataError(f"{drafts}: no draft was written for a prompt that the setting findings matches")
    texts, reports = [text for text, _ in rows], [report for _, report in rows]
    done, measured = [], {}
    for arm in settings.arms:
        revised = list(revisions(arm, texts, reports))
        measured[arm] = [errors(item.text, report) for item, report in zip(revised, reports, strict=True)]
        done += [_row(arm, *each) for each in zip(revised, reports, measured[arm], strict=True)]
    floor = [errors(item.impression, item) for item in reports]
    tested = changes(measured, BASE)
    io.write_jsonl(out / "revised.jsonl", done)
    results = {
        "reports": len(reports),
        "labelled": sum(item.labels is not None for item in reports),
        "floor": estimates(floor),
        "arms": {arm: estimates(each) for arm, each in measured.items()},
        "changes": io.to_json(tested),
    }
    io.write_json(out / "revision.json", results)
    written = [
        f"> {STATEMENT}",
        "\n".join(table([("", FLOOR, floor), *(("model", arm, each) for arm, each in measured.items())])),
        "\n".join(table_of_changes([("model", item) for item in tested])),
    ]
    io.write_text(out / "revision.md", "\n\n".join(written) + "\n")
    means = {
        arm: {key: row[key]["mean"] for key in ("H text", "O text")} for arm, row in results["arms"].items()
    }
    return {"reports": len(reports), "labelled": results["labelled"], "arms": means}


def revisions(
    arm: str, drafts: Sequence[str], reports: Sequence[Reference], verifiers: Sequence[Verifier] | None = None
) -> Iterator[Revised]:
    """Revise each draft by the findings section of its report.

    Args:
        arm: name of a policy of evidence/revision.py.
        drafts: impressions.
        reports: of the same studies in the same order.
        verifiers: in the order in which they decide; None: those that ask no model.

    Yields:
        one revision for each draft, in order

    Raises:
        KeyError: no policy has this name.
    """
    verifiers = named() if verifiers is None else verifiers
    for draft, report in track(list(zip(drafts, reports, strict=True)), arm):
        evidence = gather(Study(texts={"findings": report.findings}))
        yield revise(draft, evidence, verifiers=verifiers, policy=ARMS[arm])


def estimates(rows: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Mean and interval of each measure over the reports that have it.

    Args:
        rows: measures of each report.

    Returns:
        measure -> {n, mean, low, high}
    """
    measured = {}
    for key in (*MEASURES, SENTENCES):
        if values := [row[key] for row in rows if key in row]:
            summary = estimate(values)
            measured[key] = {"n": summary.n, "mean": summary.mean, "low": summary.low, "high": summary.high}
    return measured


def table(rows: Sequence[tuple[str, str, Sequence[Measured]]]) -> Iterator[str]:
    """Markdown table of the measures of each arm.

    Args:
        rows: (name of the drafts, arm, measures of each report).

    Yields:
        lines, the head first
    """
    yield f"| {' | '.join(HEAD)} |"
    yield "|" + "---|" * len(HEAD)
    for name, arm, each in rows:
        measured = estimates(each)
        cells = [_cell(measured.get(key)) for key in MEASURES]
        yield f"| {name} | {arm} | {len(each)} | {' | '.join(cells)} | {measured[SENTENCES]['mean']:.2f} |"


def table_of_changes(rows: Sequence[tuple[str, Change]]) -> Iterator[str]:
    """Markdown table of the changes of each arm.

    Args:
        rows: (name of the drafts, change).

    Yields:
        lines, the head first
    """
    yield f"| {' | '.join(CHANGES)} |"
    yield "|" + "---|" * len(CHANGES)
    for name, item in rows:
        by = item.difference
        share = "-"
        if item.share:
            share = f"{item.share[0]:+.0%} [{item.share[1]:+.0%}, {item.share[2]:+.0%}]"
        change = f"{by.difference:+.3f} [{by.low:+.3f}, {by.high:+.3f}]"
        yield f"| {name} | {item.arm} | {item.measure} | {by.n} | {change} | {share} | {item.p_holm:.4f} |"


def _cell(interval: Mapping[str, float] | None) -> str:
    return f"{interval['mean']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" if interval else "-"


def _drafts(path: Path, findings: str, gold: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, Reference]]:
    """Draft and report of each item that was answered."""
    pattern = re.compile(findings, re.MULTILINE)
    for row in io.read_jsonl(path):
        sample, trace = io.sample_from_json(row["sample"]), io.trace_from_json(row["trace"])
        match = pattern.search("\n".join(message.text for message in sample.prompt.messages))
        if trace.error or match is None:
            continue
        study = sample.study_id or sample.id
        yield trace.answer, Reference(study, match[1], sample.messages[-1].text, gold.get(study))


def _row(arm: str, revised: Revised, report: Reference, measured: Measured) -> dict[str, Any]:
    cut = [{"text": line.text, "why": line.why} for line in revised.cut]
    return {"study": report.id, "arm": arm, "text": revised.text, "measures": dict(measured), "cut": cut}
