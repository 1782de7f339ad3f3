"""Merge terms of different vocabularies that are one entity, and record the reason.

A term joins an entity of its own kind for the first of these reasons that holds. The entity keeps the id and
the name of the vocabulary that was read first.

    id           the entity has this id already: a second table, slim or release of one vocabulary
    mapping      a mapping table says that two ids are exactly one thing
    xref         one has the other's id as its cross-reference
    shared code  both have one code of a third vocabulary (UMLS, MeSH, OMIM, ORPHA), and no second one of it
    name         their names are equal but for case, punctuation, possessives and an inverted comma
    synonym      the name of one is a synonym of the other, an abbreviation apart

All but the first need that no third term claims the same; what two claim decides nothing and is counted. For
the last three, an entity that already has another id of the term's vocabulary is another thing. A code of ICD
stands for a group of diseases, so an xref to one merges nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from medxiaohe.entity.tree.ids import prefix
from medxiaohe.entity.tree.names import is_abbreviation, key
from medxiaohe.entity.tree.problems import Problems
from medxiaohe.types import Entity, Match

ROOT = "MET:"  # MET:disease, MET:anatomy: ids that no vocabulary may use for a term, but may use as a parent
IDENTITY = frozenset({"UMLS", "MESH", "OMIM", "ORPHA", "MONDO", "DOID", "NCIT"})  # one code is one thing
# one code is many things
CLASSIFICATIONS = frozenset({"ICD10", "ICD10CM", "ICD9", "ICD9CM", "ICDO", "MEDDRA"})
MIN_SYNONYM_LETTERS = 5  # characters: shorter synonyms have too many meanings to merge by
MAX_RIVALS = 6  # listed in the row about a term that is not merged
Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Merge:
    """A term that was merged into an entity, with the reason."""

    kept: str
    merged: str
    why: str  # id, mapping, xref, shared code, name, synonym
    because: str  # what the two have in common, in words
    source: str  # the vocabulary the merged term is from
    license: str


class Union:
    """Entities in the order they were read, with an index from every id to its entity."""

    def __init__(self, matches: Iterable[Match] = ()):
        self.entities: dict[str, Entity] = {}
        self.merges: list[Merge] = []
        self._home: dict[str, str] = {}  # any id -> id of the entity that has it
        self._ids: dict[str, set[str]] = {}  # entity -> the ids that lead to it
        # code of another vocabulary -> entities that have it
        self._codes: dict[str, dict[str, None]] = defaultdict(dict)
        self._names: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._synonyms: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        # id -> {equal id: the mapping table that says so}
        self._matches: dict[str, dict[str, str]] = defaultdict(dict)
        for match in matches:
            if match.predicate == "exact":
                self._matches[match.a][match.b] = self._matches[match.b][match.a] = match.source

    def refuses(self, term: Entity) -> bool:
        """Whether the term's id cannot join: it is a root, or the id of an entity of another kind.

        Args:
            term: a term of the next vocabulary, not added yet.

        Returns:
            True when the term must be left out
        """
        owner = self._home.get(term.id, "")
        return term.id.startswith(ROOT) or (bool(owner) and self.entities[owner].kind != term.kind)

    def kind_of(self, id: str) -> str:
        """The kind of the entity that `id` leads to.

        Returns:
            the kind; "" where the id leads to no entity
        """
        return self.entities[self._home[id]].kind if id in self._home else ""

    def home(self, id: str) -> str:
        """Resolve an id to the entity that it was merged into.

        Returns:
            id of the entity; `id` itself where it leads to none
        """
        return self._home.get(id, id)

    def of_code(self, code: str) -> str:
        """Resolve an id or a cross-reference to the only entity that it can mean.

        A group has the codes of its members too: where several entities have the code, only one that has no
        second code of the same vocabulary counts.

        Args:
            code: any id in the tree's spelling.

        Returns:
            id of the entity; "" where there is none or more than one
        """
        if code in self._home:
            return self._home[code]
        results = list(self._codes.get(code, ()))
        if len(results) > 1:  # a group has the codes of its members too
            results = [id for id in results if not _codes_beside(self.entities[id], code)]
        return results[0] if len(results) == 1 else ""

    def add_root(self, root: Entity) -> None:
        """Add the root of a kind, unless it is there already.

        Args:
            root: its synonyms are what vocabularies call their own top term; a term with that name merges
                into the root.
        """
        if root.id not in self.entities:
            self._new(root)
            # what vocabularies call their top term, which becomes one with the root
            for name in root.synonyms:
                self._names[root.kind, key(name)][root.id] = None

    def add(self, terms: Sequence[Entity], problems: Problems, *, only_known: bool = False) -> None:
        """Merge the terms of one vocabulary into the entities that exist, and add the others as new entities.

        Args:
            terms: of one vocabulary, each id once.
            problems: counts what cannot be decided, with a row for each term (`ambiguous name`, ...).
            only_known: add no new entity; a term that merges into none is counted and left out.
        """
        terms = [self._with_matches(term) for term in terms]
        same = self._same(terms, problems)
        for term in terms:
            if term.id in same:
                home_id, why, because = same[term.id]
                self._absorb(home_id, term)
                self.merges.append(Merge(home_id, term.id, why, because, term.source, term.license))
            elif only_known:
                problems["not in the tree yet"] += 1
            else:
                self._new(term)

    def _same(self, terms: Sequence[Entity], problems: Problems) -> dict[str, tuple[str, str, str]]:
        """Match the terms of one vocabulary to entities: term id -> (entity id, reason, explanation)."""
        result = {}
        for term in terms:
            if (home_id := self._home.get(term.id)) and self.entities[home_id].kind == term.kind:
                result[term.id] = (home_id, "id", term.id)
        # an entity takes one term of a vocabulary only; reasons are tried from the surest on
        taken = {home_id for home_id, _, _ in result.values()}
        for why, pairs_of in (
            ("mapping", self._by_mapping),
            ("xref", self._by_xref),
            ("shared code", self._by_code),
            ("name", self._by_name),
            ("synonym", self._by_synonym),
        ):
            rest = [term for term in terms if term.id not in result]
            because: dict[tuple[str, str], str] = {}
            for id, home_id, reason in pairs_of(rest):
                if home_id not in taken:
                    because.setdefault((id, home_id), reason)
            certain = one_to_one(
                because, {term.id: term.source for term in rest}, problems, f"ambiguous {why}"
            )
            result |= {id: (home_id, why, because[id, home_id]) for id, home_id in certain.items()}
            taken |= set(certain.values())
        return result

    # Each yields (term, entity, what they have in common). An id that leads to no entity stands for itself,
    # as a second claim.

    def _by_mapping(self, terms: Sequence[Entity]) -> Iterator[tuple[str, str, str]]:
        for term in terms:
            for id, source in self._matches.get(term.id, {}).items():
                if self._has_kind(home_id := self.home(id), term.kind):
                    yield term.id, home_id, f"{source}: {term.id} = {id}"

    def _by_xref(self, terms: Sequence[Entity]) -> Iterator[tuple[str, str, str]]:
        for term in terms:
            if prefix(term.id) in CLASSIFICATIONS:
                continue
            for xref in term.xrefs:
                if prefix(xref) not in CLASSIFICATIONS and self._has_kind(
                    home_id := self._home.get(xref, ""), term.kind
                ):
                    yield term.id, home_id, f"{term.id} has the xref {xref}"
                    yield from ((term.id, rival, "") for rival in _codes_beside(term, xref))
            for home_id, beside in self._carriers(term.id, term):
                yield term.id, home_id, f"{home_id} has the xref {term.id}"
                yield from ((rival, home_id, "") for rival in beside)

    def _by_code(self, terms: Sequence[Entity]) -> Iterator[tuple[str, str, str]]:
        for term in terms:
            for code in term.xrefs:
                if prefix(code) in IDENTITY and not _codes_beside(term, code):
                    for home_id, beside in self._carriers(code, term):
                        if self._may_be(home_id, term):
                            yield term.id, home_id, f"both are {code}"
                            yield from ((rival, home_id, "") for rival in beside)

    def _carriers(self, code: str, term: Entity) -> list[tuple[str, list[str]]]:
        """Entities of the term's kind that have this code, with their other codes of its vocabulary.

        A group has the codes of its members too: where an entity has this code only, those with several are
        left out.
        """
        selected = [id for id in self._codes.get(code, ()) if self.entities[id].kind == term.kind]
        results = [(id, _codes_beside(self.entities[id], code)) for id in selected]
        return [(id, beside) for id, beside in results if not beside] or results

    def _by_name(self, terms: Sequence[Entity]) -> Iterator[tuple[str, str, str]]:
        for term in terms:
            for home_id in self._names.get((term.kind, key(term.name)), ()):
                if self._may_be(home_id, term):
                    yield term.id, home_id, f"both are named {term.name}"

    def _by_synonym(self, terms: Sequence[Entity]) -> Iterator[tuple[str, str, str]]:
        for term in terms:
            for home_id in (
                self._synonyms.get((term.kind, key(term.name)), ()) if _is_telling(term.name) else ()
            ):
                if self._may_be(home_id, term):
                    yield term.id, home_id, f"{term.name} is a synonym of {self.entities[home_id].name}"
            for name in filter(_is_telling, term.synonyms):
                for home_id in self._names.get((term.kind, key(name)), ()):
                    if self._may_be(home_id, term) and not home_id.startswith(ROOT):
                        yield (
                            term.id,
                            home_id,
                            f"{self.entities[home_id].name} is a synonym of {term.name}",
                        )

    def _with_matches(self, term: Entity) -> Entity:
        same = self._matches.get(term.id)
        return replace(term, xrefs=tuple(dict.fromkeys((*term.xrefs, *same)))) if same else term

    def _has_kind(self, id: str, kind: str) -> bool:
        return id in self.entities and self.entities[id].kind == kind

    def _may_be(self, home_id: str, term: Entity) -> bool:
        """Whether the entity has the term's kind and no other id of the term's vocabulary."""
        own = prefix(term.id)
        return self.entities[home_id].kind == term.kind and not (
            own and any(prefix(id) == own for id in self._ids[home_id])
        )

    def _new(self, term: Entity) -> None:
        sources = tuple(dict.fromkeys((term.source, *term.sources)))
        self.entities[term.id] = replace(term, sources=sources)
        self._register(term, term.id)

    def _absorb(self, home_id: str, term: Entity) -> None:
        self.entities[home_id] = merged(self.entities[home_id], term)
        self._register(term, home_id)

    def _register(self, term: Entity, home_id: str) -> None:
        self._home.setdefault(term.id, home_id)
        self._ids.setdefault(home_id, set()).add(term.id)
        kind, own = self.entities[home_id].kind, prefix(term.id)
        for code in term.xrefs:
            if own and prefix(code) == own:
                self._home.setdefault(code, home_id)  # an alternative id
            self._codes[code][home_id] = None
        self._names[kind, key(self.entities[home_id].name)][home_id] = None
        for name in (term.name, *term.synonyms):
            if _is_telling(name):
                self._synonyms[kind, key(name)][home_id] = None


def one_to_one(pairs: Pairs, sources: Mapping[str, str], problems: Problems, problem: str) -> dict[str, str]:
    """Select the pairs in which neither side has a second partner.

    Args:
        pairs: (term, entity) candidates for a merge.
        sources: term id -> its vocabulary; a first side that is not in here is a rival only, never a result.
        problems: gets a row for each term that has rivals.
        problem: name of that problem.

    Returns:
        term id -> entity id
    """
    pairs = list(pairs)
    partners, claims = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for a, b in pairs:
        partners[a].append(b)
        claims[b].append(a)
    result = {}
    for a, others in partners.items():
        rivals = [rival for b in others for rival in claims[b] if rival != a]
        if a not in sources:
            continue
        if len(others) > 1 or rivals:
            seen = ", ".join(dict.fromkeys([*others, *rivals][:MAX_RIVALS]))
            problems.note(
                problem,
                a,
                f"not merged for this reason: it could be one with, or has a rival in, {seen}",
                sources[a],
            )
        else:
            result[a] = others[0]
    return result


def merged(entity: Entity, term: Entity) -> Entity:
    """Merge the names, codes, definition and sources of `term` into `entity`.

    Args:
        entity: keeps its id, name, kind, source, license, and its definition and parents where it has some.
        term: gives its definition and its parents only where the entity has none; a root gets no parents.

    Returns:
        a new Entity
    """
    names = [
        name for name in dict.fromkeys((*entity.synonyms, term.name, *term.synonyms)) if name != entity.name
    ]
    own_names = {entity.name, *names}
    return replace(
        entity,
        synonyms=tuple(names),
        xrefs=tuple(
            xref for xref in dict.fromkeys((*entity.xrefs, term.id, *term.xrefs)) if xref != entity.id
        ),
        definition=entity.definition or term.definition,
        parents=entity.parents or (() if entity.id.startswith(ROOT) else term.parents),
        lay=tuple(dict.fromkeys((*entity.lay, *term.lay))),
        abbreviations=tuple(dict.fromkeys((*entity.abbreviations, *term.abbreviations))),
        related=tuple(
            name for name in dict.fromkeys((*entity.related, *term.related)) if name not in own_names
        ),
        sources=tuple(dict.fromkeys((*entity.sources, term.source))),
    )


def _codes_beside(entity: Entity, code: str) -> list[str]:
    """Other codes of an entity in the vocabulary of `code`; where there are several, none identifies the
    entity.
    """
    own = prefix(code)
    return [xref for xref in entity.xrefs if xref != code and prefix(xref) == own]


def _is_telling(name: str) -> bool:
    return len(name) >= MIN_SYNONYM_LETTERS and not is_abbreviation(name)
