"""Any ontology in OBO format 1.2 or 1.4: https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html

Read are id, name, def, is_a, relationship, xref, alt_id, is_obsolete and the synonyms. EXACT ones are
synonyms, those marked as such are lay names or abbreviations. RELATED and NARROW ones are kept as related
names: they name something else, and a linker that believes them finds what is not there. BROAD ones are left
out.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.readers._terms import Terms
from medxiaohe.entity.tree.ids import kind_of
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import Entity, Relation

QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
ESCAPE = re.compile(r"\\(.)")
LICENSE_KEYS = ("license", "rights")  # terms:license <URL>, dc:rights, dcterms-license
LICENSE_REMARK = re.compile(r"licen[sc]ed under (?:a |the )?(.+)", re.IGNORECASE)
# where no [Typedef] names them
PREDICATES = {"BFO:0000050": "part of", "BFO:0000051": "has part", "RO:0000087": "has role"}

EXAMPLE: dict[str, str | bytes] = {
    "tiny.obo": """format-version: 1.2
data-version: releases/2026-01-01
ontology: doid
property_value: terms:license https://creativecommons.org/publicdomain/zero/1.0/ xsd:string

[Term]
id: DOID:4
name: disease

[Term]
id: DOID:1115
name: sarcoma
def: "A cancer of \\"connective\\" tissue." [url:http\\://example.org/sarcoma]
synonym: "sarcomas" EXACT []
synonym: "soft lump" BROAD []
xref: MESH:D012509 "Sarcoma"
is_a: DOID:4 ! disease

[Term]
id: DOID:5
name: obsolete disease
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""
}


@dataclass
class _Term:
    """A stanza while its lines are read."""

    line: int
    tags: dict[str, list[str]] = field(default_factory=dict)

    def first(self, tag: str) -> str:
        """First value of a tag.

        Returns:
            "" where the stanza does not have the tag
        """
        return self.tags.get(tag, [""])[0]


def obo(path: Path | None = None) -> Terms:
    """Terms in the order of the file; returns how many were skipped and why.

    The source is the ontology's name and version from the header, the license that of the header or "".

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    if path is None:
        raise ConfigError("the vocabulary obo has no package file: name one with `path:`")
    header, skipped, empty = _Term(0), Counter[str](), True
    facts: list[tuple[str, str, str]] = []
    predicates = dict(PREDICATES)
    for term in _stanzas(path, header, predicates):
        empty = False
        if term.first("is_obsolete") == "true" or term.first("name").startswith("obsolete "):
            skipped["obsolete"] += 1
        elif not term.first("name"):
            skipped["unnamed"] += 1
        else:
            yield _entity(term, header, path)
            facts += ((term.first("id"), *_fact(value)) for value in term.tags.get("relationship", ()))
    source, license = _source(header, path), _license(header)
    for subject, predicate, object in facts:
        yield Relation(
            subject, predicates.get(predicate, predicate).replace("_", " "), object, None, source, license
        )
    if empty:
        raise DataError(f"{path}: no [Term] in this file: not OBO, or truncated")
    return skipped


def _stanzas(path: Path, header: _Term, predicates: dict[str, str]) -> Iterator[_Term]:
    """The [Term] stanzas; lines before the first stanza go into `header`, names of [Typedef]s into
    `predicates`."""
    current, kind = header, ""
    for number, line in io.lines(path):
        line = line.strip()
        if line.startswith("["):
            if kind == "[Term]":
                yield _checked(current, path)
            elif kind == "[Typedef]":
                _name_predicate(current, predicates)
            current, kind = _Term(number), line
        elif line and line[0] != "!":
            tag, colon, value = line.partition(":")
            if not colon:
                raise DataError(f"{path}:{number}: an OBO line must be `tag: value`, not {line[:80]!r}")
            value = value.strip()
            if tag in ("def", "synonym") and not QUOTED.match(value):
                raise DataError(f'{path}:{number}: the text of `{tag}` must be in "quotes": {value[:80]!r}')
            current.tags.setdefault(tag, []).append(value)
    if kind == "[Term]":
        yield _checked(current, path)
    elif kind == "[Typedef]":
        _name_predicate(current, predicates)


def _name_predicate(typedef: _Term, predicates: dict[str, str]) -> None:
    for id in (typedef.first("id"), *map(_id, typedef.tags.get("xref", ()))):
        predicates.setdefault(id, typedef.first("name") or typedef.first("id"))


def _checked(term: _Term, path: Path) -> _Term:
    if not term.first("id"):
        raise DataError(f"{path}:{term.line}: a [Term] without an id")
    return term


def _entity(term: _Term, header: _Term, path: Path) -> Entity:
    id = term.first("id")
    name = _plain(term.first("name"))
    named: dict[str, list[str]] = {"exact": [], "related": [], "lay": [], "abbreviation": []}
    for value in term.tags.get("synonym", ()):
        for kind in _synonym_kinds(value):
            named[kind].append(_quoted(value))
    xrefs = [_id(value) for value in term.tags.get("xref", ()) if _is_identity(value)]
    return Entity(
        id=id,
        name=name,
        kind=kind_of(id),
        parents=tuple(dict.fromkeys(_id(value) for value in term.tags.get("is_a", ()))),
        synonyms=tuple(dict.fromkeys(s for s in named["exact"] if s and s != name)),
        definition=_quoted(term.first("def")),
        xrefs=tuple(dict.fromkeys([*term.tags.get("alt_id", ()), *xrefs])),
        source=_source(header, path),
        license=_license(header),
        lay=tuple(dict.fromkeys(named["lay"])),
        abbreviations=tuple(dict.fromkeys(named["abbreviation"])),
        related=tuple(dict.fromkeys(named["related"])),
    )


def _synonym_kinds(value: str) -> Iterator[str]:
    """Of `"text" SCOPE TYPE [sources]`: exact or related, and what the type says of an exact one."""
    words = QUOTED.sub("", value, count=1).split("[")[0].split()
    if "obsolete_synonym" in words:
        return
    if words[:1] in ([], ["EXACT"]):
        yield "exact"
        if "layperson" in words:
            yield "lay"
        if "OMO:0003012" in words or "abbreviation" in words:
            yield "abbreviation"
    elif words[0] in ("RELATED", "NARROW"):
        yield "related"


def _fact(value: str) -> tuple[str, str]:
    """Predicate and object of `part_of UBERON:1 ! lung`."""
    predicate, object, *_ = [*value.split(), "", ""]
    return predicate, object


def _is_identity(xref: str) -> bool:
    """MONDO writes of each xref what it means; only {source="MONDO:equivalentTo"} is the same disease."""
    return 'source="MONDO:' not in xref or "MONDO:equivalentTo" in xref


def _id(value: str) -> str:
    return _plain(value.split()[0]) if value else ""


def _quoted(value: str) -> str:
    match = QUOTED.match(value)
    return _plain(match[1]) if match else ""


def _plain(text: str) -> str:
    """Text in one line, without the backslash escapes of OBO."""
    return " ".join(ESCAPE.sub(lambda m: {"n": "\n", "t": "\t", "W": " "}.get(m[1], m[1]), text).split())


def _source(header: _Term, path: Path) -> str:
    """Name and version, out of `ontology: mondo/imports/uberon_import` and `data-version:
    releases/2021-08-03/x.owl`."""
    name = header.first("ontology").split("/")[-1].removesuffix(".obo") or path.name.split(".")[0]
    version = header.first("data-version") or header.first("date")
    date = DATE.search(version)
    return f"{name} {date[0] if date else version}".strip()


def _license(header: _Term) -> str:
    for key in LICENSE_KEYS:
        for value in header.tags.get("property_value", ()):
            if value.split()[0].endswith(key):
                return (
                    value.partition(" ")[2]
                    .removesuffix("xsd:string")
                    .removesuffix("xsd:anyURI")
                    .strip()
                    .strip('"')
                )
    remarks = map(LICENSE_REMARK.search, header.tags.get("remark", ()))
    return next((match[1].strip() for match in remarks if match), "")
