"""Drop rules, merging layer by layer, and the rows of new entities (MedXIAOHE). Existing entities are never
changed here.
"""

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
    """Id of a new entity: the same for one kind and name in every run, whatever the spelling.

    Returns:
        MET:lit- and 12 hexadecimal digits of the SHA-256 of kind and variant key
    """
    return f"{ROOT}lit-{hashlib.sha256(f'{kind}|{variant_key(name)}'.encode()).hexdigest()[:12]}"


# ---- drop rules ----------------------------------------------------------------------------------


def often_enough(concepts: Iterable[Concept], min_mentions: int) -> tuple[list[Concept], list[Dropped]]:
    """Drop concepts with fewer than `min_mentions` mentions.

    Returns:
        the concepts that stay, and a row {name, type, mentions, reason} for each of the others
    """
    selected, dropped = [], []
    for concept in concepts:
        if len(concept.mentions) >= min_mentions:
            selected.append(concept)
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
    return selected, dropped


def held_types(
    entities: Sequence[Entity], seen: Mapping[str, int], mentions: Mapping[str, int], min_entities: int
) -> tuple[list[Entity], list[Dropped]]:
    """Drop new entities of kinds that have too few entities.

    Args:
        entities: new entities.
        seen: kind -> number of entities of the tree that the passages mention often enough; they count too.
        mentions: entity id -> number of mentions, for the rows.
        min_entities: least number of entities of a kind.

    Returns:
        the entities that stay, and a row {name, type, mentions, reason} for each of the others
    """
    count = Counter(entity.kind for entity in entities)
    selected, dropped = [], []
    for entity in entities:
        if count[entity.kind] + seen.get(entity.kind, 0) >= min_entities:
            selected.append(entity)
        else:
            row = {"name": entity.name, "type": entity.kind, "mentions": mentions[entity.id]}
            dropped.append({**row, "reason": f"a type of fewer than {min_entities} entities"})
    return selected, dropped


# ---- entities ------------------------------------------------------------------------------------


def entity(concept: Concept, kind: str, passages: Mapping[str, Passage], definition: str = "") -> Entity:
    """Convert a concept to an entity without parents.

    Args:
        concept: names and mentions.
        kind: of the entity.
        passages: id -> passage, for the sources and licenses of its mentions.
        definition: "" where there is none.

    Returns:
        an Entity whose source is SOURCE, with up to three licenses of its passages
    """
    name = concept.name
    synonyms = _spellings(name, concept.names)
    origins = [passages[id] for id in dict.fromkeys(mention.passage for mention in concept.mentions)]
    return Entity(
        new_id(kind, name), name, kind, (), synonyms, definition,
        source=SOURCE,
        license="; ".join(sorted({item.license for item in origins if item.license})[:3]),
        abbreviations=tuple(synonym for synonym in synonyms if is_abbreviation(synonym)),
        sources=tuple(sorted({f"{SOURCE}: {item.source}" if item.source else SOURCE for item in origins})),
    )  # fmt: skip


def _spellings(name: str, names: Mapping[str, int]) -> tuple[str, ...]:
    """Other spellings than `name`, most frequent first, one for all that differ in case alone."""
    result = {name.casefold(): name}
    for spelling in sorted(names, key=lambda spelling: (-names[spelling], spelling)):
        result.setdefault(spelling.casefold(), spelling)
    return tuple(list(result.values())[1:])


def evidence(mentions: Sequence[Found], passages: Mapping[str, Passage]) -> list[dict[str, Any]]:
    """Passages that mention a concept, as rows: the first mention in each of the first MAX_EVIDENCE passages.

    Args:
        mentions: of the concept.
        passages: id -> passage.

    Returns:
        rows {passage, start, end, text, source, license, by}; `start` and `end` are code points of the
        passage, `text` is the mention with AROUND characters on each side
    """
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
    """Choose the parents of a new entity from a ranking.

    The best candidate when its score is at least `min_score`; or the two best when together they are likely
    enough and neither is an ancestor of the other.

    Args:
        ranking: candidates, highest score first.
        min_score: least score of a single parent.
        above: candidate id -> ids of its ancestors.
        never: ids that may not be parents: the roots, below which an entity is that fits nowhere.

    Returns:
        one or two parents; [] where none is likely enough or one is in `never`
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
    """Attach new entities to one another by name: "familial X" below "X".

    Args:
        entities: new entities.

    Returns:
        id -> (id of the parent, reason in words), where another new entity of the kind has the longest proper
        suffix of the name's content words as its name, with the same head word
    """
    by_words = {(item.kind, frozenset(content(item.name))): item for item in reversed(entities)}
    result = {}
    for child in entities:
        words = content(child.name)
        for size in range(len(words) - 1, 0, -1):
            parent = by_words.get((child.kind, frozenset(words[-size:])))
            if parent is not None and parent.id != child.id and head(parent.name) == head(child.name):
                result[child.id] = (
                    parent.id,
                    f"its name ends with the name of the new entity {parent.name!r}",
                )
                break
    return result


def merged_by_layer(
    parents: Mapping[str, Sequence[str]],
    entities: Mapping[str, Entity],
    may_merge: Collection[tuple[str, str]],
) -> dict[str, str]:
    """Merge new entities that share a parent and are likely synonyms, layer by layer from the top.

    Below one parent, a likeness counts that alone would not: that the parents agree is evidence.

    Args:
        parents: new entity -> ids of its parents.
        entities: id -> new entity.
        may_merge: pairs (smaller id, larger id) of likely synonyms.

    Returns:
        id that is merged -> id of the entity that stays; only entities of one kind are merged
    """
    depth: dict[str, int] = {}

    def deep(id: str) -> int:
        """Depth of a new entity below the nodes that the tree has.

        Returns:
            1 for a node without parents in `parents`, else 1 + the largest depth of a parent
        """
        if id not in depth:
            depth[id] = 0  # a guard: parents of new entities make no cycle
            depth[id] = 1 + max((deep(p) for p in parents.get(id, ())), default=0)
        return depth[id]

    into: dict[str, str] = {}
    # parents are merged before their children are compared, so that children of merged parents are siblings
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


def joined(entity: Entity, synonym: Entity) -> Entity:
    """Add the names, sources and definition of a synonymous entity.

    Args:
        entity: keeps its id, name and parents, and its definition where it has one.
        synonym: the entity that is merged into it.

    Returns:
        a new Entity
    """
    names = (*entity.synonyms, synonym.name, *synonym.synonyms)
    synonyms = _spellings(entity.name, {name: -i for i, name in reversed(list(enumerate(names)))})
    return replace(
        entity,
        synonyms=synonyms,
        abbreviations=tuple(name for name in synonyms if is_abbreviation(name)),
        sources=tuple(sorted({*entity.sources, *synonym.sources})),
        definition=entity.definition or synonym.definition,
    )
