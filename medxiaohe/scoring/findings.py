"""A report or a note against a reference, finding by finding, without a model.

    findings            harmonic mean of the two below
    findings.precision  how much of what the reply says is in the reference
    findings.recall     how much of the reference is in the reply
    findings.grounded   1 - share of the reply's sentences with a finding that the reference does not have
                        (hallucination rate)
    findings.sizes      of the findings that both give a size, how many have the same (unjudged without any)
    findings.changes    the same of change over time: new, larger, smaller, stable
    findings.covered    1 - share of the reference's sentences with a finding that the reply does not have
                        (omission rate)

Two findings agree by `agreement`: 0 for another finding, person, denial or side; 1 when all is equal; less
for each difference of detail. They are paired one to one. The reference is the last assistant message, else
the target. What is found in a text is in docs/judges.md; words outside of the lexicon and the tree are not
judged, so this measures facts and not the prose.

With `tree`, the folder of one, its names are found beside those of the lexicon of radiology, as notes of
visits need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medxiaohe.scoring._findings import Finding, Lexicon, lexicon
from medxiaohe.scoring._free import no_answer, reference, said
from medxiaohe.types import Message, Sample, Score, Trace

# for each detail that is another one; that only one of the two gives. Chosen beforehand, not fitted
DIFFERS, OPEN = 0.5, 0.75
LEVELS = ("", "mild", "moderate", "severe")
SAME_MM, SAME_SHARE = 2.0, 0.1  # between two measurements of one thing
SHOWN = 6  # findings in a reason


@dataclass(frozen=True)
class Comparison:
    """Result of `compare`: matched and unmatched findings of two reports.

    `pairs` are (of the reply, of the reference, agreement); the rest of each is unsupported or omitted.
    """

    pairs: tuple[tuple[Finding, Finding, float], ...]
    unsupported: tuple[Finding, ...]
    omitted: tuple[Finding, ...]
    hallucination_rate: float  # of the reply's sentences with findings
    omission_rate: float  # of the reference's

    @property
    def precision(self) -> float:
        """Precision: summed agreement over the number of findings of the reply.

        Returns:
            From 0 to 1; 0 without findings.
        """
        return self._agreed / max(1, len(self.pairs) + len(self.unsupported))

    @property
    def recall(self) -> float:
        """Recall: summed agreement over the number of findings of the reference.

        Returns:
            From 0 to 1; 0 without findings.
        """
        return self._agreed / max(1, len(self.pairs) + len(self.omitted))

    @property
    def f1(self) -> float:
        """F1: harmonic mean of precision and recall.

        Returns:
            From 0 to 1; 0 without findings.
        """
        return 2 * self._agreed / max(1, 2 * len(self.pairs) + len(self.unsupported) + len(self.omitted))

    @property
    def sizes(self) -> tuple[int, int]:
        """Count the pairs with the same size.

        Returns:
            (pairs with the same size, pairs of which both give a size).
        """
        both = [(a.size_mm, b.size_mm) for a, b, _ in self.pairs if a.size_mm and b.size_mm]
        return sum(same_size(a, b) for a, b in both), len(both)

    @property
    def changes(self) -> tuple[int, int]:
        """Count the pairs with the same change over time.

        Returns:
            (pairs with the same change, pairs of which both give a change).
        """
        both = [(a.change, b.change) for a, b, _ in self.pairs if a.change and b.change]
        return sum(a == b for a, b in both), len(both)

    @property
    def contradicted(self) -> tuple[tuple[Finding, Finding], ...]:
        """Match unsupported findings of the reply with omitted findings of the same name: denied, or on the
        other side.

        Returns:
            (finding of the reply, finding of the reference), every combination of the same name.
        """
        return tuple(
            (mine, theirs) for mine in self.unsupported for theirs in self.omitted if mine.name == theirs.name
        )

    @property
    def _agreed(self) -> float:
        return sum(weight for *_, weight in self.pairs)


def compare(reply: str, gold: str, words: Lexicon | None = None) -> Comparison:
    """Pair the findings of two reports one to one, the best agreement first.

    Args:
        reply: the report that is judged.
        gold: the reference.
        words: names of findings; by default those of the radiology lexicon.

    Returns:
        pairs with their agreement, findings of one side only, and the shares of sentences that hold those
    """
    words = words or lexicon()
    mine, theirs = words.findings(reply), words.findings(gold)
    mine_once, theirs_once = merged(mine), merged(theirs)
    # agreement of every pair, matched greedily from the best: one to one
    options = [
        (agreement(a, b, words.parents), i, j)
        for i, a in enumerate(mine_once)
        for j, b in enumerate(theirs_once)
    ]
    pairs: dict[int, tuple[int, float]] = {}
    for weight, i, j in sorted(options, key=lambda option: (-option[0], option[1], option[2])):
        if weight and i not in pairs and j not in {taken for taken, _ in pairs.values()}:
            pairs[i] = (j, weight)
    matched = {j for j, _ in pairs.values()}
    unsupported = tuple(a for i, a in enumerate(mine_once) if i not in pairs)
    omitted = tuple(b for j, b in enumerate(theirs_once) if j not in matched)
    return Comparison(
        tuple((mine_once[i], theirs_once[j], weight) for i, (j, weight) in sorted(pairs.items())),
        unsupported,
        omitted,
        _rate(mine, unsupported),
        _rate(theirs, omitted),
    )


def agreement(a: Finding, b: Finding, parents: dict[str, str]) -> float:
    """Agreement of two findings from 0 to 1, symmetric.

    0: not the same finding and neither the other's parent; another person; there or possible against not
    there; left against right; acute against chronic. DIFFERS for each of: the finding against its parent;
    certain against possible or conditional; one side against both; another degree; other places; another
    change or size, where both give one. OPEN for each of side, degree, place and time that only one of them
    gives.

    Args:
        a: a finding.
        b: a finding of the other report.
        parents: name of a finding -> name of the more general one.

    Returns:
        from 0 (different or contradictory) to 1 (equal)
    """
    # contradictions: another finding, person, assertion, side or time
    if a.name != b.name and parents.get(a.name) != b.name and parents.get(b.name) != a.name:
        return 0.0
    if (a.person == "patient") != (b.person == "patient") or (a.status == "absent") != (b.status == "absent"):
        return 0.0
    if {a.side, b.side} == {"left", "right"} or {a.time, b.time} == {"acute", "chronic"}:
        return 0.0
    # product of one factor for each detail that differs (DIFFERS) or that one side leaves open (OPEN)
    weight = (DIFFERS if a.name != b.name else 1.0) * (DIFFERS if a.status != b.status else 1.0)
    for mine, theirs, same in (
        (a.side, b.side, a.side == b.side),
        (a.degree, b.degree, a.degree == b.degree),
        (a.time, b.time, a.time == b.time),
    ):
        weight *= 1.0 if same else DIFFERS if mine and theirs else OPEN
    if a.places != b.places:
        weight *= 1.0 if a.places & b.places else DIFFERS if a.places and b.places else OPEN
    if a.change and b.change and a.change != b.change:
        weight *= DIFFERS
    if a.size_mm and b.size_mm and not same_size(a.size_mm, b.size_mm):
        weight *= DIFFERS
    return weight


def same_size(a: float, b: float) -> bool:
    """Compare two sizes within the tolerance of readers: 2 mm or 10 %, whichever is larger.

    Args:
        a: millimetres.
        b: millimetres.

    Returns:
        Whether they count as the same.
    """
    return abs(a - b) <= max(SAME_MM, SAME_SHARE * max(a, b))


def merged(findings: Sequence[Finding]) -> list[Finding]:
    """Merge repeated findings by name, status, side, person and time.

    Args:
        findings: of one report, in order.

    Returns:
        Each once, with the highest degree, all places, the first change and the largest size.
    """
    once: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        key = (finding.name, finding.status, finding.side, finding.person, finding.time)
        if key in once:
            old = once[key]
            finding = replace(
                old,
                degree=max(finding.degree, old.degree, key=LEVELS.index),
                places=old.places | finding.places,
                change=old.change or finding.change,
                size_mm=max(filter(None, (old.size_mm, finding.size_mm)), default=None),
            )
        once[key] = finding
    return list(once.values())


def _rate(all_findings: Sequence[Finding], unpaired: Sequence[Finding]) -> float:
    """The share of the sentences with findings in which one of the unpaired is said."""
    # sentences that repeat an unpaired finding count, too: findings were merged before they were paired
    keys = {(finding.name, finding.status, finding.side, finding.person) for finding in unpaired}
    bad = {
        finding.sentence
        for finding in all_findings
        if (finding.name, finding.status, finding.side, finding.person) in keys
    }
    return len(bad) / max(1, len({finding.sentence for finding in all_findings}))


# ---- scorers -----------------------------------------------------------------------------------------

VALUES = {
    "findings": lambda c: c.f1,
    "findings.precision": lambda c: c.precision,
    "findings.recall": lambda c: c.recall,
    "findings.grounded": lambda c: 1 - c.hallucination_rate,
    "findings.covered": lambda c: 1 - c.omission_rate,
}


def findings(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """F1 over the findings of reply and reference.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        from 0 to 1; `unjudged` where the reference has no finding
    """
    return _score("findings", sample, trace, tree)


def precision(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """Precision: agreement over the findings of the reply.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        From 0 to 1; `unjudged` where the reference has no finding
    """
    return _score("findings.precision", sample, trace, tree)


def recall(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """Recall: agreement over the findings of the reference.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        From 0 to 1; `unjudged` where the reference has no finding
    """
    return _score("findings.recall", sample, trace, tree)


def grounded(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """1 - hallucination rate: share of the reply's sentences with a finding that the reference lacks.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        From 0 to 1; `unjudged` where the reference has no finding
    """
    return _score("findings.grounded", sample, trace, tree)


def covered(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """1 - omission rate: share of the reference's sentences with a finding that the reply lacks.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        From 0 to 1; `unjudged` where the reference has no finding
    """
    return _score("findings.covered", sample, trace, tree)


def sizes(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """Share of equal sizes among paired findings with a size on both sides.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        From 0 to 1; `unjudged` where no pair has two sizes
    """
    return _detail("findings.sizes", sample, trace, tree)


def changes(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """Share of equal changes over time among paired findings with a change on both sides.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        From 0 to 1; `unjudged` where no pair has two changes
    """
    return _detail("findings.changes", sample, trace, tree)


def _detail(name: str, sample: Sample, trace: Trace, tree: Path | None) -> Score:
    gold, reply = reference(sample), said(trace)
    if nothing := no_answer(name, trace, gold):
        return nothing
    detail = name.rpartition(".")[2]
    same, both = getattr(compare(reply, gold, lexicon(tree)), detail)
    if not both:
        return Score(
            name, None, "unjudged", why=f"no finding has {detail} in both the reply and the reference"
        )
    return Score(name, same / both, parsed=f"{same} of {both} the same")


def _score(name: str, sample: Sample, trace: Trace, tree: Path | None) -> Score:
    gold, reply = reference(sample), said(trace)
    if nothing := no_answer(name, trace, gold):
        return nothing
    result = compare(reply, gold, lexicon(tree))
    if not result.pairs and not result.omitted:
        return Score(name, None, "unjudged", why="the reference names no finding of the lexicon or the tree")
    if not result.pairs and not result.unsupported:
        return Score(name, 0.0, "unparsed", why=f"no finding in {trace.answer[-120:]!r}")
    lists = {
        "agreed": [a for a, _, _ in result.pairs],
        "unsupported": result.unsupported,
        "omitted": result.omitted,
    }
    why = "; ".join(
        f"{label}: {', '.join(finding.said for finding in listed[:SHOWN])}"
        for label, listed in lists.items()
        if listed
    )
    counted = (
        f"{len(result.pairs)} agreed, {len(result.unsupported)} unsupported, {len(result.omitted)} omitted"
    )
    for label, (same, both) in (("sizes", result.sizes), ("changes", result.changes)):
        counted += f", {label} {same}/{both}" if both else ""
    return Score(name, VALUES[name](result), parsed=counted, why=why)


EXAMPLE = Sample(
    "findings/example",
    (
        Message("user", ("Describe the findings of this chest X-ray.",)),
        Message(
            "assistant", ("There is a small left pleural effusion. No pneumothorax. The heart is enlarged.",)
        ),
    ),
)
