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
        """Largest subtree first."""
        ids = self.tree.roots if id == ROOT else self.tree.children(id)
        return sorted(ids, key=lambda child: (-self.below[child], child))

    def branches(self, id: str) -> list[str]:
        """The first division of a subtree: a single child that has children of its own is passed over."""
        result = self.children(id)
        while len(result) == 1 and self.tree.children(result[0]):
            result = self.children(result[0])
        return result

    def name(self, id: str) -> str:
        return "All entities" if id == ROOT else self.tree.entities[id].name

    @cached_property
    def layers(self) -> dict[int, tuple[int, int]]:
        """Layer -> entities in it, and how many of those a sample mentions itself or below."""
        result: dict[int, tuple[int, int]] = {}
        for id in self.tree.entities:
            layer = self.tree.layer(id)
            number, seen = result.get(layer, (0, 0))
            result[layer] = (number + 1, seen + (self.samples.get(id, 0) > 0))
        return dict(sorted(result.items()))


def reach(tree: Tree, mentioned: Mapping[str, int], samples: Iterable[Iterable[str]]) -> Reach:
    """`mentioned` is a coverage.json; `samples` are the entity ids of each sample."""
    result = Reach(tree)
    for id in tree.entities:
        seen = mentioned.get(id, 0) > 0
        for ancestor in (id, *tree.ancestors(id), ROOT):
            result.below[ancestor] = result.below.get(ancestor, 0) + 1
            if seen:
                result.covered[ancestor] = result.covered.get(ancestor, 0) + 1
    above: dict[str, frozenset[str]] = {}
    for entities in samples:
        touched: set[str] = set()
        for id in entities:
            if id in tree and id not in above:
                above[id] = frozenset((id, *tree.ancestors(id), ROOT))
            touched |= above.get(id, frozenset())
        for id in touched:
            result.samples[id] = result.samples.get(id, 0) + 1
    return result


def mentions(path: Path) -> Iterable[list[str]]:
    for row in io.read_jsonl(path):
        yield row.get("entities") or []
