"""A graph of the facts of a tree: `is a` edges and the relations of its vocabularies.

Only stated facts are edges: nothing is inferred or inherited. A relation whose value is 0 (a sign that no
patient had) is no fact. `is a` leads from an entity to its parents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Relation

IS_A = "is a"
ANIMALS = "non-human animal disease"  # MONDO's veterinary branch: no fact of it is used
_TELLING = """has phenotype|has symptom|part of|located in|has part|has role|develops from|connects|supplies|innervates|drains
    branching part of|adjacent to|innervated by|tributary of|composed primarily of|contributes to morphology of
    has potential to develop into|produces|produced by|surrounds|attached to|has functional parent|capable of|continuous with|regulates"""  # noqa: E501
# relations a question or a caption may use; the others are about genes, taxa and the making of vocabularies
TELLING = frozenset(name.strip() for name in _TELLING.replace("\n", "|").split("|"))


@dataclass(frozen=True, slots=True)
class Edge:
    """A fact as its vocabulary states it: subject - predicate - object."""

    subject: str
    predicate: str
    object: str
    source: str
    license: str
    value: float | None = None  # a frequency between 0 and 1


class Graph:
    """The facts of a tree as a directed multigraph.

    `out[id]` and `into[id]` are the edges that leave and reach an entity, in the order of the files.

    Args:
        tree: the entity tree; `is a` leads from an entity to its parents.
        relations: other facts; those with a value of 0 or less are not used.
        predicates: names of the relations to use.
    """

    def __init__(self, tree: Tree, relations: Iterable[Relation], predicates: frozenset[str] = TELLING):
        self.tree = tree
        self.out: dict[str, list[Edge]] = defaultdict(list)
        self.into: dict[str, list[Edge]] = defaultdict(list)
        self._known: dict[tuple[str, str, str], Edge] = {}
        unused = set(tree.roots) | _animals(tree)
        for edge in self._edges(relations, predicates):
            if edge.subject in unused or edge.object in unused or edge.subject == edge.object:
                continue
            if (key := (edge.subject, edge.predicate, edge.object)) not in self._known:
                self._known[key] = edge
                self.out[edge.subject].append(edge)
                self.into[edge.object].append(edge)

    @classmethod
    def load(cls, folder: Path, tree: Tree | None = None) -> Graph:
        """Load the facts that entity.build wrote.

        Args:
            folder: with relations.jsonl; without it the parents are the only facts.
            tree: the entity tree; None: that of the folder.

        Returns:
            The graph.
        """
        path = folder / "relations.jsonl"
        rows = (Relation(**row) for row in io.read_jsonl(path)) if path.is_file() else iter(())
        return cls(tree or Tree.load(folder), rows)

    def edge(self, subject: str, predicate: str, object: str) -> Edge | None:
        """Look up a fact.

        Returns:
            The edge; None when no source states it.
        """
        return self._known.get((subject, predicate, object))

    def reach(self, id: str, predicate: str, forward: bool) -> list[str]:
        """List the entities that one step leads to.

        Args:
            id: where the step starts.
            predicate: of the fact.
            forward: to the objects of `predicate`; False: back to its subjects.

        Returns:
            Ids in the order of the files; [] for an unknown entity.
        """
        if forward:
            return [edge.object for edge in self.out.get(id, ()) if edge.predicate == predicate]
        return [edge.subject for edge in self.into.get(id, ()) if edge.predicate == predicate]

    def __len__(self) -> int:
        return len(self._known)

    def _edges(self, relations: Iterable[Relation], predicates: frozenset[str]) -> Iterator[Edge]:
        for entity in self.tree.entities.values():
            for parent in entity.parents:
                yield Edge(entity.id, IS_A, parent, entity.source, entity.license)
        for relation in relations:
            both_known = relation.subject in self.tree and relation.object in self.tree
            if (
                both_known
                and relation.predicate in predicates
                and (relation.value is None or relation.value > 0)
            ):
                yield Edge(
                    relation.subject,
                    relation.predicate,
                    relation.object,
                    relation.source,
                    relation.license,
                    relation.value,
                )


def _animals(tree: Tree) -> set[str]:
    queue = [id for id, entity in tree.entities.items() if entity.name.casefold() == ANIMALS]
    seen = set(queue)
    for id in queue:
        new = [child for child in tree.children(id) if child not in seen]
        seen.update(new)
        queue += new
    return seen


def related(tree: Tree, a: str, b: str) -> str:
    """Return the relation of two entities in the tree.

    Args:
        tree: the entity tree.
        a: an id.
        b: another id.

    Returns:
        "same", "ancestor" (`b` is above `a`), "descendant", "sibling", or "" for none of these.
    """
    if a == b:
        return "same"
    if b in tree.ancestors(a):
        return "ancestor"
    if a in tree.ancestors(b):
        return "descendant"
    roots = set(tree.roots)
    shared = (set(tree.entities[a].parents) & set(tree.entities[b].parents)) - roots
    return "sibling" if shared else ""


def siblings(tree: Tree, id: str) -> list[str]:
    """List the entities with a parent in common, other than a domain, none of them above or below `id`.

    Returns:
        Their ids, in the order of the parents and their children.
    """
    above, roots = set(tree.ancestors(id)), set(tree.roots)
    children = dict.fromkeys(
        child
        for parent in tree.entities[id].parents
        if parent not in roots
        for child in tree.children(parent)
    )
    return [
        child_id
        for child_id in children
        if child_id != id and child_id not in above and id not in tree.ancestors(child_id)
    ]
