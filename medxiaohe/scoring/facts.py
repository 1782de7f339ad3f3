"""A note against a reference by what both name: findings (denied or not), numbers, and the other words of
content.

    facts            F2 of the two below: what is left out counts more than what is added
    facts.recall     share of the reference's units that the reply has
    facts.precision  share of the reply's units that the reference has

A unit is a finding of the lexicon or the tree with whether it is denied, a number, or the stem of a word that
is in no finding. Between `findings`, which sees nothing but findings, and `rouge_l`, which sees no denial.
That recall counts for more was chosen on one half of the human judgements of MTS-Dialog;
docs/results/report_metrics.md has the other half.
"""

from pathlib import Path

from medxiaohe.scoring._findings import lexicon, prepared
from medxiaohe.scoring._free import no_answer, reference, said
from medxiaohe.scoring._words import NUMBER, WORD, content, stem
from medxiaohe.types import Message, Sample, Score, Trace

BETA = 2.0  # of F-beta: recall weighs BETA**2 = 4 times as much as precision
Unit = tuple[str, str, bool]


def facts(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """F2 over findings, numbers and content words of reply and reference.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        from 0 to 1
    """
    return _score("facts", sample, trace, tree)


def recall(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """Recall: share of the reference's findings, numbers and content words that the reply has.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        from 0 to 1
    """
    return _score("facts.recall", sample, trace, tree)


def precision(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """Precision: share of the reply's findings, numbers and content words that the reference has.

    Args:
        sample: its last assistant message, else its target, is the reference.
        trace: its answer is scored.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        from 0 to 1
    """
    return _score("facts.precision", sample, trace, tree)


def units(text: str, tree: Path | None = None) -> set[Unit]:
    """Extract the units that are compared: findings with their assertion, stems of other content words,
    numbers.

    Args:
        text: a report or note.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        (kind, name, denied) of each unit
    """
    text = prepared(text)
    findings = lexicon(tree).findings(text)
    # words within the names of findings are counted as findings only
    named = {stem(word) for finding in findings for word in WORD.findall(finding.surface)}
    others = {stem(mark.group()) for mark in content(text)} - named
    numbers = {match[1].replace(",", ".") for match in NUMBER.finditer(text)}
    return (
        {("finding", f.name, f.status == "absent") for f in findings}
        | {("word", w, False) for w in others}
        | {("number", n, False) for n in numbers}
    )


def measure(reply: str, gold: str, tree: Path | None = None) -> tuple[float, float, float]:
    """Compute F2, recall and precision; 0 where a side has no units.

    Args:
        reply: what is scored.
        gold: the reference.
        tree: folder of a built tree, whose names are findings too.

    Returns:
        F2 (recall counts four times as much as precision), recall, precision
    """
    mine, theirs = units(reply, tree), units(gold, tree)
    common = len(mine & theirs)
    if not common:
        return 0.0, 0.0, 0.0
    # F_beta = (1 + beta**2) TP / (beta**2 * gold + predicted)
    return (
        (1 + BETA**2) * common / (BETA**2 * len(theirs) + len(mine)),
        common / len(theirs),
        common / len(mine),
    )


def _score(name: str, sample: Sample, trace: Trace, tree: Path | None) -> Score:
    gold, reply = reference(sample), said(trace)
    if nothing := no_answer(name, trace, gold):
        return nothing
    if not units(gold, tree):
        return Score(name, None, "unjudged", why="the reference names nothing that can be compared")
    f2, recalled, precise = measure(reply, gold, tree)
    value = {"facts": f2, "facts.recall": recalled, "facts.precision": precise}[name]
    return Score(
        name,
        value,
        parsed=f"recall {recalled:.3f}, precision {precise:.3f}",
        why="findings, numbers and words in common",
    )


EXAMPLE = Sample(
    "facts/example",
    (
        Message("user", ("Write the history of this visit.",)),
        Message("assistant", ("Low back pain for eight years, no fever. Ibuprofen 400 mg.",)),
    ),
)
