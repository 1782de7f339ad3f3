"""What kind of thing a medical name stands for, asked of the entities of the tree.

A name is asked only when it means one kind and does not say which ("heart disease" is out). Entities that
share any name or synonym, in letters and digits, are in the same split, so no name of a test entity is seen
in training. Where a corpus is named, frequent, middling and rare entities take turns, so that a limited exam
has some of each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.tree.frequency import buckets
from medxiaohe.entity.tree.tree import entity_from_json
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.scoring.one_of import one_of
from medxiaohe.tasks._common import alternating, components, hash_split, item, known_split, shuffled
from medxiaohe.types import Entity, Sample, Task

KINDS = ("disease", "anatomy", "phenotype", "chemical")
GIVES_AWAY = re.compile(
    r"\b(?:diseases?|disorders?|syndromes?|anatomy|anatomical|structures?|organs?|phenotypes?|abnormal\w*|chemicals?|compounds?|entity)\b"
)
# no digits, brackets or commas: those are mostly chemicals
READABLE = re.compile(r"[A-Za-z][A-Za-z' -]{3,39}")


def entity_kind(tree: Path | None = None, data: Path | None = None) -> Task:
    """Kind of a medical term (disease, anatomy, phenotype, chemical), asked of the entities of a tree.

    Args:
        tree: folder of an entity.build stage.
        data: folder of a data.read stage whose coverage.json orders entities by frequency; None for no such
            order.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "entity_kind",
        partial(samples, tree, data),
        (one_of,),
        example(),
        "that of each vocabulary of the tree",
        prompt="entity_kind",  # the words of one_of, in one line
        cluster="entity",
        tags=("text", "english", "entities"),
    )


def samples(tree: Path | None, data: Path | None, split: str) -> Iterator[Sample]:
    """Build the items of a split from the tree.

    Args:
        tree: as the task takes it.
        data: as the task takes it.
        split: train, validation or test.

    Yields:
        As many items of each kind, in rounds; frequent, middling and rare entities take turns where `data` is
        given.

    Raises:
        ConfigError: the task has no such split, or no tree is given.
        DataError: fewer than two kinds have usable names in the split.
    """
    known_split(split)
    if tree is None:
        raise ConfigError("the task entity_kind asks about a tree: name it in the stage's `needs:` as `tree`")
    groups: dict[str, list[Entity]] = {kind: [] for kind in KINDS}
    with (tree / "entities.jsonl").open("rb") as file:  # opened each time: what a task reads is noted
        state = os.fstat(file.fileno())
    for entity, of_split in _usable(tree, state.st_mtime_ns, state.st_size):
        if of_split == split:
            groups[entity.kind].append(entity)
    present = [kind for kind in KINDS if groups[kind]]
    if len(present) < 2:
        raise DataError(
            f"{tree}: entity_kind needs usable names of at least two of {', '.join(KINDS)} in {split}, found"
            f" {present}"
        )
    bucket = buckets(io.read_json(data / "coverage.json")) if data else {}
    ordered = (
        alternating(groups[kind], key=lambda e: e.id, label=lambda e: _seen(bucket, e)) for kind in present
    )
    for row in zip(*ordered, strict=False):  # one of each kind a round, until one kind has run out
        yield from (_question(entity, present, split) for entity in shuffled(row, key=lambda e: e.id))


@lru_cache(maxsize=1)  # a recipe asks a dozen times: for digests, to decontaminate, for each evaluation
def _usable(tree: Path, time: int, size: int) -> list[tuple[Entity, str]]:
    """Entities whose name is asked, each with its split.

    Args:
        tree: folder of an entity.build stage.
        time: when its entities.jsonl was written, in nanoseconds.
        size: of that file, in bytes; both tell a tree that was built anew.
    """
    entities = [entity_from_json(row, tree) for row in io.read_jsonl(tree / "entities.jsonl")]
    names = [_names(entity) for entity in entities]
    # entities that share a name are one unit of the split
    family = components([sorted(each) for each in names])
    kinds_of: dict[str, set[str]] = {}
    for entity, each in zip(entities, names, strict=True):
        for name in each:
            kinds_of.setdefault(name, set()).add(entity.kind)
    result, seen = list[tuple[Entity, str]](), set[str]()
    for entity in entities:
        key = normal(entity.name)
        if (
            entity.kind not in KINDS
            or not entity.parents
            or key in seen
            or len(kinds_of[key]) > 1
            or not _fit(entity.name)
        ):
            continue
        seen.add(key)
        result.append((entity, hash_split("entity_kind", family[key])))
    return result


def _seen(bucket: Mapping[str, str], entity: Entity) -> str:
    label = bucket.get(entity.id, "tail")
    return "tail" if label == "unseen" else label


def _question(entity: Entity, kinds: list[str], split: str) -> Sample:
    offered = sorted(kinds, key=lambda kind: io.unit_interval("options", entity.id, kind))
    return item(
        # the id of an entity would tell its vocabulary, and so its kind
        f"entity_kind/{io.fingerprint(entity.id)}",
        f"What kind of medical term is '{_plain_case(entity.name)}'? Answer with one of:"
        f" {', '.join(offered)}.",
        entity.kind,
        choices=tuple(offered),
        entities=(entity.id,),
        license=entity.license,
        study_id=entity.id,
        split=split,
    )


def _plain_case(name: str) -> str:
    """Without a capital in front, which only some vocabularies write: it would tell the kind. Acronyms keep
    theirs."""
    return name[0].lower() + name[1:] if name[1:2].islower() or not name[1:2].isalpha() else name


def _fit(name: str) -> bool:
    return bool(READABLE.fullmatch(name)) and not GIVES_AWAY.search(name.lower())


def _names(entity: Entity) -> set[str]:
    return {name for name in map(normal, (entity.name, *entity.synonyms)) if name}


def normal(name: str) -> str:
    """Normalise a name: letters and digits, lower case, no plural s: "Wilson's diseases" is "wilson disease".

    Args:
        name: as written.

    Returns:
        Words joined by single spaces.
    """
    folded = name.casefold()
    words = re.findall(r"[^\W_]+", re.sub(r"'s\b", "", folded) if "'" in folded else folded)
    return " ".join(
        word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
        for word in words
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    entity = Entity("EX:1", "scurvy", "disease", parents=("EX:0",), license="CC0-1.0")
    return _question(entity, list(KINDS), "test")
