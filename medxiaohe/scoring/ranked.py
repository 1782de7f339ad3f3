"""A ranked differential: is the gold among its first k? Names compare by the tree, as in `entity`.

Only the first k entries count, so a longer list earns nothing. An entry that names two things takes its place
and matches nothing. The list is numbered lines, lines, JSON, or one line with semicolons or numbers.
"""

import json
import re
from pathlib import Path

from medxiaohe.errors import ConfigError
from medxiaohe.scoring._answer import final, refuses
from medxiaohe.scoring._equivalence import Names, tree_names
from medxiaohe.scoring._text import ALTERNATIVE, LEAD, UNKNOWN, golds, missing
from medxiaohe.scoring.entity import name, several
from medxiaohe.types import Message, Sample, Score, Trace

NUMBERED = re.compile(
    r"(?:^|\n|(?<=[.;,:)])\s|^answer:\s*)\s*(?:#|rank\s*)?(\d{1,2})[.):、]\s*(?=\S)", re.IGNORECASE
)
CODE = re.compile(r"\s*[(\[]?\b(?:OMIM|ORPHA|MONDO|MIM|ICD-?10?)\b[:# ]*[\w.]+[)\]]?", re.IGNORECASE)
LONGEST = 20  # words of an entry that has no number or bullet


def ranked(sample: Sample, trace: Trace, *, tree: Path | str | None = None, k: int = 1) -> Score:
    """Recall at k of a ranked list: 1 where the target is among the first `k`. The score is called
    "recall@k".

    Args:
        sample: its target is one accepted name a line.
        trace: its answer is a ranked list.
        tree: folder of a built tree, whose synonyms count as the same name; None: names alone.
        k: entries that count.

    Returns:
        1 or 0; `unparsed` without a list
    """
    return judged(sample, trace, _names(tree), k)


def mrr(sample: Sample, trace: Trace, *, tree: Path | str | None = None, k: int = 10) -> Score:
    """Reciprocal rank: 1 / rank of the target, 0 where it is not among the first `k`; its mean is MRR.

    Args:
        sample: its target is one accepted name a line.
        trace: its answer is a ranked list.
        tree: folder of a built tree, whose synonyms count as the same name; None: names alone.
        k: entries that count.

    Returns:
        1 / rank, or 0; `unparsed` without a list
    """
    entries, names = parse(trace.answer), _names(tree)
    if not entries:
        return missing("mrr", trace, "no list of names")
    rank = place_of(entries, golds(sample), names)
    value = 1 / rank if rank and rank <= k else 0.0
    return Score(
        "mrr",
        value,
        parsed="; ".join(entries[:k]),
        why=f"{sample.target!r} is at place {rank or 'none'} of {len(entries)}",
    )


def judged(sample: Sample, trace: Trace, names: Names, k: int) -> Score:
    """Score recall at k with names that are loaded already.

    Args:
        sample: its target is one accepted name a line.
        trace: its answer is scored.
        names: decides whether two names mean the same.
        k: number of entries that count.

    Returns:
        1 where an accepted name is among the first k, else 0; `unparsed` without a list
    """
    entries = parse(trace.answer)
    if not entries:
        return missing(f"recall@{k}", trace, "no list of names")
    rank = place_of(entries, golds(sample), names)
    why = f"{sample.target!r} is at place {rank or 'none'} of {len(entries)}"
    return Score(f"recall@{k}", float(0 < rank <= k), parsed="; ".join(entries[:k]), why=why)


def place_of(entries: list[str], accepted: tuple[str, ...], names: Names) -> int:
    """Find the rank, from 1, of the first entry that is one of the accepted names.

    Args:
        entries: the ranked list.
        accepted: names that are right.
        names: decides whether two names mean the same.

    Returns:
        the rank, or 0
    """
    for rank, entry in enumerate(entries, 1):
        if any(names.same(entry, gold) for gold in accepted):
            return rank
        clear = not several(entry, names) and not ALTERNATIVE.search(entry)
        if clear and any(names.same(name(entry), gold) for gold in accepted):
            return rank
    return 0


def parse(answer: str) -> list[str]:
    """Parse a ranked list, each entry without its number, codes and reason.

    Args:
        answer: text of a reply, its thinking included.

    Returns:
        names by rank
    """
    text = final(answer)
    raw = _json(text) or _numbered(text) or _lines(text)
    bare = (LEAD.sub("", CODE.sub("", item).split("\n")[0]) for item in raw)
    entries = [entry for item in bare if (entry := name(item))]
    if len(entries) == 1 and (refuses(text) or UNKNOWN.fullmatch(entries[0])):
        return []
    return entries


def _json(text: str) -> list[str]:
    match = re.search(r"\[.*\]", text, re.DOTALL)
    try:
        rows = json.loads(match[0]) if match else []
    except (ValueError, RecursionError):
        return []
    keys = ("name", "diagnosis", "disease", "label")
    named = [
        next((row[key] for key in keys if key in row), None) if isinstance(row, dict) else row for row in rows
    ]
    texts = [item for item in named if isinstance(item, str)]
    return texts if len(texts) == len(named) else []


def _numbered(text: str) -> list[str]:
    marks = list(NUMBERED.finditer(text))
    if not marks or [int(mark[1]) for mark in marks] != list(range(1, len(marks) + 1)):
        return []  # it counts otherwise than 1, 2, 3
    return [
        text[mark.end() : after].strip()
        for mark, after in zip(marks, [*(m.start() for m in marks[1:]), len(text)], strict=True)
    ]


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().endswith(":")]
    if len(lines) == 1:
        lines = [piece for piece in re.split(r"[;；]|(?:\s>\s)", lines[0]) if piece.strip()]
    counted = [re.match(r"(\d{1,2})\s+(?=[^\W\d])", line) for line in lines]
    if len(lines) > 1 and [mark and int(mark[1]) for mark in counted] == list(range(1, len(lines) + 1)):
        lines = [line[mark.end() :] for line, mark in zip(lines, counted, strict=True) if mark]
    return lines if all(len(line.split()) <= LONGEST or line[0] in "-•" for line in lines) else []


def _names(tree: Path | str | None) -> Names:
    if tree is None:
        raise ConfigError(
            "the scorer ranked compares names by a tree: give it tree=FOLDER of an entity.build stage"
        )
    return tree_names(Path(tree))


EXAMPLE = Sample(
    "ranked/example",
    (
        Message(
            "user",
            (
                (
                    "Tall stature, ectopia lentis, aortic root dilatation. List the five most likely"
                    " diseases, one a line."
                ),
            ),
        ),
        Message("assistant", ("1. Marfan syndrome\n2. Loeys-Dietz syndrome",)),
    ),
    target="Marfan syndrome",
)
