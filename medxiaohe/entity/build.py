"""Stage entity.build: open vocabularies become one Medical Entity Tree, with one root per kind.

    entities.jsonl    Entity rows, roots first; the tree
    terms.jsonl       what each vocabulary said, term by term, with its source and license
    merges.jsonl      {kept, merged, why, because, source, license}: which terms became one, and the reason
                      (merge.py)
    relations.jsonl   facts between entities (disease - has phenotype - sign), and numbers about them
    problems.jsonl    what was wrong in a vocabulary, in which line of its file, and what was done about it
                      (repair.py)
    stats.json        the summary

The order of the vocabularies decides whose id and name an entity has. docs/tree.md has the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.entity.readers._terms import read_all
from medxiaohe.entity.tree.ids import curie, prefix
from medxiaohe.entity.tree.merge import ROOT, Union
from medxiaohe.entity.tree.names import is_abbreviation
from medxiaohe.entity.tree.problems import Problems
from medxiaohe.entity.tree.repair import first_of_each_id, linked, nearest_to_the_root
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.progress import track
from medxiaohe.recipe.settings import InputPath
from medxiaohe.types import Entity, Match, Relation

TOP_TERMS = {  # how vocabularies call their own top term, which then becomes one with the root
    "anatomy": "anatomical entity", "phenotype": "phenotypic abnormality", "chemical": "chemical entity",
}  # fmt: skip
NUM_SHOWN = 15  # of relations and of vocabularies in the summary
EXTRA = ("lay", "abbreviations", "related", "sources")  # left out of a row when empty


@dataclass(frozen=True)
class Vocabulary:
    """One vocabulary to read. The order of vocabularies decides whose term stays when two are merged."""

    reader: str  # mondo, uberon, hpo, chebi, obo, tsv, or a file of yours: "mine/radlex.py:radlex"
    path: InputPath | None = None  # null is the reader's own package file
    kind: str = ""  # replaces the kinds the reader gives
    license: str = ""  # for files that do not state theirs
    limit: int | None = None  # at most so many terms, those nearest to the root
    # names and codes for entities that are there; no new ones (an older release, a list of names)
    only_known: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, not {self.limit}")


@dataclass(frozen=True)
class BuildSettings:
    # what the tree is made from, one entry each: {reader, path, limit, license}
    vocabularies: tuple[Vocabulary, ...]
    kinds: tuple[str, ...] = ()  # only entities of these kinds; empty is all

    def __post_init__(self) -> None:
        if not self.vocabularies:
            raise ConfigError("vocabularies must name at least one, for example {reader: mondo}")


@dataclass(frozen=True)
class Said:
    """Contents of one vocabulary: terms, mappings and relations."""

    vocabulary: Vocabulary
    terms: list[Entity]
    matches: list[Match]
    relations: list[Relation]


def build(settings: BuildSettings, out: Path) -> dict[str, Any]:
    """Build the Medical Entity Tree from vocabularies.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.

    Returns:
        the summary of the stage: `entities`, `names`, `kinds`, `layers`, `sources`, `problems`, `merges`,
        `relations`, ...

    Raises:
        DataError: a vocabulary cannot be read.
    """
    problems = Problems()
    contents = [
        _read(vocabulary, settings.kinds, problems)
        for vocabulary in track(settings.vocabularies, "vocabularies")
    ]
    union = Union(match for item in contents for match in item.matches)
    for content in contents:
        for kind in dict.fromkeys(term.kind for term in content.terms):
            union.add_root(_root(kind))
        union.add(
            first_of_each_id(content.terms, union, problems),
            problems,
            only_known=content.vocabulary.only_known,
        )
    if not union.entities:
        raise DataError("the vocabularies name no entity: mappings and relations alone make no tree")
    entities = linked(union, problems)
    for content in contents:
        if path := _path(content.vocabulary):
            for source in dict.fromkeys(term.source for term in content.terms):
                problems.locate(source, path)
    problems.say()
    io.write_jsonl(out / "entities.jsonl", map(row, entities))
    io.write_jsonl(out / "terms.jsonl", (row(term) for item in contents for term in item.terms))
    io.write_jsonl(out / "merges.jsonl", union.merges)
    num_relations = Counter[str]()
    io.write_jsonl(out / "relations.jsonl", _relations(contents, union, problems, num_relations))
    io.write_jsonl(out / "problems.jsonl", problems.rows)
    summary = _summary(Tree(entities), union, contents, num_relations, problems)
    io.write_json(out / "stats.json", summary)
    return summary


def row(entity: Entity) -> dict[str, Any]:
    """JSON row of an entity, without those of the fields EXTRA that are empty.

    Returns:
        field -> value, as `io.to_json` converts it
    """
    return {key: value for key, value in io.to_json(entity).items() if value or key not in EXTRA}


# ---- reading -------------------------------------------------------------------------------------


def _read(vocabulary: Vocabulary, kinds: Sequence[str], problems: Counter[str]) -> Said:
    """Read a vocabulary, filter it by kind and limit, and normalise names and ids."""
    reader = plugins.load("vocabularies", vocabulary.reader)
    assertions, skipped = read_all(reader(_path(vocabulary)))
    problems.update(skipped)
    terms, matches, relations = list[Entity](), list[Match](), list[Relation]()
    for assertion in assertions:
        license = vocabulary.license or assertion.license
        if isinstance(assertion, Match):
            matches.append(replace(assertion, a=curie(assertion.a), b=curie(assertion.b), license=license))
        elif isinstance(assertion, Relation):
            relations.append(
                replace(
                    assertion,
                    subject=curie(assertion.subject),
                    object=curie(assertion.object),
                    license=license,
                )
            )
        elif not assertion.id or not assertion.name.strip():
            problems["unnamed"] += 1
        elif kinds and (vocabulary.kind or assertion.kind or "other") not in kinds:
            problems["other kind"] += 1
        else:
            problems["without a license"] += not license
            terms.append(
                _tidy(replace(assertion, kind=vocabulary.kind or assertion.kind or "other", license=license))
            )
    if not terms and not matches and not relations:
        raise DataError(
            f"the vocabulary {vocabulary.reader} has no"
            f" term{' of the kinds ' + ', '.join(kinds) if kinds else ''} to use"
        )
    terms = nearest_to_the_root(terms, vocabulary.limit, problems) if vocabulary.limit else terms
    return Said(vocabulary, terms, matches, relations)


def _tidy(term: Entity) -> Entity:
    """Normalise the white space of names and the spelling of ids, and list the names that look like
    abbreviations.
    """
    name = " ".join(term.name.split())
    synonyms = tuple(
        synonym for synonym in _lines((*term.synonyms, *term.lay, *term.abbreviations)) if synonym != name
    )
    short = dict.fromkeys((*_lines(term.abbreviations), *filter(is_abbreviation, (name, *synonyms))))
    own_names = {name, *synonyms}
    return replace(
        term,
        id=curie(term.id),
        name=name,
        parents=tuple(dict.fromkeys(map(curie, term.parents))),
        synonyms=synonyms,
        xrefs=tuple(dict.fromkeys(xref for xref in map(curie, term.xrefs) if xref != curie(term.id))),
        lay=_lines(term.lay),
        abbreviations=tuple(short),
        related=tuple(line for line in _lines(term.related) if line not in own_names),
    )


def _lines(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line for name in names if (line := " ".join(name.split()))))


def _path(vocabulary: Vocabulary) -> Path | None:
    if vocabulary.path is None:
        return None
    if vocabulary.path.startswith("hub:"):
        raise ConfigError(
            f"the vocabulary {vocabulary.reader} is read from a path or asset:NAME, not {vocabulary.path}"
        )
    return (
        assets.folder(vocabulary.path[len("asset:") :])
        if vocabulary.path.startswith("asset:")
        else Path(vocabulary.path)
    )


def _root(kind: str) -> Entity:
    other_names = (TOP_TERMS[kind],) if kind in TOP_TERMS else ()
    return Entity(
        f"{ROOT}{kind}",
        kind,
        kind,
        (),
        other_names,
        f"The domain of every {kind}.",
        (),
        "medxiaohe",
        "CC0-1.0",
    )


# ---- writing -------------------------------------------------------------------------------------


def _relations(
    contents: Iterable[Said], union: Union, problems: Problems, counts: Counter[str]
) -> Iterator[Relation]:
    """Relations whose ids lead to entities, each once; mappings that are not exact count as relations."""
    seen = set[tuple[str, str, str, str]]()
    for item in contents:
        matches = (
            Relation(m.a, f"{m.predicate} match", m.b, None, m.source, m.license)
            for m in item.matches
            if m.predicate != "exact"
        )
        for fact in (*item.relations, *matches):
            subject, object = union.of_code(fact.subject), union.of_code(fact.object)
            fingerprint = (subject, fact.predicate, object, fact.source)
            if not subject or (fact.object and not object):
                problems["relation to what is not in the tree"] += 1
            elif fingerprint in seen or subject == object:
                problems["relation said before, or of a thing to itself"] += 1
            else:
                seen.add(fingerprint)
                counts[fact.predicate] += 1
                yield replace(fact, subject=subject, object=object)


def _summary(
    tree: Tree, union: Union, contents: Sequence[Said], num_relations: Counter[str], problems: Problems
) -> dict[str, Any]:
    entities = tree.entities.values()
    layers = Counter(tree.layer(id) for id in tree.entities)
    num_kept = Counter((entity.source, entity.license) for entity in entities)
    num_merged = Counter((merge.source, merge.license) for merge in union.merges)
    num_matches = Counter(match.source for item in contents for match in item.matches)
    return {
        "entities": len(tree),
        "names": len({name.casefold() for name in tree.names}),
        "kinds": dict(Counter(entity.kind for entity in entities)),
        "layers": {str(layer): layers[layer] for layer in sorted(layers)},
        "sources": [
            {
                "name": name,
                "license": license,
                "entities": num_kept[name, license],
                "merged": num_merged[name, license],
            }
            for name, license in dict.fromkeys([*num_kept, *num_merged])
        ],
        "problems": {problem: count for problem, count in sorted(problems.items()) if count},
        "merges": dict(Counter(merge.why for merge in union.merges).most_common()),
        "relations": _most(num_relations),
        "mappings": dict(num_matches),
        "synonyms": {
            "same": sum(len(entity.synonyms) for entity in entities),
            "lay": sum(len(entity.lay) for entity in entities),
            "abbreviations": sum(len(entity.abbreviations) for entity in entities),
            "related": sum(len(entity.related) for entity in entities),
        },
        "xrefs": _most(Counter(prefix(xref) for entity in entities for xref in entity.xrefs)),
    }


def _most(counts: Counter[str]) -> dict[str, int]:
    """The largest counts, and the sum of the others."""
    shown = counts.most_common(NUM_SHOWN)
    rest = counts.total() - sum(count for _, count in shown)
    return {**dict(shown), **({"others": rest} if rest else {})}
