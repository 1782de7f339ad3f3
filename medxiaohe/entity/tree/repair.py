"""Repair the terms of vocabularies: duplicate ids, missing parents, cycles. Each problem is counted or
listed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace

from medxiaohe.entity.linking.link import ONE_THING
from medxiaohe.entity.tree.merge import ROOT, Union
from medxiaohe.entity.tree.problems import Problems
from medxiaohe.types import Entity

TWO_NAMES = (ONE_THING, {"chemical", "gene product"})  # kinds that vocabularies give to one and the same id


def first_of_each_id(terms: list[Entity], union: Union, problems: Problems) -> list[Entity]:
    """Drop terms whose id an earlier term, or an entity of another kind, has.

    A disease and a sign are one thing with two names for its kind, and so is a protein that a list of
    substances has: such a term takes the kind of the entity that exists.

    Args:
        terms: of one vocabulary, in the order of its file.
        union: the entities of the vocabularies read before.
        problems: gets a row for each term that is dropped, and a count of changed kinds.

    Returns:
        the terms that stay, in their order
    """
    result: dict[str, Entity] = {}
    for term in terms:
        if (kind := union.kind_of(term.id)) != term.kind and {kind, term.kind} in TWO_NAMES:
            problems["kind of an earlier vocabulary"] += 1
            term = replace(term, kind=kind)
        if term.id in result:
            problems.note(
                "duplicate id", term.id, f"left out {term.name!r}, kept {result[term.id].name!r}", term.source
            )
        elif union.refuses(term):
            problems.note(
                "duplicate id",
                term.id,
                f"left out {term.name!r}: the id is taken by an entity of another kind",
                term.source,
            )
        else:
            result[term.id] = term
    return list(result.values())


def nearest_to_the_root(terms: list[Entity], limit: int, problems: Counter[str]) -> list[Entity]:
    """Select the first `limit` terms breadth-first: level by level from the top, in the order of the file.

    Args:
        terms: of one vocabulary.
        limit: largest number of terms to keep.
        problems: counts the others as "beyond the limit". A term that only a cycle leads to is one of them.

    Returns:
        the selected terms in the order of the file, without parents that were dropped
    """
    children: dict[str, list[str]] = {}
    ids = {term.id for term in terms}
    tops = []
    for term in terms:
        parents = [parent for parent in term.parents if parent in ids]
        for parent in parents:
            children.setdefault(parent, []).append(term.id)
        if not parents:
            tops.append(term.id)
    selected, queue = set[str](), deque(tops)
    while queue and len(selected) < limit:
        id = queue.popleft()
        if id not in selected:
            selected.add(id)
            queue.extend(children.get(id, ()))
    problems["beyond the limit"] += len(terms) - len(selected)
    left_out = ids - selected
    return [
        replace(term, parents=tuple(p for p in term.parents if p not in left_out))
        for term in terms
        if term.id in selected
    ]


def linked(union: Union, problems: Problems) -> list[Entity]:
    """Resolve the parents of every entity, cut cycles, and put entities without parents below the root of
    their kind.

    Args:
        union: all vocabularies, merged.
        problems: gets a row for each parent that is not in the tree and for each edge that closes a cycle.

    Returns:
        the roots first, then the entities in the order they were read
    """
    parents: dict[str, list[str]] = {}
    for entity in union.entities.values():
        homes = dict.fromkeys(union.home(parent) for parent in entity.parents)
        for parent in homes:
            if parent not in union.entities:
                problems.note(
                    "parent not in the tree", entity.id, f"left out the parent {parent}", entity.source
                )
        parents[entity.id] = [parent for parent in homes if parent in union.entities]
    cut_cycles(parents, problems, union.entities)
    entities = union.entities.values()
    roots = [replace(entity, parents=()) for entity in entities if entity.id.startswith(ROOT)]
    rest = [entity for entity in entities if not entity.id.startswith(ROOT)]
    return roots + [
        replace(entity, parents=tuple(parents[entity.id]) or (f"{ROOT}{entity.kind}",)) for entity in rest
    ]


def cut_cycles(parents: dict[str, list[str]], problems: Problems, entities: Mapping[str, Entity]) -> None:
    """Remove the edges that close a cycle, by a depth-first search from every entity in turn.

    Args:
        parents: entity id -> ids of its parents, all of them keys; changed in place.
        problems: gets a row for each edge that is removed.
        entities: for the source of an entity in that row.
    """
    on_the_way, done = 1, 2  # grey and black of a depth-first search; white is not in `state`
    state: dict[str, int] = {}
    for start in parents:
        stack = [] if start in state else [(start, iter(list(parents[start])))]
        state.setdefault(start, on_the_way)
        while stack:
            id, rest = stack[-1]
            for parent in rest:
                if state.get(parent) == on_the_way:  # a back edge closes a cycle
                    parents[id].remove(parent)
                    problems.note(
                        "cycle", id, f"left out the parent {parent}, which is below {id}", entities[id].source
                    )
                elif parent not in state:
                    state[parent] = on_the_way
                    stack.append((parent, iter(list(parents[parent]))))
                    break
            else:
                state[id] = done
                stack.pop()
