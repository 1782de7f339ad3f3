"""PubMed XML (baseline and update files, .xml or .xml.gz) as a stream of articles, one in memory at a
time."""

from __future__ import annotations

import gzip
import re
import xml.etree.ElementTree as xml
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.types import Split


@dataclass(frozen=True, slots=True)
class Article:
    pmid: str
    title: str  # "[...]." is PubMed's way to say that the title is translated
    abstract: str = ""  # sections keep their label: "METHODS: ..."
    mesh: tuple[tuple[str, bool], ...] = ()  # descriptor, and whether it is a major topic
    publication_types: tuple[str, ...] = ()
    year: int | None = None
    copyright: str = ""  # CopyrightInformation of the abstract; "" when the record states none
    journal: str = ""
    language: str = ""


def articles(path: Path) -> Iterator[Article]:
    """Every PubmedArticle of a file, or of every .xml and .xml.gz file of a folder, in order of name."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.name.endswith((".xml", ".xml.gz")))
        if not files:
            raise DataError(f"no .xml or .xml.gz file in {path}")
        for one in files:
            yield from articles(one)
        return
    try:
        with _open(path) as file:
            yield from _stream(file, path)
    except FileNotFoundError as error:
        raise DataError(f"no such file: {path}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, xml.ParseError) as error:
        raise DataError(f"{path}: truncated or not PubMed XML: {error}") from error


def split_of(pmid: str) -> Split:
    """90 % train, 5 % validation, 5 % test: the one rule of everything that reads PubMed."""
    value = io.unit_interval("pubmed", pmid)
    return "train" if value < 0.90 else "validation" if value < 0.95 else "test"


def _stream(file: IO[bytes], path: Path) -> Iterator[Article]:
    root = None
    for event, element in xml.iterparse(file, events=("start", "end")):
        if root is None:
            root = element
            if root.tag not in ("PubmedArticleSet", "PubmedArticle"):
                raise DataError(f"{path}: the root must be PubmedArticleSet, not {root.tag}")
        if event == "end" and element.tag == "PubmedArticle":
            yield _article(element, path)
            root.clear()


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
    found = re.search(r"\b(1[89]|20)\d\d\b", " ".join(date.itertext())) if date is not None else None
    return int(found[0]) if found else None


def _text(element: xml.Element | None) -> str:
    """All text below an element, inline markup included, with single spaces."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]
