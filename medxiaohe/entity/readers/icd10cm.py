"""ICD-10-CM, the diagnosis codes: tabular list in XML (package simple-icd-10-cm, or CDC's own file).

Chapters, blocks (A00-A09) and codes, each below the one before. An inclusion term is a condition that the
code is used for: one of several, or a narrower one (Goldenhar syndrome is one of the syndromes of Q87.0). It
is a synonym only where it has the words of the title in another order or form, else a related name, which
nobody looks for in texts. Codes with a seventh character (S72.001A, initial encounter) are cross-references
of the code without it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from medxiaohe import assets
from medxiaohe.entity.readers import _xml
from medxiaohe.errors import DataError
from medxiaohe.types import Entity

LICENSE = "ICD-10-CM: NCHS (CDC) and CMS; ICD-10 is copyright of the WHO"
# chapter -> kind; all others are diseases and injuries
KINDS = {"18": "phenotype", "20": "exposure", "21": "factor"}
RANGE = re.compile(r"\s*\(([A-Z]\w+-[A-Z]\w+)\)\s*$")
RESIDUAL = re.compile(r"\b(?:other|unspecified|not elsewhere classified|unsp)\b", re.IGNORECASE)
NOS = re.compile(r",? NOS$")
WORD = re.compile(r"[a-z0-9]+")
# words that a title and an inclusion term may differ in and still be one thing
EMPTY = frozenset("an and by due for from in nos of on or the to unspecified with".split())

EXAMPLE: dict[str, str | bytes] = {
    "icd10c-tabular.xml": """<?xml version="1.0" encoding="utf-8"?>
<ICD10CM.tabular>
  <version>2026</version>
  <chapter>
    <name>1</name>
    <desc>Certain infectious and parasitic diseases (A00-B99)</desc>
    <section id="A00-A09">
      <desc>Intestinal infectious diseases (A00-A09)</desc>
      <diag><name>A01</name><desc>Typhoid and paratyphoid fevers</desc>
        <diag><name>A01.0</name><desc>Typhoid fever</desc>
          <inclusionTerm><note>Infection due to Salmonella typhi</note></inclusionTerm>
        </diag>
      </diag>
    </section>
  </chapter>
</ICD10CM.tabular>
"""
}


def icd10cm(path: Path | None = None) -> Iterator[Entity]:
    """Read the codes of ICD-10-CM.

    Args:
        path: of the vocabulary; None: the package file.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = path or assets.folder("icd10cm")
    file = (
        path
        if not path.is_dir()
        else next(iter(sorted(path.rglob("*tabular*.xml"))), path / "icd10c-tabular.xml")
    )
    version = ""
    for line, element in _xml.elements(file, {"version", "chapter"}):
        if element.tag == "version":
            version = _xml.text(element)
            continue
        number, title = _xml.text(element.find("name")), _xml.text(element.find("desc"))
        if not number or not title:
            raise DataError(f"{file}:{line}: the chapter that ends here has no name or no desc")
        kind, source = KINDS.get(number, "disease"), f"ICD-10-CM {version}".strip()
        codes = RANGE.search(title)
        top = f"ICD10CM:{codes[1] if codes else f'chapter-{number}'}"
        yield Entity(top, RANGE.sub("", title), kind, (), source=source, license=LICENSE)
        for section in element.iter("section"):
            block = f"ICD10CM:{_range(section.get('id', ''))}"
            if block != top:
                yield Entity(
                    block,
                    RANGE.sub("", _xml.text(section.find("desc"))),
                    kind,
                    (top,),
                    source=source,
                    license=LICENSE,
                )
            for diag in section.findall("diag"):
                yield from _codes(diag, block, kind, source, f"{file}:{line}", ())


def _range(id: str) -> str:
    """A block of one code, B20, is B20-B20: the code has an id of its own."""
    return id if "-" in id else f"{id}-{id}"


def _codes(
    diag: Element, parent: str, kind: str, source: str, location: str, seventh: tuple[str, ...]
) -> Iterator[Entity]:
    """Yield a code and its descendants; `seventh` are the seventh characters that an ancestor defines for
    them.
    """
    code, title = _xml.text(diag.find("name")), _xml.text(diag.find("desc"))
    if not code:
        raise DataError(f"{location}: a code of the chapter that ends here has no name")
    id = f"ICD10CM:{code}"
    notes = tuple(NOS.sub("", _xml.text(note)) for note in diag.findall("inclusionTerm/note"))
    of_title = frozenset[str]() if RESIDUAL.search(title) else _words(title)
    synonyms = tuple(note for note in notes if of_title and _words(note) == of_title)
    related = tuple(note for note in notes if note not in synonyms)
    own = tuple(item.get("char", "") for item in diag.findall("sevenChrDef/extension"))
    seventh = own or seventh
    below = diag.findall("diag")
    codes = () if below else tuple(f"{id.ljust(len('ICD10CM:A00.000'), 'X')}{item}" for item in seventh)
    yield Entity(
        id, title, kind, (parent,), synonyms, source=source, license=LICENSE, related=related,
        xrefs=tuple(full if "." in id else f"{id}.XXX{full[-1]}" for full in codes),
    )  # fmt: skip
    for child in below:
        yield from _codes(child, id, kind, source, location, seventh)


def _words(text: str) -> frozenset[str]:
    """Content words, without the endings of plurals."""
    return frozenset(word.removesuffix("s") for word in WORD.findall(text.lower())) - EMPTY
