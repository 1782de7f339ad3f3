"""Write texts from the tree's facts: a card of an entity, and a caption or passage enriched by facts about
the entities that it names (arXiv 2604.25296).

Every added sentence is one fact with its source, so that it can be looked up. Facts are about the entity in
general: none says that an image shows more than its caption does. An ambiguous name gets no facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe import io
from medxiaohe.data.synth import words
from medxiaohe.data.synth.graph import IS_A, Graph
from medxiaohe.data.synth.paths import Refused
from medxiaohe.entity.linking.link import Mention
from medxiaohe.scoring._equivalence import canon

NUM_FACTS, NUM_NAMES, MAX_ENTITIES = 6, 3, 3
MAX_DEFINITION = 600


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence about an entity with its source: `object` is "" for a definition or for names."""

    entity: str
    text: str
    predicate: str
    object: str
    source: str
    license: str


@dataclass(frozen=True, slots=True)
class Card:
    text: str
    facts: tuple[Fact, ...]


def facts(id: str, graph: Graph, most: int = NUM_FACTS, seed: int = 0) -> list[Fact]:
    """List facts about an entity as sentences: its definition, its groups, then others by lot.

    Args:
        id: of the entity.
        graph: facts of the tree.
        most: facts at most.
        seed: seed of the draw.

    Returns:
        The facts; a definition longer than MAX_DEFINITION characters is left out.
    """
    tree, entity = graph.tree, graph.tree.entities[id]
    result = list[Fact]()
    if entity.definition and len(entity.definition) <= MAX_DEFINITION:
        definition = entity.definition.strip().rstrip(".")
        result.append(
            Fact(id, f"{entity.name}: {definition}.", "definition", "", entity.source, entity.license)
        )
    edges = graph.out.get(id, ())
    rest = sorted(
        (e for e in edges if e.predicate != IS_A),
        key=lambda e: io.unit_interval(str(seed), "card", id, e.predicate, e.object),
    )
    for edge in [*(e for e in edges if e.predicate == IS_A), *rest][: most - len(result)]:
        result.append(
            Fact(id, words.sentence(edge, tree), edge.predicate, edge.object, edge.source, edge.license)
        )
    return result


def card(id: str, graph: Graph, seed: int = 0) -> Card | Refused:
    """Write a page about an entity from the tree alone: its name, definition, other names and facts.

    Returns:
        The card, or why there is none: fewer than two facts.
    """
    entity = graph.tree.entities[id]
    about = facts(id, graph, seed=seed)
    if len(about) < 2:
        return Refused("fewer than two facts")
    spelt = {canon(name): name for name in reversed(entity.synonyms) if name not in entity.abbreviations}
    synonyms = [
        name
        for name in entity.synonyms
        if spelt.get(canon(name)) == name and canon(name) != canon(entity.name)
    ][:NUM_NAMES]
    if synonyms:
        called = Fact(
            id,
            f"{entity.name} is also called {', '.join(synonyms)}.",
            "names",
            "",
            entity.source,
            entity.license,
        )
        about = [about[0], called, *about[1:]]
    return Card("\n".join([entity.name, *(fact.text for fact in about)]), tuple(about))


def enriched(
    text: str, mentions: Sequence[Mention], graph: Graph, first: Sequence[str] = (), seed: int = 0
) -> Card | Refused:
    """Write what is added to a text: facts about up to MAX_ENTITIES of the entities that it names.

    Args:
        text: a caption or passage; facts that it states word for word are left out.
        mentions: of entities in it; ambiguous ones are not used.
        graph: facts of the tree.
        first: ids that are taken before the others.
        seed: seed of the draw of facts.

    Returns:
        The added sentences with their facts, at most two for an entity; or why there are none.
    """
    named = dict.fromkeys(m.entity for m in mentions if not m.ambiguous and m.entity in graph.tree)
    if not named:
        return Refused("nothing of the tree is named")
    order = [id for id in first if id in named] + [id for id in named if id not in first]
    added = [fact for id in order[:MAX_ENTITIES] for fact in facts(id, graph, most=2, seed=seed)]
    added = [fact for fact in added if fact.text.rstrip(".").casefold() not in text.casefold()]
    if not added:
        return Refused("the tree says nothing more")
    return Card("\n".join(fact.text for fact in added), tuple(added))
