"""Select entities with few samples in a corpus: the nodes that data is retrieved and written for (MedXIAOHE).

An entity is thin when at most `at_most` samples of the corpus mention it and the tree has at least two facts
about it, or one and a definition. First come entities whose parents or siblings the corpus mentions. At most
`per_parent` children of one parent are taken, so that no large family crowds out the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe import io
from medxiaohe.data.synth.graph import Graph
from medxiaohe.types import Entity

MIN_FACTS = 2


@dataclass(frozen=True, slots=True)
class Thin:
    """An entity with few samples.

    Attributes:
        id: of the entity.
        name: its name.
        kind: its kind, such as disease.
        samples: number of samples that mention it.
        around: number of samples that mention a parent, or the most mentioned child of a parent.
        why: the reason, for reports.
    """

    id: str
    name: str
    kind: str
    samples: int  # that mention it
    around: int  # samples that mention a parent or a sibling
    why: str


def thin(
    graph: Graph,
    coverage: Mapping[str, int],
    *,
    kinds: tuple[str, ...],
    at_most: int,
    num: int,
    per_parent: int,
    seed: int = 0,
) -> list[Thin]:
    """Select entities with few samples and at least some facts, in the order in which data is needed.

    Args:
        graph: facts of the tree.
        coverage: entity id -> number of samples that mention it.
        kinds: of entities.
        at_most: samples that a thin entity may have.
        num: entities at most.
        per_parent: entities of one parent at most.
        seed: seed of the order among equals.

    Returns:
        The entities, alternating between the kinds; within a kind first those whose parents or siblings are
        mentioned, then those with fewest samples.
    """
    near = _around(graph, coverage)
    by_kind: dict[str, list[Thin]] = {kind: [] for kind in kinds}
    roots = set(graph.tree.roots)
    for entity in graph.tree.entities.values():
        count = coverage.get(entity.id, 0)
        if (
            entity.kind not in by_kind
            or entity.id in roots
            or count > at_most
            or graph.tree.layer(entity.id) < 3
        ):
            continue
        if _has_facts(graph, entity):
            why = f"{count} samples mention it, {near[entity.id]} a parent or sibling"
            by_kind[entity.kind].append(
                Thin(entity.id, entity.name, entity.kind, count, near[entity.id], why)
            )
    ordered = [
        list(_spread(graph, sorted(rows, key=lambda t: _order(t, seed)), per_parent))
        for rows in by_kind.values()
    ]
    return _in_turn(ordered, num)


def failed(
    graph: Graph, coverage: Mapping[str, int], rows: Sequence[Mapping[str, Any]], kinds: tuple[str, ...]
) -> list[Thin]:
    """Select the nodes that an evaluation scored low and that the tree has facts about.

    Args:
        graph: facts of the tree.
        coverage: entity id -> number of samples that mention it.
        rows: of `eval run --weak-nodes`, the lowest first, with `node`, `mean` and `n`.
        kinds: of entities.

    Returns:
        The entities in the order of `rows`.
    """
    near, roots, selected = _around(graph, coverage), set(graph.tree.roots), []
    for row in rows:
        entity = graph.tree.entities.get(row["node"])
        if (
            entity is not None
            and entity.kind in kinds
            and entity.id not in roots
            and _has_facts(graph, entity)
        ):
            why = f"scored {row['mean']:.3f} on {row['n']} items of an evaluation"
            selected.append(
                Thin(entity.id, entity.name, entity.kind, coverage.get(entity.id, 0), near[entity.id], why)
            )
    return selected


def _has_facts(graph: Graph, entity: Entity) -> bool:
    facts = len(graph.out.get(entity.id, ())) + len(graph.into.get(entity.id, ()))
    return facts >= MIN_FACTS or bool(facts and entity.definition)


def count_thin(graph: Graph, coverage: Mapping[str, int], at_most: int) -> dict[str, int]:
    """Count the entities with few samples by kind, without the domains.

    Args:
        graph: facts of the tree.
        coverage: entity id -> number of samples that mention it.
        at_most: samples that such an entity may have.

    Returns:
        Kind -> number of entities, by name of the kind.
    """
    roots = set(graph.tree.roots)
    entities = graph.tree.entities.values()
    return dict(
        sorted(
            Counter(
                e.kind for e in entities if e.id not in roots and coverage.get(e.id, 0) <= at_most
            ).items()
        )
    )


def _around(graph: Graph, coverage: Mapping[str, int]) -> Counter[str]:
    """Count for every entity the samples that mention a parent, or the most mentioned child of a parent."""
    counts, roots = Counter[str](), set(graph.tree.roots)
    best: dict[str, int] = {}
    # largest count of a parent or of any of its children
    for id in graph.tree.entities:
        for parent in graph.tree.entities[id].parents:
            best[parent] = max(best.get(parent, coverage.get(parent, 0)), coverage.get(id, 0))
    # an entity's surroundings: the best of its parents, domains aside
    for id, entity in graph.tree.entities.items():
        counts[id] = max((best[parent] for parent in entity.parents if parent not in roots), default=0)
    return counts


def _order(entity: Thin, seed: int) -> tuple[bool, int, float]:
    """Sort key: entities with mentioned relatives first, then those with fewest samples, then by hash."""
    return entity.around == 0, entity.samples, io.unit_interval(str(seed), "thin", entity.id)


def _spread(graph: Graph, rows: list[Thin], per_parent: int) -> Iterator[Thin]:
    taken = Counter[str]()
    for entity in rows:
        parents = graph.tree.entities[entity.id].parents
        if all(taken[parent] < per_parent for parent in parents):
            taken.update(parents)
            yield entity


def _in_turn(kinds: list[list[Thin]], num: int) -> list[Thin]:
    selected, position = list[Thin](), 0
    while len(selected) < num and any(position < len(rows) for rows in kinds):
        selected += [rows[position] for rows in kinds if position < len(rows)]
        position += 1
    return selected[:num]
