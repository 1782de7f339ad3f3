"""Any ontology in OBO format 1.2 or 1.4: https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html

Read are id, name, def, is_a, xref, alt_id, is_obsolete and the EXACT synonyms: broad and related ones name
something else, and a linker that believes them finds what is not there.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.readers._terms import Terms
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import Entity

QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
ESCAPE = re.compile(r"\\(.)")
LICENSE_KEYS = ("license", "rights")  # terms:license <URL>, dc:rights, dcterms-license
LICENSE_REMARK = re.compile(r"licen[sc]ed under (?:a |the )?(.+)", re.IGNORECASE)
KIND_OF = {  # prefix of the ids -> kind
    "MONDO": "disease", "DOID": "disease", "ORDO": "disease", "OMIM": "disease",
    "HP": "phenotype", "SYMP": "phenotype", "UBERON": "anatomy", "FMA": "anatomy",
    "CHEBI": "chemical", "CL": "cell", "GO": "process", "MAXO": "procedure",
}  # fmt: skip
OTHER_KIND = "other"

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
        return self.tags.get(tag, [""])[0]


def obo(path: Path | None = None) -> Terms:
    """Terms in the order of the file; returns how many were skipped and why.

    The source is the ontology's name and version from the header, the license that of the header or "".
    """
    if path is None:
        raise ConfigError("the vocabulary obo has no package file: name one with `path:`")
    header, skipped, empty = _Term(0), Counter[str](), True
    for term in _stanzas(path, header):
        empty = False
        if term.first("is_obsolete") == "true" or term.first("name").startswith("obsolete "):
            skipped["obsolete"] += 1
        elif not term.first("name"):
            skipped["unnamed"] += 1
        else:
            yield _entity(term, header, path)
    if empty:
        raise DataError(f"{path}: no [Term] in this file: not OBO, or truncated")
    return skipped


def _stanzas(path: Path, header: _Term) -> Iterator[_Term]:
    """The [Term] stanzas; lines before the first stanza go into `header`, those of [Typedef] and others nowhere."""
    current, kind = header, ""
    for number, line in io.lines(path):
        line = line.strip()
        if line.startswith("["):
            if kind == "[Term]":
                yield _checked(current, path)
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


def _checked(term: _Term, path: Path) -> _Term:
    if not term.first("id"):
        raise DataError(f"{path}:{term.line}: a [Term] without an id")
    return term


def _entity(term: _Term, header: _Term, path: Path) -> Entity:
    id = term.first("id")
    name = _plain(term.first("name"))
    synonyms = (_synonym(value) for value in term.tags.get("synonym", ()))
    xrefs = [_id(value) for value in term.tags.get("xref", ()) if _is_identity(value)]
    return Entity(
        id=id,
        name=name,
        kind=KIND_OF.get(id.partition(":")[0], OTHER_KIND),
        parents=tuple(dict.fromkeys(_id(value) for value in term.tags.get("is_a", ()))),
        synonyms=tuple(dict.fromkeys(s for s in synonyms if s and s != name)),
        definition=_quoted(term.first("def")),
        xrefs=tuple(dict.fromkeys([*term.tags.get("alt_id", ()), *xrefs])),
        source=_source(header, path),
        license=_license(header),
    )


def _synonym(value: str) -> str:
    scope = QUOTED.sub("", value, count=1).split("[")[0].split()
    return _quoted(value) if scope[:1] in ([], ["EXACT"]) and "obsolete_synonym" not in scope else ""


def _is_identity(xref: str) -> bool:
    """MONDO writes of each xref what it means; only {source="MONDO:equivalentTo"} is the same disease."""
    return 'source="MONDO:' not in xref or "MONDO:equivalentTo" in xref


def _id(value: str) -> str:
    return _plain(value.split()[0]) if value else ""


def _quoted(value: str) -> str:
    match = QUOTED.match(value)
    return _plain(match[1]) if match else ""


def _plain(text: str) -> str:
    """Without OBO's backslashes, in one line."""
    return " ".join(ESCAPE.sub(lambda m: {"n": "\n", "t": "\t", "W": " "}.get(m[1], m[1]), text).split())


def _source(header: _Term, path: Path) -> str:
    """Name and version, out of `ontology: mondo/imports/uberon_import` and `data-version: releases/2021-08-03/x.owl`."""
    name = header.first("ontology").split("/")[-1].removesuffix(".obo") or path.name.split(".")[0]
    version = header.first("data-version") or header.first("date")
    date = DATE.search(version)
    return f"{name} {date[0] if date else version}".strip()


def _license(header: _Term) -> str:
    for key in LICENSE_KEYS:
        for value in header.tags.get("property_value", ()):
            if value.split()[0].endswith(key):
                return value.partition(" ")[2].removesuffix("xsd:string").removesuffix("xsd:anyURI").strip().strip('"')
    remarks = map(LICENSE_REMARK.search, header.tags.get("remark", ()))
    return next((match[1].strip() for match in remarks if match), "")
