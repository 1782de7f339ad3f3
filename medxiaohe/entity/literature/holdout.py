"""Take nodes out of a tree, with their names and definitions, to train and evaluate attachment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from medxiaohe import io
from medxiaohe.types import Entity


@dataclass(frozen=True)
class HoldOut:
    """A tree without some nodes: `skeleton` is the rest, `gold` the parents of each query that the skeleton
    has.
    """

    skeleton: tuple[Entity, ...]
    queries: tuple[Entity, ...]  # without parents, codes or sources: name, synonyms and definition alone
    gold: dict[str, frozenset[str]]
    leaves: frozenset[str]  # the queries that nothing was below


def fold(id: str, seed: str) -> float:
    """Assign a node to a fold by the hash of its id and the seed.

    Returns:
        a number in [0, 1), independent of all other nodes
    """
    return io.unit_interval("attachment", seed, id)


def hold_out(entities: Sequence[Entity], ids: Collection[str]) -> HoldOut:
    """Take nodes out of a tree; their children move up to the nearest ancestors that stay.

    Args:
        entities: the tree, or its nodes of one kind.
        ids: of the nodes to take out; inner nodes too.

    Returns:
        the rest, the nodes taken out as queries in the order of their ids, and their gold parents. A node
        that no ancestor is left for is no query
    """
    out = set(ids)
    by_id = {entity.id: entity for entity in entities}
    inner = {parent for entity in entities for parent in entity.parents}

    def kept_above(id: str) -> dict[str, None]:
        """Ancestors that stay: the nearest on every path up.

        Returns:
            their ids as keys, in the order of the paths
        """
        result: dict[str, None] = {}
        for parent in by_id[id].parents:
            if parent in out:
                result |= kept_above(parent)
            elif parent in by_id:
                result[parent] = None
        return result

    # every node that stays is attached to the nearest ancestors that stay
    skeleton = tuple(
        replace(entity, parents=tuple(kept_above(entity.id))) for entity in entities if entity.id not in out
    )
    queries = tuple(_bare(by_id[id]) for id in sorted(out) if kept_above(id))
    gold = {query.id: frozenset(kept_above(query.id)) for query in queries}
    return HoldOut(skeleton, queries, gold, frozenset(query.id for query in queries if query.id not in inner))


def drawn(entities: Iterable[Entity], seed: str, low: float, high: float) -> list[str]:
    """Draw the nodes whose fold is in [low, high); roots are never drawn.

    Returns:
        ids in the order of `entities`
    """
    return [entity.id for entity in entities if entity.parents and low <= fold(entity.id, seed) < high]


def _bare(entity: Entity) -> Entity:
    return Entity(entity.id, entity.name, entity.kind, (), entity.synonyms, entity.definition)
