"""MeSH descriptors: desc2026.xml of the US National Library of Medicine, a file you obtain there.

Terms of the preferred concept are synonyms, those of narrower, broader and related concepts related names. A
tree number (C04.557.450) says what is above a descriptor, and its first letters the kind.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from medxiaohe.entity.readers import _tables, _xml
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

LICENSE = "NLM terms for MeSH (free reuse, name the version)"
KINDS = (  # the longest start of a tree number decides
    ("C23", "phenotype"), ("E01.370.350", "modality"), ("F03", "disease"), ("A18", "organism"), ("A11",
    "cell"),
    ("D12.776", "chemical"), ("A", "anatomy"), ("B", "organism"), ("C", "disease"), ("D", "chemical"), ("E",
    "procedure"), ("G", "process"),
)  # fmt: skip
SHORT = ("ABB", "ABX", "ACR", "ACX")  # LexicalTag of abbreviations and acronyms

EXAMPLE: dict[str, str | bytes] = {
    "desc2026.xml": (
        """<?xml version="1.0"?>
<DescriptorRecordSet LanguageCode="eng">
<DescriptorRecord><DescriptorUI>D009369</DescriptorUI><DescriptorName><String>Neoplasms</String></DescriptorName>
<TreeNumberList><TreeNumber>C04</TreeNumber></TreeNumberList>
<ConceptList><Concept PreferredConceptYN="Y"><ScopeNote>New abnormal growth of tissue.</ScopeNote>
<TermList><Term LexicalTag="NON"><String>Neoplasms</String></Term><Term LexicalTag="NON"><String>Tumors</String></Term></TermList>
</Concept></ConceptList></DescriptorRecord>
<DescriptorRecord><DescriptorUI>D008545</DescriptorUI><DescriptorName><String>Melanoma</String></DescriptorName>
<TreeNumberList><TreeNumber>C04.557</TreeNumber></TreeNumberList>
<ConceptList><Concept PreferredConceptYN="Y"><TermList><Term LexicalTag="NON"><String>Malignant Melanoma</String></Term></TermList>
</Concept></ConceptList></DescriptorRecord>
</DescriptorRecordSet>
"""  # noqa: E501
    )
}


def mesh(path: Path | None = None) -> Iterator[Entity]:
    """Read MeSH descriptors.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = _tables.named(path, "mesh")
    results: list[tuple[Entity, tuple[str, ...]]] = []
    for line, record in _xml.elements(path, {"DescriptorRecord"}):
        id, name = _xml.text(record.find("DescriptorUI")), _xml.text(record.find("DescriptorName/String"))
        if not id or not name:
            raise DataError(
                f"{path}:{line}: the DescriptorRecord that ends here has no DescriptorUI or no DescriptorName"
            )
        results.append(_descriptor(record, f"MESH:{id}", name, f"MeSH {_tables.source(path)}"))
    places = {number: entity.id for entity, numbers in results for number in numbers}
    for entity, numbers in results:
        above = (number.rpartition(".")[0] for number in numbers)
        parents = dict.fromkeys(places[number] for number in above if number in places)
        yield Entity(
            entity.id, entity.name, entity.kind, tuple(parents), entity.synonyms, entity.definition, (),
            entity.source, entity.license,
            abbreviations=entity.abbreviations, related=entity.related,
        )  # fmt: skip


def _descriptor(record: Element, id: str, name: str, source: str) -> tuple[Entity, tuple[str, ...]]:
    synonyms, short, related, note = list[str](), list[str](), list[str](), ""
    for concept in record.findall("ConceptList/Concept"):
        preferred = concept.get("PreferredConceptYN") == "Y"
        note = note or (_xml.text(concept.find("ScopeNote")) if preferred else "")
        for term in concept.findall("TermList/Term"):
            text = _xml.text(term.find("String"))
            (synonyms if preferred else related).append(text)
            if preferred and term.get("LexicalTag") in SHORT:
                short.append(text)
    numbers = tuple(_xml.text(number) for number in record.findall("TreeNumberList/TreeNumber"))
    kind = kind_of(numbers) or "other"
    others = tuple(dict.fromkeys(text for text in synonyms if text and text != name))
    entity = Entity(
        id,
        name,
        kind,
        (),
        others,
        note,
        (),
        source,
        LICENSE,
        abbreviations=tuple(short),
        related=tuple(related),
    )
    return entity, numbers


def kind_of(numbers: Sequence[str], kinds: Sequence[tuple[str, str]] = KINDS) -> str:
    """Kind of a MeSH descriptor from its tree numbers.

    A descriptor that is also a disease (a number under C other than C23) is a disease: keloid, melena.

    Args:
        numbers: tree numbers such as C14.280.647.
        kinds: (prefix of a tree number, kind), the first match counts.

    Returns:
        the kind; "" where no prefix matches
    """
    diseases = [number for number in numbers if number.startswith("C") and not number.startswith("C23")]
    numbers = diseases or numbers
    return next((kind for start, kind in kinds for number in numbers if number.startswith(start)), "")
