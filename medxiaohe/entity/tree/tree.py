"""The Medical Entity Tree in memory: entities, their parents and children, and the layer of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

SEVERAL = ("parents", "synonyms", "xrefs", "lay", "abbreviations", "related", "sources")
MAX_VARIANTS = 20  # children: an entity with more leaves than this below it is a group


class Tree:
    """Entities in the order of the file; an entity may have several parents, and no entity is its own
    ancestor."""

    def __init__(self, entities: Iterable[Entity]):
        self.entities: dict[str, Entity] = {}
        for entity in entities:
            if entity.id in self.entities:
                raise DataError(
                    f"entity {entity.id!r} occurs twice in the tree: build it again with entity.build"
                )
            self.entities[entity.id] = entity
        self._children: dict[str, list[str]] = {}
        for entity in self.entities.values():
            for parent in entity.parents:
                if parent not in self.entities:
                    raise DataError(
                        f"entity {entity.id!r} has the unknown parent {parent!r}: build the tree again with"
                        " entity.build"
                    )
                self._children.setdefault(parent, []).append(entity.id)

    @classmethod
    def load(cls, folder: Path) -> Tree:
        """Read the tree that the stage entity.build wrote.

        Args:
            folder: of that stage, with entities.jsonl.

        Raises:
            DataError: the file is missing, a row is not an Entity, an id occurs twice, or a parent is
                unknown.
        """
        path = folder / "entities.jsonl"
        return cls(entity_from_json(row, path) for row in io.read_jsonl(path))

    def __len__(self) -> int:
        return len(self.entities)

    def __contains__(self, id: str) -> bool:
        return id in self.entities

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """The domains: one root per kind.

        Returns:
            ids of the entities without parents, in tree order
        """
        return tuple(entity.id for entity in self.entities.values() if not entity.parents)

    def children(self, id: str) -> tuple[str, ...]:
        """Direct children of an entity.

        Returns:
            ids in tree order; () for a leaf or an unknown id
        """
        return tuple(self._children.get(id, ()))

    def ancestors(self, id: str) -> Iterator[str]:
        """Iterate over the ancestors of an entity breadth-first: parents, then their parents, each once.

        Yields:
            ids, nearest first, without `id` itself

        Raises:
            KeyError: the tree has no such entity.
        """
        seen, queue = {id}, deque(self.entities[id].parents)
        while queue:
            parent = queue.popleft()
            if parent not in seen:
                seen.add(parent)
                yield parent
                queue.extend(self.entities[parent].parents)

    def layer(self, id: str) -> int:
        """1 to 5, by what is above and what is below; never less than that of a parent.

        1  domain: the root of a kind (disease, anatomy, phenotype, chemical)
        2  chapter: right below a domain and nothing else, with entities of its own below
        3  group: deeper, and what is below it is divided again, or is more than MAX_VARIANTS entities
        4  entity: a concept that nothing divides, or only its variants
        5  variant: what an entity is divided into, and nothing below it (a subtype, a numbered form, a side)

        Raises:
            KeyError: the tree has no such entity.
            DataError: the parents of the tree have a cycle.
        """
        if not self.entities[id].parents:
            return 1  # domain
        below = self._heights[id]
        if below == 0:  # a leaf is a variant below an entity, else an entity itself
            return (
                5
                if any(self.entities[p].parents and self.layer(p) == 4 for p in self.entities[id].parents)
                else 4
            )
        if all(not self.entities[parent].parents for parent in self.entities[id].parents):
            return 2
        return 4 if below == 1 and len(self._children[id]) <= MAX_VARIANTS else 3

    def names_of(self, kind: str = "") -> dict[str, tuple[str, ...]]:
        """Index the entities of a kind by their names and synonyms, as written.

        Args:
            kind: of the entities; "" is all kinds.

        Returns:
            name -> ids of the entities that have it, in tree order
        """
        result: dict[str, tuple[str, ...]] = {}
        for entity in self.entities.values():
            if not kind or entity.kind == kind:
                for name in dict.fromkeys((entity.name, *entity.synonyms)):
                    result[name] = (*result.get(name, ()), entity.id)
        return result

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """All names and synonyms of the tree.

        Returns:
            name as written -> ids of the entities that have it, in tree order
        """
        return self.names_of()

    @cached_property
    def _heights(self) -> dict[str, int]:
        """Longest path from each entity down to a leaf, in edges; DataError for a cycle."""
        # Kahn's topological sort from the leaves up: an entity is final once all its children are
        heights: dict[str, int] = {}
        waiting = {id: len(children) for id, children in self._children.items()}
        queue = deque(id for id in self.entities if id not in waiting)
        heights.update(dict.fromkeys(queue, 0))
        while queue:
            id = queue.popleft()
            for parent in self.entities[id].parents:
                # longest path down: 1 + the largest height of a child
                heights[parent] = max(heights.get(parent, 0), heights[id] + 1)
                waiting[parent] -= 1
                if not waiting[parent]:
                    queue.append(parent)
        # a child that is never final is in a cycle or above one
        if lost := next((id for id, children in waiting.items() if children), ""):
            raise DataError(
                f"entity {lost!r} is in or above a cycle of parents: build the tree again with entity.build"
            )
        return heights


def entity_from_json(row: Mapping[str, Any], path: Path) -> Entity:
    """Read an Entity from a JSON row: the inverse of `io.to_json`.

    Args:
        row: fields of the entity; lists become tuples.
        path: of the file, for the error.

    Raises:
        DataError: the row has an unknown field, or lacks one.
    """
    try:
        several = {key: tuple(row[key]) for key in SEVERAL if key in row}
        return Entity(**{**row, **several})
    except TypeError as error:
        raise DataError(f"{path}: not an Entity ({error}): {str(row)[:200]}") from error
