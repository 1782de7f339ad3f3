"""Any ontology in OWL, of its RDF/XML form the part that vocabularies use; memory holds one class at a time.

Read are owl:Class with rdf:about, rdfs:label or skos:prefLabel, rdfs:subClassOf (a class is a parent, a
restriction "some" a relation), definitions, xrefs and the synonyms of oboInOwl and SKOS. Axioms about axioms
are not read.
"""

from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element

from medxiaohe.entity.readers import _tables, _xml
from medxiaohe.entity.readers._terms import Terms
from medxiaohe.entity.tree.ids import curie, kind_of
from medxiaohe.types import Entity, Relation

OWL, RDF = "{http://www.w3.org/2002/07/owl#}", "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
RDFS, SKOS = "{http://www.w3.org/2000/01/rdf-schema#}", "{http://www.w3.org/2004/02/skos/core#}"
OBO, OIO = "{http://purl.obolibrary.org/obo/}", "{http://www.geneontology.org/formats/oboInOwl#}"
LABELS = (f"{RDFS}label", f"{SKOS}prefLabel")
EXACT = (f"{OIO}hasExactSynonym", f"{SKOS}altLabel")
RELATED = (f"{OIO}hasRelatedSynonym", f"{OIO}hasNarrowSynonym", f"{SKOS}hiddenLabel")
DEFINITIONS = (f"{OBO}IAO_0000115", f"{SKOS}definition")
XREFS = (f"{OIO}hasDbXref", f"{SKOS}exactMatch", f"{OIO}hasAlternativeId")

EXAMPLE: dict[str, str | bytes] = {
    "tiny.owl": (
        """<?xml version="1.0"?>
<!DOCTYPE rdf:RDF [ <!ENTITY obo "http://purl.obolibrary.org/obo/"> ]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#"
  xmlns:owl="http://www.w3.org/2002/07/owl#" xmlns:oboInOwl="http://www.geneontology.org/formats/oboInOwl#"
  xmlns:obo="http://purl.obolibrary.org/obo/" xmlns:terms="http://purl.org/dc/terms/">
<owl:Ontology rdf:about="&obo;doid.owl"><owl:versionIRI rdf:resource="&obo;doid/releases/2026-07-31/doid.owl"/>
<terms:license rdf:resource="https://creativecommons.org/publicdomain/zero/1.0/"/></owl:Ontology>
<owl:Class rdf:about="&obo;DOID_4"><rdfs:label>disease</rdfs:label></owl:Class>
<owl:Class rdf:about="&obo;DOID_1115"><rdfs:label>sarcoma</rdfs:label>
<rdfs:subClassOf rdf:resource="&obo;DOID_4"/>
<rdfs:subClassOf><owl:Restriction><owl:onProperty rdf:resource="&obo;RO_0004026"/>
<owl:someValuesFrom rdf:resource="&obo;UBERON_0002384"/></owl:Restriction></rdfs:subClassOf>
<obo:IAO_0000115>A cancer of connective tissue.</obo:IAO_0000115>
<oboInOwl:hasExactSynonym>sarcomas</oboInOwl:hasExactSynonym>
<oboInOwl:hasDbXref>MESH:D012509</oboInOwl:hasDbXref></owl:Class>
</rdf:RDF>
"""  # noqa: E501
    )
}


def owl(path: Path | None = None) -> Terms:
    """Classes and their relations; returns how many classes were skipped and why.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = _tables.named(path, "owl")
    source, license = _tables.source(path), ""
    skipped = Counter[str]()
    predicates: dict[str, str] = {}
    facts: list[tuple[str, str, str]] = []
    for _, element in _xml.elements(path, {f"{OWL}Ontology", f"{OWL}Class", f"{OWL}ObjectProperty"}):
        about = element.get(f"{RDF}about", "")
        if element.tag == f"{OWL}Ontology":
            source, license = _about(element, about, source)
        elif element.tag == f"{OWL}ObjectProperty":
            predicates[curie(about)] = _first(element, LABELS)
        elif not about:
            skipped["unnamed"] += 1
        elif _first(element, (f"{OWL}deprecated",)).lower() == "true":
            skipped["obsolete"] += 1
        elif not _first(element, LABELS):
            skipped["unnamed"] += 1
        else:
            yield _entity(element, curie(about), source, license)
            facts += _facts(element, curie(about))
    for subject, predicate, object in facts:
        yield Relation(subject, predicates.get(predicate) or predicate, object, None, source, license)
    return skipped


def _entity(element: Element, id: str, source: str, license: str) -> Entity:
    parents = (above.get(f"{RDF}resource") for above in element.findall(f"{RDFS}subClassOf"))
    name, *labels = _all(element, LABELS)
    return Entity(
        id, name, kind_of(id),
        tuple(dict.fromkeys(curie(p) for p in parents if p and not p.endswith("#Thing"))),
        (*labels, *_all(element, EXACT)), _first(element, DEFINITIONS), _all(element, XREFS), source, license,
        related=_all(element, RELATED),
    )  # fmt: skip


def _facts(element: Element, id: str) -> list[tuple[str, str, str]]:
    results = []
    for restriction in element.findall(f"{RDFS}subClassOf/{OWL}Restriction"):
        on, filler = restriction.find(f"{OWL}onProperty"), restriction.find(f"{OWL}someValuesFrom")
        if on is not None and filler is not None and filler.get(f"{RDF}resource"):
            results.append((id, curie(on.get(f"{RDF}resource", "")), curie(filler.get(f"{RDF}resource", ""))))
    return results


def _about(element: Element, about: str, fallback: str) -> tuple[str, str]:
    version = element.find(f"{OWL}versionIRI")
    parts = (version.get(f"{RDF}resource", "") if version is not None else "").split("/")
    release = next((segment for segment in parts if segment[:4].isdigit()), "")
    license = next(
        (
            child.get(f"{RDF}resource") or _xml.text(child)
            for child in element
            if child.tag.endswith("}license")
        ),
        "",
    )
    return f"{about.rpartition('/')[2].removesuffix('.owl') or fallback} {release}".strip(), license


def _all(element: Element, tags: tuple[str, ...]) -> tuple[str, ...]:
    texts = (
        _xml.text(child) or child.get(f"{RDF}resource", "")
        for tag in tags
        for child in element.findall(tag)
        if _is_english(child)
    )
    return tuple(dict.fromkeys(text for text in texts if text))


def _first(element: Element, tags: tuple[str, ...]) -> str:
    return next(iter(_all(element, tags)), "")


def _is_english(element: Element) -> bool:
    return element.get("{http://www.w3.org/XML/1998/namespace}lang", "en").lower().startswith("en")
