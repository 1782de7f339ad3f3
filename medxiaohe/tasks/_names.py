"""Scorers of names: with a tree its synonyms count, without one the spelling decides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from medxiaohe.scoring import entity, ranked
from medxiaohe.scoring._answer import final, refuses
from medxiaohe.scoring._equivalence import Names, tree_names
from medxiaohe.scoring._text import ALTERNATIVE, SHORT, UNKNOWN, golds, missing, plain
from medxiaohe.types import Sample, Score, Scorer, Trace

BULLET = re.compile(r"^\s*(?:[-•*]|\d{1,3}[.):])\s+|^answer:\s*")


def known(tree: Path | None) -> Names:
    """Load the names of a tree.

    Args:
        tree: folder of a built tree; None compares names by spelling.

    Returns:
        The index that compares names.
    """
    return tree_names(tree) if tree else Names()


def named(tree: Path | None) -> Scorer:
    """Build the scorer of one name (`scoring.entity`).

    Args:
        tree: folder of a built tree; None compares names by spelling.

    Returns:
        A scorer: 1 where the answer names the target.
    """

    def named(sample: Sample, trace: Trace) -> Score:
        return entity.judged(sample, trace, known(tree))

    return named


def among(tree: Path | None, k: int) -> Scorer:
    """Build the scorer of recall at k in a ranked list (`scoring.ranked`).

    Args:
        tree: folder of a built tree; None compares names by spelling.
        k: number of entries that count.

    Returns:
        A scorer: 1 where the target is among the first k; "A or B" as the only entry is unparsed.
    """

    def among(sample: Sample, trace: Trace) -> Score:
        names, entries = known(tree), ranked.parse(trace.answer)
        if len(entries) <= 1 and _open(final(trace.answer).strip()):
            entry = "".join(entries)  # a name may say "or" itself: "... with poor or absent speech"
            if not names.known(entry) and not any(_same(entry, gold, names) for gold in golds(sample)):
                return missing(f"recall@{k}", trace, "one name or another")
        return ranked.judged(sample, trace, names, k)

    among.__name__ = f"among_{k}"
    return among


def listed(tree: Path | None) -> Scorer:
    """Build the scorer of a list of names, as F1 over different entities.

    Args:
        tree: folder of a built tree; None compares names by spelling.

    Returns:
        A scorer from 0 to 1; `unparsed` without a list.
    """

    def listed(sample: Sample, trace: Trace) -> Score:
        names, gold = known(tree), golds(sample)
        lines = parse(trace.answer, gold)
        if len(lines) == 1 and not any(_same(lines[0], item, names) for item in gold):
            lines = [
                piece.strip()
                for piece in re.split(r"[;；]" if re.search("[;；]", lines[0]) else r"[,，、]", lines[0])
                if piece.strip()
            ]
        if not lines:
            return missing("listed", trace, "no list of names")
        # F1 = 2 TP / (named + gold), over entities and not over lines
        distinct = _apart(lines, names)
        hits = sum(any(_same(item, entry, names) for entry in distinct) for item in gold)
        return Score(
            "listed",
            2 * hits / (len(distinct) + len(gold)),
            parsed="; ".join(distinct),
            why=f"{hits} of {len(gold)} in {len(distinct)} named",
        )

    return listed


def parse(answer: str, accepted: Sequence[str] = ()) -> list[str]:
    """Parse a list of names, one a line; lines that leave open which of two is meant are dropped.

    Args:
        answer: text of a reply, its thinking included.
        accepted: gold names, which may hold "or" themselves.

    Returns:
        Lines without bullets and numbers; [] for a refusal.
    """
    text = final(answer)
    if refuses(text):
        return []
    lines = [
        BULLET.sub("", line).strip(" .,;") for line in text.splitlines() if not line.rstrip().endswith(":")
    ]
    accepted_words = {plain(item) for item in accepted}
    return [
        line
        for line in lines
        if line and (plain(line) in accepted_words or not (UNKNOWN.fullmatch(line) or _open(line)))
    ]


def _open(line: str) -> bool:
    """Whether a short line names one thing or another."""
    return bool(ALTERNATIVE.search(line)) and len(line.split()) <= SHORT


def _same(first: str, second: str, names: Names) -> bool:
    return plain(first) == plain(second) or bool(names.same(first, second))


def _apart(entries: Sequence[str], names: Names) -> list[str]:
    """Each thing once, by its first name."""
    results: list[str] = []
    for item in entries:
        if not any(_same(item, result, names) for result in results):
            results.append(item)
    return results


def different(names: Sequence[str]) -> list[str]:
    """Drop names that are spelling variants of an earlier one.

    Args:
        names: in order.

    Returns:
        The first of each spelling.
    """
    return _apart(names, Names())
