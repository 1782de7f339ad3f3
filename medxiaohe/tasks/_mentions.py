"""Abstracts with annotated mentions in PubTator text: which things of a type an abstract names, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.tasks._common import item, shuffled
from medxiaohe.tasks._names import different
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample


@dataclass(frozen=True, slots=True)
class Abstract:
    pmid: str
    text: str
    mentions: tuple[tuple[str, str, str], ...]  # text, type, id as the corpus writes it


def abstracts(file: Path) -> Iterator[Abstract]:
    """Each PMID once, its first record; the two corpora have one twice."""
    block: list[str] = []
    seen = set[str]()
    for _, line in [*io.lines(file), (0, "")]:
        if line.strip():
            block.append(line)
        elif block:
            one = _abstract(block, file)
            if one.pmid not in seen:
                yield one
            seen.add(one.pmid)
            block = []


def _abstract(block: Sequence[str], file: Path) -> Abstract:
    heads = [line.split("|", 2) for line in block[:2]]
    if [head[1:2] for head in heads] != [["t"], ["a"]]:
        raise DataError(f"{file}: a record must start with PMID|t| and PMID|a|, not {block[0][:60]!r}")
    cells = [line.split("\t") for line in block[2:]]
    mentions = tuple((row[3], row[4], row[5].strip() if len(row) > 5 else "") for row in cells if len(row) >= 5 and row[1].isdigit())
    return Abstract(heads[0][0], f"{heads[0][2]}\n{heads[1][2]}", mentions)


def things(one: Abstract, types: Sequence[str]) -> list[str]:
    """The names of what the abstract mentions, one for each id: the longest, which is no abbreviation."""
    names: dict[str, list[str]] = {}
    for text, type, id in one.mentions:
        if type in types and id not in ("", "-1"):
            names.setdefault(id, []).append(" ".join(text.split()))
    return [max(said, key=len) for said in names.values()]


def questions(task: str, file: Path, what: str, types: Sequence[str], split: str, license: str) -> Iterator[Sample]:
    """One item for each abstract that names such things."""
    for one in shuffled(abstracts(file), key=lambda one: one.pmid):
        if gold := things(one, types):
            yield question(task, one, what, gold, split, license)


def question(task: str, one: Abstract, what: str, gold: Sequence[str], split: str, license: str) -> Sample:
    words = "\n".join(different(gold))
    text = f"{one.text}\n\nWhich {what} does this abstract name? Give each once, as it is written out in the text."
    return item(f"{task}/{one.pmid}", asked("list", text), words, license=license, study_id=one.pmid, split=split)
