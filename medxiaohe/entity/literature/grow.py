"""Drop rules, merging layer by layer, and the rows of new entities (MedXIAOHE). What the tree has is never
changed here."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medxiaohe.entity.literature.attach import Parent
from medxiaohe.entity.literature.cluster import Concept
from medxiaohe.entity.literature.passages import Found, Passage
from medxiaohe.entity.literature.words import content, head, variant_key
from medxiaohe.entity.tree.merge import ROOT
from medxiaohe.entity.tree.names import is_abbreviation
from medxiaohe.types import Entity

SOURCE = "literature"
MAX_EVIDENCE = 5  # passages kept of an entity
AROUND = 80  # characters of a passage kept on each side of a mention
SECOND = 0.3  # least score of a second parent, and
TOGETHER = 0.75  # of both
Dropped = dict[str, Any]


def new_id(kind: str, name: str) -> str:
    """The same for the same kind and name in every run, however the name is spelt."""
    return f"{ROOT}lit-{hashlib.sha256(f'{kind}|{variant_key(name)}'.encode()).hexdigest()[:12]}"


# ---- drop rules ----------------------------------------------------------------------------------


def often_enough(concepts: Iterable[Concept], min_mentions: int) -> tuple[list[Concept], list[Dropped]]:
    """Concepts with at least `min_mentions` mentions, and rows about the others."""
    kept, dropped = [], []
    for concept in concepts:
        if len(concept.mentions) >= min_mentions:
            kept.append(concept)
        else:
            reason = f"fewer than {min_mentions} mentions"
            dropped.append(
                {
                    "name": concept.name,
                    "type": concept.type,
                    "mentions": len(concept.mentions),
                    "reason": reason,
                }
            )
    return kept, dropped


def held_types(
    entities: Sequence[Entity], seen: Mapping[str, int], mentions: Mapping[str, int], min_entities: int
) -> tuple[list[Entity], list[Dropped]]:
    """Entities whose type holds at least `min_entities`. `seen`: entities of the tree that the passages
    mention often enough, by kind."""
    count = Counter(entity.kind for entity in entities)
    kept, dropped = [], []
    for entity in entities:
        if count[entity.kind] + seen.get(entity.kind, 0) >= min_entities:
            kept.append(entity)
        else:
            row = {"name": entity.name, "type": entity.kind, "mentions": mentions[entity.id]}
            dropped.append({**row, "reason": f"a type of fewer than {min_entities} entities"})
    return kept, dropped


# ---- entities ------------------------------------------------------------------------------------


def entity(concept: Concept, kind: str, passages: Mapping[str, Passage], definition: str = "") -> Entity:
    """The concept as a node without parents; its source and licence are those of the passages it stands
    in."""
    name = concept.name
    synonyms = _spellings(name, concept.names)
    where = [passages[id] for id in dict.fromkeys(mention.passage for mention in concept.mentions)]
    return Entity(
        new_id(kind, name), name, kind, (), synonyms, definition,
        source=SOURCE,
        license="; ".join(sorted({item.license for item in where if item.license})[:3]),
        abbreviations=tuple(synonym for synonym in synonyms if is_abbreviation(synonym)),
        sources=tuple(sorted({f"{SOURCE}: {item.source}" if item.source else SOURCE for item in where})),
    )  # fmt: skip


def _spellings(name: str, names: Mapping[str, int]) -> tuple[str, ...]:
    """The other names, most frequent first, without those that differ in case alone."""
    result = {name.casefold(): name}
    for other in sorted(names, key=lambda other: (-names[other], other)):
        result.setdefault(other.casefold(), other)
    return tuple(list(result.values())[1:])


def evidence(mentions: Sequence[Found], passages: Mapping[str, Passage]) -> list[dict[str, Any]]:
    """Where a concept stands: passage, offsets, the words around it, source and licence; one of a passage,
    the first passages."""
    first: dict[str, Found] = {}
    for mention in mentions:
        first.setdefault(mention.passage, mention)
    return [
        {
            "passage": item.passage, "start": item.start, "end": item.end,
            "text": passages[item.passage].text[max(0, item.start - AROUND) : item.end + AROUND],
            "source": passages[item.passage].source, "license": passages[item.passage].license, "by": item.by,
        }
        for item in list(first.values())[:MAX_EVIDENCE]
    ]  # fmt: skip


# ---- parents -------------------------------------------------------------------------------------


def chosen(
    ranking: Sequence[Parent],
    min_score: float,
    above: Mapping[str, Collection[str]],
    never: Collection[str] = (),
) -> list[Parent]:
    """The best candidate when it is likely enough; or two that are so together, neither above the other.

    None when one of them is in `never`: right below a domain is where an entity is that fits nowhere.
    """
    first, second = (*ranking[:2], None, None)[:2]
    if first is None:
        return []
    best = [first] if first.score >= min_score else []
    if (
        second is not None
        and second.score >= SECOND
        and first.score + second.score >= max(TOGETHER, min_score)
    ):
        if second.id not in above.get(first.id, ()) and first.id not in above.get(second.id, ()):
            best = [first, second]
    return [] if any(parent.id in never for parent in best) else best


def below_new_ones(entities: Sequence[Entity]) -> dict[str, tuple[str, str]]:
    """New entities whose name is the name of another new one with words before it ("familial X" below "X"):
    id -> (parent, why)."""
    by_words = {(item.kind, frozenset(content(item.name))): item for item in reversed(entities)}
    result = {}
    for one in entities:
        words = content(one.name)
        for size in range(len(words) - 1, 0, -1):
            other = by_words.get((one.kind, frozenset(words[-size:])))
            if other is not None and other.id != one.id and head(other.name) == head(one.name):
                result[one.id] = (other.id, f"its name ends with the name of the new entity {other.name!r}")
                break
    return result


def merged_by_layer(
    parents: Mapping[str, Sequence[str]],
    entities: Mapping[str, Entity],
    may_merge: Collection[tuple[str, str]],
) -> dict[str, str]:
    """Layer by layer from the top: new entities below one parent that `may_merge` are one; what merged ->
    what stays.

    Below one parent, a likeness counts that alone would not: that the parents agree is evidence. The pair
    must be in `may_merge`, smaller id first, which holds pairs of likely synonyms.
    """
    depth: dict[str, int] = {}

    def deep(id: str) -> int:
        if id not in depth:
            depth[id] = 0  # a guard: parents of new entities make no cycle
            depth[id] = 1 + max((deep(p) for p in parents.get(id, ())), default=0)
        return depth[id]

    into: dict[str, str] = {}
    for layer in sorted({deep(id) for id in parents}):
        siblings: dict[str, list[str]] = defaultdict(list)
        for id in sorted(parents):
            if deep(id) == layer and id not in into:
                for parent in parents[id]:
                    siblings[into.get(parent, parent)].append(id)
        for below in siblings.values():
            for i, a in enumerate(below):
                for b in below[i + 1 :]:
                    if (
                        a not in into
                        and b not in into
                        and (min(a, b), max(a, b)) in may_merge
                        and entities[a].kind == entities[b].kind
                    ):
                        into[b] = a
    return into


def joined(kept: Entity, other: Entity) -> Entity:
    """`kept` with the names of another entity that is the same."""
    names = (*kept.synonyms, other.name, *other.synonyms)
    synonyms = _spellings(kept.name, {name: -i for i, name in reversed(list(enumerate(names)))})
    return replace(
        kept,
        synonyms=synonyms,
        abbreviations=tuple(name for name in synonyms if is_abbreviation(name)),
        sources=tuple(sorted({*kept.sources, *other.sources})),
        definition=kept.definition or other.definition,
    )
