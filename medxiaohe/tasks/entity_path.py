"""The questions of entity_kind, answered with a line of reasoning through the tree: mid-training's stand-in
for long reasoning (MedXIAOHE).

An answer says what the entity is a kind of, step by step up the tree, and ends with its kind. The items,
their splits and the scorer are those of entity_kind. A path through an entity that validation or test asks
about is left out: it would say the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.tree.tree import entity_from_json
from medxiaohe.errors import DataError
from medxiaohe.scoring.one_of import one_of
from medxiaohe.tasks import entity_kind
from medxiaohe.types import Entity, Message, Sample, Task

STEPS = 3  # of a path


def entity_path(tree: Path | None = None, data: Path | None = None) -> Task:
    """Kind of a medical term, with a line of reasoning up the tree before the answer.

    Args:
        tree: folder of an entity.build stage.
        data: folder of a data.read stage whose coverage.json orders entities by frequency; None for no such
            order.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "entity_path",
        partial(samples, tree, data),
        (one_of,),
        reasoned(entity_kind.example(), ("vitamin deficiency", "nutritional illness")),
        "that of each vocabulary of the tree",
        prompt="entity_kind",
        cluster="entity",
        tags=("text", "english", "entities", "reasoning"),
    )


def samples(tree: Path | None, data: Path | None, split: str) -> Iterator[Sample]:
    """Build the items of `entity_kind` that have a path which gives nothing away.

    Args:
        tree: as the task takes it.
        data: as the task takes it.
        split: train, validation or test.

    Yields:
        Items in the order of `entity_kind`, the path in the gold answer.

    Raises:
        ConfigError: the task has no such split, or no tree is given.
        DataError: no item of the split has such a path.
    """
    rows = list(entity_kind.samples(tree, data, split))
    assert tree is not None  # entity_kind has refused
    tested = {
        row.entities[0]
        for other_split in {"validation", "test"} - {split}
        for row in entity_kind.samples(tree, data, other_split)
    }
    nodes = {
        entity.id: entity
        for entity in (entity_from_json(row, tree) for row in io.read_jsonl(tree / "entities.jsonl"))
    }
    yielded = False
    for row in rows:
        path = ancestors(row.entities[0], nodes)
        if path and not tested & {entity.id for entity in path}:
            yielded = True
            yield reasoned(row, [entity.name for entity in path])
    if not yielded:
        raise DataError(f"{tree}: no entity of {split} has a path that gives nothing away")


def ancestors(id: str, nodes: Mapping[str, Entity]) -> list[Entity]:
    """Follow the first parent of each entity upwards.

    Args:
        id: of an entity in `nodes`.
        nodes: id -> entity.

    Returns:
        At most `STEPS` ancestors, nearest first, none twice.
    """
    path: list[Entity] = []
    while len(path) < STEPS and (parents := [parent for parent in nodes[id].parents if parent in nodes]):
        id = parents[0]
        if id in {entity.id for entity in path}:
            break
        path.append(nodes[id])
    return path


def reasoned(sample: Sample, path: tuple[str, ...] | list[str]) -> Sample:
    """Put the path before the answer of an item.

    Args:
        sample: an item of `entity_kind`.
        path: names of ancestors, nearest first.

    Returns:
        The item as one of `entity_path`.
    """
    words = f"It is a kind of {', which is a kind of '.join(path)}. Answer: {sample.target}"
    id = f"entity_path/{sample.id.partition('/')[2]}"
    return replace(
        sample, id=id, source="entity_path", messages=(*sample.messages[:-1], Message("assistant", (words,)))
    )
