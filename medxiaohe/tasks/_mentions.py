"""Abstracts with annotated mentions in PubTator text: which things of a type an abstract names, each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.tasks._common import item, known_split, place, shuffled
from medxiaohe.tasks._names import different, listed
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

EXAMPLE = (
    "Naloxone in hypertension.\nIn rats with heart failure, naloxone and clonidine lowered the blood"
    " pressure."
)


@dataclass(frozen=True, slots=True)
class Abstract:
    """Abstract with its annotated mentions."""

    pmid: str
    text: str
    mentions: tuple[tuple[str, str, str], ...]  # text, type, id as the corpus writes it


@dataclass(frozen=True, slots=True)
class Corpus:
    """Parameters of a task over PubTator files. `folder` is below ${MEDXIAOHE_DATA}."""

    task: str
    folder: str
    files: Mapping[str, str]  # split -> file
    types: tuple[str, ...]
    what: str  # the question names it
    license: str
    fingerprints: Mapping[str, str]
    gold: tuple[str, ...]  # of the example


def task(corpus: Corpus, path: str, tree: Path | None) -> Task:
    """Build the task of a corpus.

    Args:
        corpus: what the task differs in.
        path: folder of the PubTator files; "" for the corpus' folder below ${MEDXIAOHE_DATA}.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        corpus.task,
        partial(samples, corpus, path),
        (listed(tree),),
        question(corpus, Abstract("0", EXAMPLE, ()), corpus.gold, "test"),
        corpus.license,
        prompt="list",
        cluster="article",
        splits=tuple(corpus.files),
        tags=("text", "english", "entities"),
        fingerprints={} if path else corpus.fingerprints,
    )


def samples(corpus: Corpus, path: str, split: str) -> Iterator[Sample]:
    """Build one item for each abstract that names such entities.

    Args:
        corpus: what the task differs in.
        path: as the task takes it.
        split: one that the corpus has.

    Yields:
        Items, in an order that depends only on the PMIDs.

    Raises:
        ConfigError: the corpus has no such split.
        DataError: the file is missing or not in PubTator format.
    """
    known_split(split, tuple(corpus.files))
    file = place(path, corpus.folder) / corpus.files[split]
    for abstract in shuffled(abstracts(file), key=lambda abstract: abstract.pmid):
        if gold := things(abstract, corpus.types):
            yield question(corpus, abstract, gold, split)


def abstracts(file: Path) -> Iterator[Abstract]:
    """Parse a PubTator file; of a PMID that occurs twice the first record counts.

    Args:
        file: blocks of PMID|t|TITLE, PMID|a|ABSTRACT and lines of mentions.

    Yields:
        Abstracts in the order of the file.

    Raises:
        DataError: the file is missing, or a record has no title and abstract.
    """
    seen = set[str]()
    for _, block in io.blocks(file):
        abstract = _abstract(block, file)
        if abstract.pmid not in seen:
            yield abstract
        seen.add(abstract.pmid)


def _abstract(block: Sequence[str], file: Path) -> Abstract:
    heads = [line.split("|", 2) for line in block[:2]]
    if [head[1:2] for head in heads] != [["t"], ["a"]]:
        raise DataError(f"{file}: a record must start with PMID|t| and PMID|a|, not {block[0][:60]!r}")
    cells = [line.split("\t") for line in block[2:]]
    mentions = tuple(
        (row[3], row[4], row[5].strip() if len(row) > 5 else "")
        for row in cells
        if len(row) >= 5 and row[1].isdigit()
    )
    return Abstract(heads[0][0], f"{heads[0][2]}\n{heads[1][2]}", mentions)


def things(abstract: Abstract, types: Sequence[str]) -> list[str]:
    """Name the entities that an abstract mentions, one name for each id: the longest, which is no
    abbreviation.

    Args:
        abstract: an abstract.
        types: of mentions that count.

    Returns:
        Names in the order of their first mention; mentions without an id are left out.
    """
    names: dict[str, list[str]] = {}
    for text, type, id in abstract.mentions:
        if type in types and id not in ("", "-1"):
            names.setdefault(id, []).append(" ".join(text.split()))
    return [max(variants, key=len) for variants in names.values()]


def question(corpus: Corpus, abstract: Abstract, gold: Sequence[str], split: str) -> Sample:
    """Build the item of an abstract.

    Args:
        corpus: what the task differs in.
        abstract: the abstract.
        gold: names of its entities.
        split: of the item.

    Returns:
        An item whose target has one name a line.
    """
    words = "\n".join(different(gold))
    text = (
        f"{abstract.text}\n\nWhich {corpus.what} does this abstract name?"
        " Give each once, as it is written out in the text."
    )
    return item(
        f"{corpus.task}/{abstract.pmid}",
        asked("list", text),
        words,
        license=corpus.license,
        study_id=abstract.pmid,
        split=split,
    )
