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

NUM_LAYERS = 5


class Tree:
    """Entities in the order of the file; an entity may have several parents, and no entity is its own ancestor."""

    def __init__(self, entities: Iterable[Entity]):
        self.entities: dict[str, Entity] = {}
        for entity in entities:
            if entity.id in self.entities:
                raise DataError(f"entity {entity.id!r} occurs twice in the tree: build it again with entity.build")
            self.entities[entity.id] = entity
        self._children: dict[str, list[str]] = {}
        for entity in self.entities.values():
            for parent in entity.parents:
                if parent not in self.entities:
                    raise DataError(f"entity {entity.id!r} has the unknown parent {parent!r}: build the tree again with entity.build")
                self._children.setdefault(parent, []).append(entity.id)

    @classmethod
    def load(cls, folder: Path) -> Tree:
        """The tree that the stage entity.build left in `folder`."""
        path = folder / "entities.jsonl"
        return cls(entity_from_json(row, path) for row in io.read_jsonl(path))

    def __len__(self) -> int:
        return len(self.entities)

    def __contains__(self, id: str) -> bool:
        return id in self.entities

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """The domains: one root per kind."""
        return tuple(entity.id for entity in self.entities.values() if not entity.parents)

    def children(self, id: str) -> tuple[str, ...]:
        return tuple(self._children.get(id, ()))

    def ancestors(self, id: str) -> Iterator[str]:
        """Parents, then their parents and so on, each once, nearest first."""
        seen, queue = {id}, deque(self.entities[id].parents)
        while queue:
            parent = queue.popleft()
            if parent not in seen:
                seen.add(parent)
                yield parent
                queue.extend(self.entities[parent].parents)

    def layer(self, id: str) -> int:
        """1 to 5, by the shortest way from a root, the same cut in every domain.

        1  the domain itself: disease, anatomy, phenotype, chemical
        2  its first division: infectious disease, organ system
        3, 4  the groups below that
        5  everything at depth 5 and deeper: the concepts a sentence or an image usually is about
        """
        return min(NUM_LAYERS, self._depths[id])

    def names_of(self, kind: str = "") -> dict[str, tuple[str, ...]]:
        """Every name and synonym of a kind ("" is all kinds), as written, and the ids it stands for in tree order."""
        found: dict[str, tuple[str, ...]] = {}
        for entity in self.entities.values():
            if not kind or entity.kind == kind:
                for name in dict.fromkeys((entity.name, *entity.synonyms)):
                    found[name] = (*found.get(name, ()), entity.id)
        return found

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        return self.names_of()

    @cached_property
    def _depths(self) -> dict[str, int]:
        depths = dict.fromkeys(self.roots, 1)
        queue = deque(self.roots)
        while queue:
            id = queue.popleft()
            for child in self._children.get(id, ()):
                if child not in depths:
                    depths[child] = depths[id] + 1
                    queue.append(child)
        if len(depths) < len(self.entities):
            lost = next(id for id in self.entities if id not in depths)
            raise DataError(f"entity {lost!r} is in or below a cycle of parents: build the tree again with entity.build")
        return depths


def entity_from_json(row: Mapping[str, Any], where: Path) -> Entity:
    """The inverse of `io.to_json` for an Entity; DataError when the row is not one."""
    try:
        several = {key: tuple(row.get(key, ())) for key in ("parents", "synonyms", "xrefs")}
        return Entity(**{**row, **several})
    except TypeError as error:
        raise DataError(f"{where}: not an Entity ({error}): {str(row)[:200]}") from error
