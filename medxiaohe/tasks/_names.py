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
    return tree_names(tree) if tree else Names()


def named(tree: Path | None) -> Scorer:
    """One name: `scoring.entity`."""

    def named(sample: Sample, trace: Trace) -> Score:
        return entity.judged(sample, trace, known(tree))

    return named


def among(tree: Path | None, k: int) -> Scorer:
    """The name among the first k of a list: `scoring.ranked`."""

    def among(sample: Sample, trace: Trace) -> Score:
        names, entries = known(tree), ranked.parse(trace.answer)
        if len(entries) <= 1 and _open(final(trace.answer).strip()):
            one = "".join(entries)  # a name may say "or" itself: "... with poor or absent speech"
            if not names.known(one) and not any(_same(one, gold, names) for gold in golds(sample)):
                return missing(f"recall@{k}", trace, "one name or another")
        return ranked.judged(sample, trace, names, k)

    among.__name__ = f"among_{k}"
    return among


def listed(tree: Path | None) -> Scorer:
    """All the names, one a line: harmonic mean of precision and recall over different things."""

    def listed(sample: Sample, trace: Trace) -> Score:
        names, gold = known(tree), golds(sample)
        lines = parse(trace.answer, gold)
        if len(lines) == 1 and not any(_same(lines[0], item, names) for item in gold):
            lines = [
                part.strip()
                for part in re.split(r"[;；]" if re.search("[;；]", lines[0]) else r"[,，、]", lines[0])
                if part.strip()
            ]
        if not lines:
            return missing("listed", trace, "no list of names")
        found = _apart(lines, names)
        hits = sum(any(_same(item, other, names) for other in found) for item in gold)
        return Score(
            "listed",
            2 * hits / (len(found) + len(gold)),
            parsed="; ".join(found),
            why=f"{hits} of {len(gold)} in {len(found)} named",
        )

    return listed


def parse(answer: str, accepted: Sequence[str] = ()) -> list[str]:
    """The lines of a list without bullets and numbers; a line that leaves open which of two is meant is no
    name."""
    text = final(answer)
    if refuses(text):
        return []
    lines = [
        BULLET.sub("", line).strip(" .,;") for line in text.splitlines() if not line.rstrip().endswith(":")
    ]
    said = {plain(item) for item in accepted}
    return [
        line
        for line in lines
        if line and (plain(line) in said or not (UNKNOWN.fullmatch(line) or _open(line)))
    ]


def _open(line: str) -> bool:
    """Whether a short line names one thing or another."""
    return bool(ALTERNATIVE.search(line)) and len(line.split()) <= SHORT


def _same(one: str, other: str, names: Names) -> bool:
    return plain(one) == plain(other) or bool(names.same(one, other))


def _apart(said: Sequence[str], names: Names) -> list[str]:
    """Each thing once, by its first name."""
    results: list[str] = []
    for item in said:
        if not any(_same(item, result, names) for result in results):
            results.append(item)
    return results


def different(names: Sequence[str]) -> list[str]:
    """The names without those that are spelt like an earlier one."""
    return _apart(names, Names())
