"""Nodes taken out of a tree, with their names and definitions, so that they can be put back: how attachment
is fitted and measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from medxiaohe import io
from medxiaohe.types import Entity


@dataclass(frozen=True)
class HoldOut:
    """`skeleton` is without the nodes of `queries`; `gold` has the parents of each query that the skeleton
    still has."""

    skeleton: tuple[Entity, ...]
    queries: tuple[Entity, ...]  # without parents, codes or sources: name, synonyms and definition alone
    gold: dict[str, frozenset[str]]
    leaves: frozenset[str]  # the queries that nothing was below


def fold(id: str, seed: str) -> float:
    """A number in [0, 1) that decides where a node goes; it depends on the id and the seed only."""
    return io.unit_interval("attachment", seed, id)


def hold_out(entities: Sequence[Entity], ids: Collection[str]) -> HoldOut:
    """Take the nodes `ids` out, inner ones too: their children go to the nearest ancestors that stay, and so
    does the gold."""
    out = set(ids)
    by_id = {entity.id: entity for entity in entities}
    inner = {parent for entity in entities for parent in entity.parents}

    def kept_above(id: str) -> dict[str, None]:
        result: dict[str, None] = {}
        for parent in by_id[id].parents:
            if parent in out:
                result |= kept_above(parent)
            elif parent in by_id:
                result[parent] = None
        return result

    skeleton = tuple(
        replace(entity, parents=tuple(kept_above(entity.id))) for entity in entities if entity.id not in out
    )
    queries = tuple(_bare(by_id[id]) for id in sorted(out) if kept_above(id))
    gold = {query.id: frozenset(kept_above(query.id)) for query in queries}
    return HoldOut(skeleton, queries, gold, frozenset(query.id for query in queries if query.id not in inner))


def drawn(entities: Iterable[Entity], seed: str, low: float, high: float) -> list[str]:
    """Ids of the nodes below others whose fold is in [low, high)."""
    return [entity.id for entity in entities if entity.parents and low <= fold(entity.id, seed) < high]


def _bare(entity: Entity) -> Entity:
    return Entity(entity.id, entity.name, entity.kind, (), entity.synonyms, entity.definition)
