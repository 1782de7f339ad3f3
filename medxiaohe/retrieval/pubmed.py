"""Read PubMed XML (baseline and update files, .xml or .xml.gz) as a stream of articles, one in memory at a
time.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from medxiaohe import io
from medxiaohe.errors import DataError, Rejected
from medxiaohe.io.packed import Bounded, damage, opened
from medxiaohe.types import Split

BLOCK, RATIO = 2**16, 30  # PubMed files unpack to 8 to 12 times their size
MAX_DEPTH = 200
# of one record, tags counted as they open and close; a paper of 3,000 authors has 2 MiB and 50,000
MAX_RECORD, MAX_ELEMENTS = 16 * 2**20, 400_000


@dataclass(frozen=True, slots=True)
class Article:
    """A PubMed record, with the fields that the readers use."""

    pmid: str
    title: str  # "[...]." is PubMed's way to say that the title is translated
    abstract: str = ""  # sections keep their label: "METHODS: ..."
    mesh: tuple[tuple[str, bool], ...] = ()  # descriptor, and whether it is a major topic
    publication_types: tuple[str, ...] = ()
    year: int | None = None
    copyright: str = ""  # CopyrightInformation of the abstract; "" when the record states none
    journal: str = ""
    language: str = ""


def articles(path: Path, *, refused: Callable[[DataError], None] | None = None) -> Iterator[Article]:
    """Read the articles of a PubMed XML file, or of every .xml and .xml.gz file of a folder in order of name.

    Args:
        path: an XML file, packed or not, or a folder of them.
        refused: receives the error of a record that cannot be used, and the next one is read; without it the
            error is raised.

    Yields:
        articles, in the order of the file.

    Raises:
        DataError: a file is missing, damaged, no PubMed XML, or past a limit; what stands before the damage
            has been given by then.
    """
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.name.endswith((".xml", ".xml.gz")))
        if not files:
            raise DataError(f"no .xml or .xml.gz file in {path}")
        for source in files:
            yield from articles(source, refused=refused)
        return
    if not path.exists():
        raise DataError(f"no such file: {path}")
    try:
        with opened(path, ratio=RATIO) as file:
            yield from _stream(file, path, refused)
    except DataError:
        raise
    except (xml.ParseError, LookupError) as error:  # LookupError: an encoding that does not exist
        raise Rejected("xml", f"{path}: truncated or not PubMed XML: {error}") from error
    except damage() as error:
        raise Rejected("truncated", f"{path}: truncated or not PubMed XML: {error}") from error


def split_of(pmid: str) -> Split:
    """Assign an article to a split: 90 % train, 5 % validation, 5 % test. Everything that reads PubMed
    uses this rule.

    Args:
        pmid: PubMed id as text.

    Returns:
        train, validation or test, by a hash of the id
    """
    value = io.unit_interval("pubmed", pmid)
    return "train" if value < 0.90 else "validation" if value < 0.95 else "test"


def _stream(file: Bounded, path: Path, refused: Callable[[DataError], None] | None) -> Iterator[Article]:
    parser: Any = xml.XMLPullParser(("start", "end"))
    root: xml.Element | None = None
    head = b""
    depth = num_elements = num_bytes = 0  # of the record at hand
    while block := file.read(BLOCK):
        if root is None and b"<!ENTITY" in (head := (head[-8:] + block).replace(b"\0", b"")):
            raise Rejected("xml", f"{path}: it declares entities of its own, which are not expanded")
        parser.feed(block)
        num_bytes += len(block)
        for event, element in parser.read_events():
            if root is None:
                root = cast(xml.Element, element)
                if root.tag not in ("PubmedArticleSet", "PubmedArticle"):
                    raise Rejected(
                        "format", f"{path}: the root must be PubmedArticleSet, not {root.tag[:60]}"
                    )
            depth += 1 if event == "start" else -1
            num_elements += 1
            if depth > MAX_DEPTH:
                raise Rejected("too_deep", f"{path}: nested deeper than {MAX_DEPTH}")
            if event == "end" and element.tag == "PubmedArticle":
                try:
                    article = _article(element, path)
                except DataError as error:
                    if refused is None:
                        raise
                    refused(error)
                else:
                    yield article
            if event == "end" and depth <= 1:  # an article, a deletion, a book
                root.clear()
                num_elements = num_bytes = 0
        if num_bytes > MAX_RECORD or num_elements > MAX_ELEMENTS:
            raise Rejected(
                "too_large", f"{path}: a record of more than {MAX_RECORD >> 20} MiB or {MAX_ELEMENTS:,} tags"
            )
    parser.close()
    for _ in parser.read_events():  # raises what is missing at the end
        pass


def _article(element: xml.Element, path: Path) -> Article:
    pmid = _text(element.find("MedlineCitation/PMID"))
    article = element.find("MedlineCitation/Article")
    if not pmid or article is None:
        raise DataError(f"{path}: a PubmedArticle without PMID or Article (PMID {pmid or 'absent'})")
    abstract = article.find("Abstract")
    sections = [] if abstract is None else [_section(part) for part in abstract.findall("AbstractText")]
    return Article(
        pmid=pmid,
        title=_text(article.find("ArticleTitle")),
        abstract="\n".join(filter(None, sections)),
        mesh=tuple(_heading(h) for h in element.findall("MedlineCitation/MeshHeadingList/MeshHeading")),
        publication_types=tuple(_text(t) for t in article.findall("PublicationTypeList/PublicationType")),
        year=_year(article),
        copyright=_text(article.find("Abstract/CopyrightInformation")),
        journal=_text(article.find("Journal/Title")),
        language=_text(article.find("Language")),
    )


def _heading(element: xml.Element) -> tuple[str, bool]:
    """A descriptor is a major topic when it, or one of its qualifiers, is marked so."""
    return _text(element.find("DescriptorName")), any(part.get("MajorTopicYN") == "Y" for part in element)


def _section(element: xml.Element) -> str:
    label, text = element.get("Label", ""), _text(element)
    return f"{label}: {text}" if label and text and label != "UNLABELLED" else text


def _year(article: xml.Element) -> int | None:
    date = article.find("Journal/JournalIssue/PubDate")
    match = re.search(r"\b(1[89]|20)\d\d\b", " ".join(date.itertext())) if date is not None else None
    return int(match[0]) if match else None


def _text(element: xml.Element | None) -> str:
    """All text below an element, inline markup included, with single spaces."""
    return "" if element is None else " ".join("".join(element.itertext()).split())
