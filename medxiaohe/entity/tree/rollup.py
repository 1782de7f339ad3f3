"""Sum counts over the subtrees of a tree in which an entity may have several parents.

Entities are numbered in the order of the tree. A descendant counts once for an ancestor, by however many
paths it is reached: a document that names two subtypes of asthma is one document of asthma.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from medxiaohe.entity.tree.tree import Tree


class Rollup:
    """Ancestors of entities by number, for counts over subtrees."""

    def __init__(self, tree: Tree):
        self.ids = list(tree.entities)
        self.number = {id: number for number, id in enumerate(self.ids)}
        self.parents = [
            tuple(self.number[parent] for parent in entity.parents) for entity in tree.entities.values()
        ]
        self._above: dict[int, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def above(self, number: int) -> tuple[int, ...]:
        """The entity and all its ancestors, each once.

        Args:
            number: of the entity, in the order of the tree from 0.

        Returns:
            numbers in breadth-first order, `number` first; the result is cached
        """
        if number not in self._above:
            result = {number: None}
            queue = [number]
            for step in queue:
                for parent in self.parents[step]:
                    if parent not in result:
                        result[parent] = None
                        queue.append(parent)
            self._above[number] = tuple(result)
        return self._above[number]

    def above_any(self, numbers: Iterable[int]) -> set[int]:
        """The union of `above` over several entities.

        Returns:
            their numbers and those of all their ancestors
        """
        results: set[int] = set()
        for number in numbers:
            results.update(self.above(number))
        return results

    def total(self, own: Sequence[int]) -> array[int]:
        """Sum counts over every subtree: for each entity itself and all its descendants, each once.

        Args:
            own: a count for each entity, in the order of the tree.

        Returns:
            int64 sums in the same order
        """
        sums = array("q", bytes(8 * len(own)))
        for number, value in enumerate(own):
            if value:
                for ancestor in self.above(number):
                    sums[ancestor] += value
        return sums
