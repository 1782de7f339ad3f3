"""Disambiguate a name that several entities have: by the prior of their kinds, by which of them has it as
its main name, and by which has relatives in the text.

An acronym stays ambiguous unless the text explains it or only one meaning has relatives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from medxiaohe import io
from medxiaohe.entity.linking.link import ONE_THING, TOKEN, is_acronym, plain
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity

# What a name in a biomedical text more often is, when nothing else is known.
KIND_PRIOR = {
    "disease": 1.0,
    "phenotype": 0.9,
    "chemical": 0.9,
    "anatomy": 0.8,
    "gene": 0.5,
    "organism": 0.7,
    "modality": 0.8,
}
OTHER_KIND = 0.4
MAIN_NAME = 0.5  # of an entity, against a synonym
RELATIVE = 0.4  # for each relative in the text, at most MAX_RELATIVES
MAX_RELATIVES = 3
SIMILAR = 1.0  # times the cosine, with an embedder
GRANDPARENTS = 2  # steps up


class Embedder(Protocol):
    """Protocol of a text encoder (models/embed.py)."""

    def encode(self, texts: Sequence[str]) -> Any:
        """Embed texts.

        Returns:
            (len(texts), dimensions) float32, rows of length 1
        """
        ...


class Choice(NamedTuple):
    """Result of disambiguation."""

    entity: str
    sure: bool  # the others have no claim, or a weaker one
    why: str  # in words; "" when there was nothing to choose


class Meanings:
    """Entities that share a name, with the ancestors and relations that disambiguate them."""

    def __init__(self, tree: Tree, related: Mapping[str, frozenset[str]] | None = None):
        self.tree = tree
        self.related = related or {}
        self.shared = shared_names(tree)
        self._above: dict[str, frozenset[str]] = {}

    def of(self, surface: str, entity: str) -> tuple[str, ...]:
        """All entities with the name of a mention.

        Args:
            surface: of the mention.
            entity: the one that the index found.

        Returns:
            `entity` first, then the others in tree order
        """
        words = TOKEN.findall(plain(surface))
        key = " ".join(words)
        ids = (
            self.shared.get(key)
            or self.shared.get(key.lower())
            or self.shared.get(key.lower().removesuffix("s"), ())
        )
        return (entity, *(id for id in ids if id != entity)) if entity in ids else (entity,)

    def above(self, entity: str) -> frozenset[str]:
        """Ancestors up to GRANDPARENTS steps, without roots.

        Returns:
            ids, cached
        """
        if entity not in self._above:
            up, level = set[str](), [entity]
            for _ in range(GRANDPARENTS):
                level = [
                    p for id in level for p in self.tree.entities[id].parents if self.tree.entities[p].parents
                ]
                up |= set(level)
            self._above[entity] = frozenset(up)
        return self._above[entity]

    def choose(
        self,
        surface: str,
        candidates: Sequence[str],
        around: Around,
        *,
        embedder: Embedder | None = None,
        text: str = "",
    ) -> Choice:
        """Choose the entity that a shared name means in a text.

            points = prior of the kind + MAIN_NAME if it is the main name
                     + RELATIVE x min(relatives in the text, MAX_RELATIVES) + SIMILAR x cosine with the text

        Args:
            surface: of the mention.
            candidates: entities with this name; of equal points the first is chosen.
            around: the unambiguous entities of the text.
            embedder: for the cosine; None: 0.
            text: for the embedder.

        Returns:
            the entity, whether the others have no claim, and the reason in words
        """
        if len(candidates) == 1:
            return Choice(candidates[0], True, "")
        entities, points, reasons = self.tree.entities, [], []
        similar = (
            _similar(embedder, text, [entities[id] for id in candidates])
            if embedder
            else [0.0] * len(candidates)
        )
        for id, cosine in zip(candidates, similar, strict=True):
            relatives = sorted(around.relatives(id) - set(candidates))
            points.append(
                KIND_PRIOR.get(entities[id].kind, OTHER_KIND)
                + MAIN_NAME * (entities[id].name.lower() == surface.lower())
                + RELATIVE * min(len(relatives), MAX_RELATIVES)
                + SIMILAR * cosine
            )
            reasons.append(relatives)
        best = max(range(len(candidates)), key=lambda i: (points[i], -i))
        others = max(len(relatives) for i, relatives in enumerate(reasons) if i != best)
        kinds = {entities[id].kind for id in candidates}
        # sure: disease and sign of one name are one thing; or only one candidate has relatives in the text
        sure = (kinds == ONE_THING and len(candidates) == 2) or (len(reasons[best]) > 0 and others == 0)
        why = f"{len(candidates)} entities have this name"
        if reasons[best]:
            why += (
                f"; {', '.join(entities[id].name for id in reasons[best][:2])} in the text speaks for"
                f" {entities[candidates[best]].name}"
            )
        elif entities[candidates[best]].name.lower() == surface.lower():
            why += f"; it is the main name of {candidates[best]}"
        else:
            why += f"; the text does not say which, a {entities[candidates[best]].kind} is the likeliest"
        return Choice(candidates[best], sure, why)


class Around:
    """Entities of one text, indexed by their ancestors, as evidence for related candidates."""

    def __init__(self, meanings: Meanings, entities: Iterable[str]):
        self._meanings = meanings
        self._entities = frozenset(entities)
        self._below: dict[str, set[str]] = {}
        for id in self._entities:
            for ancestor in meanings.above(id):
                self._below.setdefault(ancestor, set()).add(id)

    def relatives(self, entity: str) -> set[str]:
        """Entities of the text that are related to `entity`: ancestors, descendants, siblings and ends of its
        relations.

        Returns:
            ids without `entity` itself
        """
        tree = self._meanings.tree.entities
        result = set(self._entities & self._meanings.above(entity)) | self._below.get(entity, set())
        result |= self._entities & self._meanings.related.get(entity, frozenset())
        for parent in tree[entity].parents:
            if tree[parent].parents:
                result |= self._below.get(parent, set())
        return result - {entity}


def shared_names(tree: Tree) -> dict[str, tuple[str, ...]]:
    """Index the names that several entities have.

    Args:
        tree: whose entities, without the roots, are indexed by name and synonyms.

    Returns:
        name as the linker keys it -> ids of its entities in tree order
    """
    first: dict[str, str] = {}
    shared: dict[str, dict[str, None]] = {}
    for entity in tree.entities.values():
        if not entity.parents:
            continue
        for name in (entity.name, *entity.synonyms):
            key = " ".join(TOKEN.findall(plain(name)))
            key = key if is_acronym(name) else key.lower()
            if (owner := first.setdefault(key, entity.id)) != entity.id:
                shared.setdefault(key, {owner: None})[entity.id] = None
    return {key: tuple(ids) for key, ids in shared.items()}


def related_entities(folder: Path, ids: Collection[str]) -> dict[str, frozenset[str]]:
    """Read from relations.jsonl of a tree what is related to the given entities.

    Args:
        folder: of the tree; a folder without that file gives {}.
        ids: entities to read for.

    Returns:
        id -> ids at the other end of its relations, in either direction

    Raises:
        DataError: the file is damaged.
    """
    path, related = folder / "relations.jsonl", dict[str, set[str]]()
    if not path.is_file():
        return {}
    for row in io.read_jsonl(path):
        for a, b in ((row["subject"], row["object"]), (row["object"], row["subject"])):
            if a in ids and b:
                related.setdefault(a, set()).add(b)
    return {id: frozenset(others) for id, others in related.items()}


def _similar(embedder: Embedder, text: str, entities: Sequence[Entity]) -> list[float]:
    """Cosine similarity of the text with the name and definition of each entity."""
    described = [
        f"{entity.name}: {entity.definition[:200]}" if entity.definition else entity.name
        for entity in entities
    ]
    rows = embedder.encode([text, *described])
    return [float(rows[0] @ row) for row in rows[1:]]
