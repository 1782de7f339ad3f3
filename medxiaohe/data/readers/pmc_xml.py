"""Articles of PubMed Central as JATS XML (.xml or .nxml): title, abstract, sections, and figures with their
captions.

A figure whose image lies beside the file (name of `graphic`, with or without ending) stands in the text where
the article has it, before its caption; the captions of the others are kept as text. A paragraph keeps all its
words around a figure, and a formula one of its forms. References and tables are left out.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import files
from medxiaohe.data.formats.markup import local, parsed, text
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.types import ImageRef, Message, Part, Sample

APART = (".xml", ".nxml")  # no file of a folder says anything about another
EXAMPLE = {
    "PMC1.xml": (
        """<?xml version="1.0"?>
<article xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta><article-id pub-id-type="pmc">PMC1</article-id>
<title-group><article-title>Pneumothorax in a <italic>young</italic> man</article-title></title-group>
<permissions><license xlink:href="https://creativecommons.org/licenses/by/4.0/"><license-p>Open.</license-p></license></permissions>
<abstract><p>A man of 20 years had chest pain.</p></abstract></article-meta></front>
<body><sec><title>Case</title><p>The radiograph showed a right pneumothorax.</p>
<fig id="f1"><label>Figure 1</label><caption><p>Chest radiograph.</p></caption><graphic xlink:href="PMC1-g001"/></fig></sec></body>
</article>
"""  # noqa: E501
    )
}
DOCUMENT = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.DOTALL)
PICTURES = ("", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".webp")
LEFT_OUT = (
    "table-wrap",
    "ref-list",
    "table",
    "disp-formula",
    "supplementary-material",
    "label",
    "title",
    "graphic",
)


def pmc_xml(path: Path, *, license: str = "not stated") -> Iterator[Sample | DeadLetter]:
    """Read JATS articles with their figures.

    Args:
        path: an .xml or .nxml file, or a folder of them.
        license: of articles that state none.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    yield from files.each(files.files(path, *APART), lambda file: _articles(file, license), path)


def _articles(file: Path, license: str) -> Iterator[Sample | DeadLetter]:
    root = parsed(file)
    articles = [root] if local(root) == "article" else root.findall("article")
    if not articles:
        raise Rejected("format", f"{file.name}: no JATS article, the root is {local(root)[:40]}", 0)
    for number, article in enumerate(articles, start=1):
        try:
            yield _sample(article, file, number, license)
        except Rejected as error:
            yield files.rejected(f"{file.name}:{number}", error)


def _sample(article: xml.Element, file: Path, number: int, license: str) -> Sample:
    meta = article.find("front/article-meta")
    if meta is None:
        raise Rejected("row", "no article-meta")
    ids = {article_id.get("pub-id-type", ""): text(article_id) for article_id in meta.findall("article-id")}
    id = next((ids[kind] for kind in ("pmc", "pmcid", "pmc-aiid", "pmid", "doi") if ids.get(kind)), "")
    id = f"PMC{id}" if id.isdigit() and ("pmc" in ids or "pmcid" in ids) else id or f"{file.stem}:{number}"
    parts: list[Part] = [_plain(meta.find("title-group/article-title"))]
    figures: list[dict[str, Any]] = []
    for abstract in meta.findall("abstract"):
        _walk(abstract, parts, figures, file)
    for section in ("body", "floats-group"):
        if (element := article.find(section)) is not None:
            _walk(element, parts, figures, file)
    parts = _joined(parts)
    if not any(isinstance(part, str) and part.strip() for part in parts):
        raise Rejected("empty", "the article has no text")
    return Sample(
        id=id,
        messages=(Message("document", tuple(parts)),),
        source="pmc",
        license=_license(meta) or license,
        study_id=id,
        meta={"ids": ids, "figures": figures},
    )


def _walk(element: xml.Element, parts: list[Part], figures: list[dict[str, Any]], file: Path) -> None:
    title = _plain(element.find("title"))
    if title:
        parts.append(title)
    for child in element:
        name = local(child)
        if name in ("p", "disp-quote", "list"):
            words: list[str] = []
            _flow(child, words, parts, figures, file)
            _flush(words, parts)
        elif name == "fig":
            _figure(child, parts, figures, file)
        elif name and name not in LEFT_OUT:
            _walk(child, parts, figures, file)


def _flow(
    element: xml.Element, words: list[str], parts: list[Part], figures: list[dict[str, Any]], file: Path
) -> None:
    """Collect the words of a paragraph in order, with its figures at their positions."""
    words.append(element.text or "")
    for child in element:
        name = local(child)
        if name == "fig":
            _flush(words, parts)
            _figure(child, parts, figures, file)
        elif name == "tex-math":
            words.append(_formula(child, element))
        elif name and name not in ("table-wrap", "table", "supplementary-material", "graphic", "annotation"):
            _flow(child, words, parts, figures, file)
            if name in ("p", "list-item", "title", "label"):
                words.append(" ")
        words.append(child.tail or "")


def _flush(words: list[str], parts: list[Part]) -> None:
    parts.append(" ".join("".join(words).split()))
    words.clear()


def _formula(tex: xml.Element, parent: xml.Element) -> str:
    """Return a formula in LaTeX without the document around it; "" if the same formula is there in MathML."""
    if any(local(child) == "math" for child in parent):
        return ""
    body = DOCUMENT.search(text(tex))
    return (body[1] if body else text(tex)).strip(" $")


def _plain(element: xml.Element | None) -> str:
    """Return the words of a title or caption; of a formula only one of its forms."""
    if element is None:
        return ""
    words: list[str] = []
    _flow(element, words, [], [], Path())
    return " ".join("".join(words).split())


def _figure(fig: xml.Element, parts: list[Part], figures: list[dict[str, Any]], file: Path) -> None:
    caption = " ".join(filter(None, (_plain(fig.find("label")), _plain(fig.find("caption")))))
    file_name = ""
    again = {id(element) for box in fig.iter() if local(box) == "alternatives" for element in list(box)[1:]}
    for graphic in fig.iter():
        if local(graphic) == "graphic" and not (id(graphic) in again and file_name):
            name = next((value for key, value in graphic.attrib.items() if key.endswith("href")), "")
            if picture := _beside(name, file):
                parts.append(ImageRef(str(picture)))
                file_name = picture.name
    parts.append(caption)
    figures.append({"id": fig.get("id", ""), "caption": caption, "file": file_name})


def _beside(name: str, file: Path) -> Path | None:
    """Find the picture of that name in the folder of the article; a name that leads elsewhere is ignored."""
    for ending in PICTURES if name else ():
        try:
            if (picture := files.inside(name + ending, file.parent)).is_file():
                return picture
        except Rejected:
            return None
    return None


def _joined(parts: list[Part]) -> list[Part]:
    """Join neighbouring texts to one part."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] = "\n\n".join(filter(None, (joined[-1], part)))
        elif part:
            joined.append(part)
    return joined


def _license(meta: xml.Element) -> str:
    license = meta.find("permissions/license")
    if license is None:
        return ""
    address = next((value for key, value in license.attrib.items() if key.endswith("href")), "")
    return address or license.get("license-type", "") or text(license)[:120]
