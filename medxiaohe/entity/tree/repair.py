"""What is wrong in vocabularies: counted, written down one by one, and repaired or left out; never
ignored."""

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
    """The terms without those whose id an earlier one, or an entity of another kind, has.

    A disease and a sign are one thing with two names for its kind, and so is a protein that a list of
    substances has: such a term takes the kind that is there.
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
    """The first `limit` terms, level by level from the top, in the order of the file."""
    children: dict[str, list[str]] = {}
    known = {term.id for term in terms}
    tops = []
    for term in terms:
        parents = [parent for parent in term.parents if parent in known]
        for parent in parents:
            children.setdefault(parent, []).append(term.id)
        if not parents:
            tops.append(term.id)
    kept, queue = set[str](), deque(tops)
    while queue and len(kept) < limit:
        id = queue.popleft()
        if id not in kept:
            kept.add(id)
            queue.extend(children.get(id, ()))
    problems["beyond the limit"] += len(terms) - len(kept)
    left_out = known - kept
    return [
        replace(term, parents=tuple(p for p in term.parents if p not in left_out))
        for term in terms
        if term.id in kept
    ]


def linked(union: Union, problems: Problems) -> list[Entity]:
    """Every entity below the root of its kind: roots first, then in the order they were read."""
    parents: dict[str, list[str]] = {}
    for entity in union.entities.values():
        known = dict.fromkeys(union.home(parent) for parent in entity.parents)
        for parent in known:
            if parent not in union.entities:
                problems.note(
                    "parent not in the tree", entity.id, f"left out the parent {parent}", entity.source
                )
        parents[entity.id] = [parent for parent in known if parent in union.entities]
    cut_cycles(parents, problems, union.entities)
    entities = union.entities.values()
    roots = [replace(entity, parents=()) for entity in entities if entity.id.startswith(ROOT)]
    rest = [entity for entity in entities if not entity.id.startswith(ROOT)]
    return roots + [
        replace(entity, parents=tuple(parents[entity.id]) or (f"{ROOT}{entity.kind}",)) for entity in rest
    ]


def cut_cycles(parents: dict[str, list[str]], problems: Problems, entities: Mapping[str, Entity]) -> None:
    """Walk up from every entity in turn and remove each edge that leads back to the way there."""
    on_the_way, done = 1, 2
    state: dict[str, int] = {}
    for start in parents:
        stack = [] if start in state else [(start, iter(list(parents[start])))]
        state.setdefault(start, on_the_way)
        while stack:
            id, rest = stack[-1]
            for parent in rest:
                if state.get(parent) == on_the_way:
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
