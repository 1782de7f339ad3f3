"""How far a corpus reaches into the tree: counts of samples and of covered entities, added up towards the
roots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.tree.tree import Tree

ROOT = ""  # stands above all roots


@dataclass
class Reach:
    """Of every entity and everything below it. An entity with two parents counts below both, once in each."""

    tree: Tree
    samples: dict[str, int] = field(default_factory=dict)  # samples that mention it or anything below it
    below: dict[str, int] = field(default_factory=dict)  # entities in its subtree, itself included
    covered: dict[str, int] = field(default_factory=dict)  # of those, how many a sample mentions

    def children(self, id: str) -> list[str]:
        """List the children of an entity.

        Args:
            id: of the entity; `ROOT` for the roots of the tree.

        Returns:
            ids, the largest subtree first.
        """
        ids = self.tree.roots if id == ROOT else self.tree.children(id)
        return sorted(ids, key=lambda child: (-self.below[child], child))

    def branches(self, id: str) -> list[str]:
        """List the first division of a subtree: a single child that has children is replaced by them.

        Args:
            id: of the entity; `ROOT` for the whole tree.

        Returns:
            ids, the largest subtree first.
        """
        result = self.children(id)
        while len(result) == 1 and self.tree.children(result[0]):
            result = self.children(result[0])
        return result

    def name(self, id: str) -> str:
        """Name of an entity.

        Returns:
            its preferred name; "All entities" for `ROOT`.
        """
        return "All entities" if id == ROOT else self.tree.entities[id].name

    @cached_property
    def layers(self) -> dict[int, tuple[int, int]]:
        """Layer -> entities in it, and how many of those a sample mentions itself or below.

        Returns:
            layer -> (entities in it, those of them that a sample mentions themselves or below), in
            ascending order.
        """
        result: dict[int, tuple[int, int]] = {}
        for id in self.tree.entities:
            layer = self.tree.layer(id)
            number, seen = result.get(layer, (0, 0))
            result[layer] = (number + 1, seen + (self.samples.get(id, 0) > 0))
        return dict(sorted(result.items()))


def reach(tree: Tree, mentioned: Mapping[str, int], samples: Iterable[Iterable[str]]) -> Reach:
    """Count entities and samples of each subtree of the tree.

    Args:
        tree: the entity tree.
        mentioned: entity id -> number of samples (coverage.json).
        samples: entity ids of each sample; ids that the tree lacks are ignored.

    Returns:
        counts by entity id; `ROOT` has those of the whole tree.
    """
    result = Reach(tree)
    # add each entity to itself, to all of its ancestors (once each) and to the root above them
    for id in tree.entities:
        seen = mentioned.get(id, 0) > 0
        for ancestor in (id, *tree.ancestors(id), ROOT):
            result.below[ancestor] = result.below.get(ancestor, 0) + 1
            if seen:
                result.covered[ancestor] = result.covered.get(ancestor, 0) + 1
    # closure of an entity under "ancestor of", computed once
    above: dict[str, frozenset[str]] = {}
    for entities in samples:
        # a sample counts once for each entity that is above any of its mentions
        touched: set[str] = set()
        for id in entities:
            if id in tree and id not in above:
                above[id] = frozenset((id, *tree.ancestors(id), ROOT))
            touched |= above.get(id, frozenset())
        for id in touched:
            result.samples[id] = result.samples.get(id, 0) + 1
    return result


def mentions(path: Path) -> Iterable[list[str]]:
    """Read the entity ids of each sample.

    Args:
        path: samples.jsonl of a data stage.

    Yields:
        entity ids of one sample; [] if it was not linked.
    """
    for row in io.read_jsonl(path):
        yield row.get("entities") or []
