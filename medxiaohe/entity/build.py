"""Stage entity.build: open vocabularies become one Medical Entity Tree, with one root per kind.

Two terms of different vocabularies and of one kind are the same entity when one has the other's id as its xref, or
when their names are equal, and no third term claims the same; the term of the vocabulary listed first stays.
merges.jsonl has every such decision {kept, merged, why}. Whatever is wrong in a vocabulary is repaired or left out,
and counted in `problems`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.entity.readers._terms import read_all
from medxiaohe.entity.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.progress import track
from medxiaohe.recipe.settings import InputPath
from medxiaohe.types import Entity

ROOT = "MET:"  # MET:disease, MET:anatomy: ids that no vocabulary may use for a term, but may use as a parent
TOP_TERMS = {  # how vocabularies call their own top term, which then becomes one with the root
    "anatomy": "anatomical entity", "phenotype": "phenotypic abnormality", "chemical": "chemical entity",
}  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """What to read. The order of vocabularies decides whose term stays when two are merged."""

    reader: str  # mondo, uberon, hpo, chebi, obo, tsv, or a file of yours: "mine/radlex.py:radlex"
    path: InputPath | None = None  # null is the reader's own package file
    kind: str = ""  # replaces the kinds the reader gives
    license: str = ""  # for files that do not state theirs
    limit: int | None = None  # at most so many terms, those nearest to the root

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, not {self.limit}")


@dataclass(frozen=True)
class BuildSettings:
    vocabularies: tuple[Vocabulary, ...]
    kinds: tuple[str, ...] = ()  # only entities of these kinds; empty is all

    def __post_init__(self) -> None:
        if not self.vocabularies:
            raise ConfigError("vocabularies must name at least one, for example {reader: mondo}")


def build(settings: BuildSettings, out: Path) -> dict[str, Any]:
    problems, num_merged = Counter[str](), Counter[tuple[str, str]]()
    entities: dict[str, Entity] = {}
    merges: dict[str, tuple[str, str]] = {}  # id of a merged term -> id of the entity that stays, and why
    for vocabulary in track(settings.vocabularies, "vocabularies"):
        terms = _new(_terms(vocabulary, settings.kinds, problems), entities.keys() | merges.keys(), problems)
        for kind in dict.fromkeys(term.kind for term in terms):
            entities.setdefault(f"{ROOT}{kind}", _root(kind))
        same = _same(terms, entities, problems)
        for term in terms:
            if term.id in same:
                kept, _ = same[term.id]
                entities[kept] = _merged(entities[kept], term)
                num_merged[term.source, term.license] += 1
            else:
                entities[term.id] = term
        merges.update(same)
    linked = _linked(entities, {id: kept for id, (kept, _) in merges.items()}, problems)
    summary = _summary(Tree(linked), num_merged, problems)
    io.write_jsonl(out / "entities.jsonl", linked)
    io.write_jsonl(out / "merges.jsonl", ({"kept": kept, "merged": id, "why": why} for id, (kept, why) in merges.items()))
    io.write_json(out / "stats.json", summary)
    return summary


# ---- reading -------------------------------------------------------------------------------------


def _terms(vocabulary: Vocabulary, kinds: Sequence[str], problems: Counter[str]) -> list[Entity]:
    """What the settings want of a vocabulary, names and synonyms tidied."""
    reader = plugins.load("vocabularies", vocabulary.reader)
    terms, skipped = read_all(reader(_path(vocabulary)))
    problems.update(skipped)
    found = []
    for term in terms:
        name = " ".join(term.name.split())
        kind = vocabulary.kind or term.kind or "other"
        if not term.id or not name:
            problems["unnamed"] += 1
        elif kinds and kind not in kinds:
            problems["other kind"] += 1
        else:
            tidy = dict.fromkeys(" ".join(synonym.split()) for synonym in term.synonyms)
            synonyms = tuple(synonym for synonym in tidy if synonym and synonym != name)
            license = vocabulary.license or term.license
            problems["without a license"] += not license
            found.append(replace(term, name=name, kind=kind, synonyms=synonyms, license=license))
    if not found:
        raise DataError(f"the vocabulary {vocabulary.reader} has no term{' of the kinds ' + ', '.join(kinds) if kinds else ''} to use")
    return _nearest_to_the_root(found, vocabulary.limit, problems) if vocabulary.limit else found


def _path(vocabulary: Vocabulary) -> Path | None:
    if vocabulary.path is None:
        return None
    if vocabulary.path.startswith("hub:"):
        raise ConfigError(f"the vocabulary {vocabulary.reader} is read from a path or asset:NAME, not {vocabulary.path}")
    return assets.folder(vocabulary.path[len("asset:") :]) if vocabulary.path.startswith("asset:") else Path(vocabulary.path)


def _nearest_to_the_root(terms: list[Entity], limit: int, problems: Counter[str]) -> list[Entity]:
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
    return [replace(term, parents=tuple(p for p in term.parents if p not in left_out)) for term in terms if term.id in kept]


def _new(terms: Iterable[Entity], taken: Iterable[str], problems: Counter[str]) -> list[Entity]:
    """The terms whose ids nothing has yet; the first to have an id keeps it."""
    found: dict[str, Entity] = {}
    taken = set(taken)
    for term in terms:
        if term.id in taken or term.id in found or term.id.startswith(ROOT):
            problems["duplicate id"] += 1
        else:
            found[term.id] = term
    return list(found.values())


# ---- merging -------------------------------------------------------------------------------------


def _root(kind: str) -> Entity:
    other_names = (TOP_TERMS[kind],) if kind in TOP_TERMS else ()
    return Entity(f"{ROOT}{kind}", kind, kind, (), other_names, f"The domain of every {kind}.", (), "medxiaohe", "CC0-1.0")


def _same(terms: Sequence[Entity], entities: Mapping[str, Entity], problems: Counter[str]) -> dict[str, tuple[str, str]]:
    """Terms that are an entity already: term id -> that entity's id, and why."""
    by_xref = _one_to_one(_xref_pairs(terms, entities), problems, "ambiguous xref")
    kept = set(by_xref.values())
    rest = [term for term in terms if term.id not in by_xref]
    others = [entity for entity in entities.values() if entity.id not in kept]
    by_name = _one_to_one(_name_pairs(rest, others), problems, "ambiguous name")
    return {**{id: (entity, "xref") for id, entity in by_xref.items()}, **{id: (entity, "name") for id, entity in by_name.items()}}


def _xref_pairs(terms: Sequence[Entity], entities: Mapping[str, Entity]) -> Iterator[tuple[str, str]]:
    kinds = {term.id: term.kind for term in terms}
    for entity in entities.values():
        for xref in entity.xrefs:
            if kinds.get(xref) == entity.kind:
                yield xref, entity.id
    for term in terms:
        for xref in term.xrefs:
            if xref in entities and entities[xref].kind == term.kind:
                yield term.id, xref


def _name_pairs(terms: Iterable[Entity], entities: Iterable[Entity]) -> Iterator[tuple[str, str]]:
    named: dict[tuple[str, str], list[str]] = {}
    for entity in entities:
        for name in (entity.name, *entity.synonyms) if entity.id.startswith(ROOT) else (entity.name,):
            named.setdefault((entity.kind, name.casefold()), []).append(entity.id)
    for term in terms:
        for id in named.get((term.kind, term.name.casefold()), ()):
            yield term.id, id


def _one_to_one(pairs: Iterable[tuple[str, str]], problems: Counter[str], problem: str) -> dict[str, str]:
    """The pairs in which neither side has a second partner; the others cannot be decided and are counted."""
    pairs = list(dict.fromkeys(pairs))
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    problems[problem] += len({a for a, b in pairs if left[a] > 1 or right[b] > 1})
    return {a: b for a, b in pairs if left[a] == 1 and right[b] == 1}


def _merged(kept: Entity, term: Entity) -> Entity:
    names = dict.fromkeys((*kept.synonyms, term.name, *term.synonyms))
    return replace(
        kept,
        synonyms=tuple(name for name in names if name != kept.name),
        xrefs=tuple(xref for xref in dict.fromkeys((*kept.xrefs, term.id, *term.xrefs)) if xref != kept.id),
        definition=kept.definition or term.definition,
    )


# ---- linking up ----------------------------------------------------------------------------------


def _linked(entities: Mapping[str, Entity], merged: Mapping[str, str], problems: Counter[str]) -> list[Entity]:
    """Every entity below the root of its kind: roots first, then in the order they were read."""
    parents: dict[str, list[str]] = {}
    for entity in entities.values():
        known = dict.fromkeys(merged.get(parent, parent) for parent in entity.parents)
        problems["parent not in the tree"] += sum(parent not in entities for parent in known)
        parents[entity.id] = [parent for parent in known if parent in entities]
    _cut_cycles(parents, problems)
    roots = [entity for entity in entities.values() if entity.id.startswith(ROOT)]
    rest = [entity for entity in entities.values() if not entity.id.startswith(ROOT)]
    return roots + [replace(entity, parents=tuple(parents[entity.id]) or (f"{ROOT}{entity.kind}",)) for entity in rest]


def _cut_cycles(parents: dict[str, list[str]], problems: Counter[str]) -> None:
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
                    problems["cycle"] += 1
                elif parent not in state:
                    state[parent] = on_the_way
                    stack.append((parent, iter(list(parents[parent]))))
                    break
            else:
                state[id] = done
                stack.pop()


def _summary(tree: Tree, num_merged: Counter[tuple[str, str]], problems: Counter[str]) -> dict[str, Any]:
    entities = tree.entities.values()
    layers = Counter(tree.layer(id) for id in tree.entities)
    num_kept = Counter((entity.source, entity.license) for entity in entities)
    return {
        "entities": len(tree),
        "names": len({name.casefold() for name in tree.names}),
        "kinds": dict(Counter(entity.kind for entity in entities)),
        "layers": {str(layer): layers[layer] for layer in sorted(layers)},
        "sources": [
            {"name": name, "license": license, "entities": num_kept[name, license], "merged": num_merged[name, license]}
            for name, license in dict.fromkeys([*num_kept, *num_merged])
        ],
        "problems": {what: count for what, count in sorted(problems.items()) if count},
    }
