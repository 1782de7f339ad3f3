"""Web pages that were saved (.html, .htm): the text of the article, and its figures with captions where the
images lie beside it.

Menus, scripts, forms and footers are left out. Nothing is fetched: an image is used when its path leads to a
file of the corpus.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from medxiaohe.data.formats import files
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.types import ImageRef, Message, Part, Sample

APART = (".html", ".htm", ".xhtml")  # no file of a folder says anything about another
EXAMPLE = {
    "page.html": (
        """<!doctype html><html><head><title>Scurvy</title><style>p {color: red}</style></head><body><nav>Home</nav>
<main><h1>Scurvy</h1><p>Scurvy follows a lack of vitamin&nbsp;C.</p><ul><li>Bleeding gums</li></ul></main>
<footer>2020</footer></body></html>
"""  # noqa: E501
    )
}
MAX_HTML = 16 * 2**20
MAX_TAGS, MAX_ATTRIBUTES = 300_000, 2_000  # a tag takes about 7 microseconds, an attribute about 800 bytes
TAG, LONG = re.compile(r"<[a-zA-Z/][^>]*"), 8000  # characters; most tags beyond hold an image as a data: URI
LEFT_OUT = frozenset(
    "script style nav header footer aside form noscript svg button select template iframe head".split()
)
BLOCKS = frozenset(
    "p div section article main h1 h2 h3 h4 h5 h6 li ul ol dl dt dd br tr table figure figcaption blockquote"
    " pre td th".split()
)
MIN_WORDS = 3


def html(path: Path, *, license: str = "not stated") -> Iterator[Sample | DeadLetter]:
    """Read the articles of saved web pages.

    Args:
        path: an .html or .htm file, or a folder of them.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    base = path if path.is_dir() else path.parent
    yield from files.each(files.files(path, *APART), lambda file: _page(file, base, license), path)


def _page(file: Path, base: Path, license: str) -> Iterator[Sample | DeadLetter]:
    words = files.words(file, MAX_HTML)
    _check(words, file.name)
    page = _Page()
    page.feed(words)
    page.close()
    parts = page.parts(file.parent, base)
    if sum(len(part.split()) for part in parts if isinstance(part, str)) < MIN_WORDS:
        raise Rejected("empty", f"{file.name}: the page has no text", 0)
    name = file.relative_to(base).as_posix()
    yield Sample(
        id=name, messages=(Message("document", tuple(parts)),), source="html", license=license, study_id=name,
        meta={"title": " ".join(page.title.split())},
    )  # fmt: skip


def _check(words: str, name: str) -> None:
    """Reject pages for which the parser, written in Python, would need many seconds or hundreds of MiB."""
    if (tags := words.count("<")) > MAX_TAGS:
        raise Rejected("bomb", f"{name}: {tags:,} tags, at most {MAX_TAGS:,} are read")
    for tag in TAG.finditer(words):
        if tag.end() - tag.start() < LONG:
            continue
        if len(tag[0].split(None, MAX_ATTRIBUTES)) > MAX_ATTRIBUTES or tag[0].count("=") > MAX_ATTRIBUTES:
            raise Rejected("bomb", f"{name}: a tag with more than {MAX_ATTRIBUTES:,} attributes", tag.start())


class _Page(HTMLParser):
    """Parser that collects pieces in order: text, a line break at the edge of a block, or the path of an
    image.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[tuple[str, str, bool]] = []  # kind, text, inside main or article
        self.title = ""
        self._skip, self._main, self._in_title = 0, 0, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an image or the edge of a block; enter elements that are skipped or that are the main text.

        Args:
            tag: name of the element, in lower case.
            attrs: its attributes, name and value.
        """
        if tag == "title":
            self._in_title = True
        if tag == "body":
            self._skip, self._in_title = 0, False  # a head need not be closed
        if tag in LEFT_OUT:
            self._skip += 1
        elif tag in ("main", "article"):
            self._main += 1
        elif tag == "img" and not self._skip and (source := dict(attrs).get("src")):
            self.pieces.append(("image", source, bool(self._main)))
        if tag in BLOCKS:
            self.pieces.append(("text", "\n", bool(self._main)))

    def handle_endtag(self, tag: str) -> None:
        """Record the edge of a block; leave elements that are skipped or that are the main text.

        Args:
            tag: name of the element, in lower case.
        """
        if tag == "title":
            self._in_title = False
        if tag in LEFT_OUT:
            self._skip = max(0, self._skip - 1)
        elif tag in ("main", "article"):
            self._main = max(0, self._main - 1)
        if tag in BLOCKS:
            self.pieces.append(("text", "\n", bool(self._main)))

    def handle_data(self, data: str) -> None:
        """Add text to the title or to the pieces, unless it is within a skipped element.

        Args:
            data: text with its character references resolved.
        """
        if self._in_title:
            self.title += data
        elif not self._skip:
            self.pieces.append(("text", data, bool(self._main)))

    def parts(self, folder: Path, base: Path) -> list[Part]:
        """Return the content of <main> or <article>, or of the whole page if it has neither.

        Args:
            folder: that of the page; relative image paths start here.
            base: folder of the corpus; images outside it are left out.

        Returns:
            Texts and images in reading order, without empty texts.
        """
        chosen = [p for p in self.pieces if p[2]] if any(p[2] for p in self.pieces) else self.pieces
        parts: list[Part] = []
        words: list[str] = []
        for kind, value, _ in chosen:
            if kind == "text":
                words.append(value if value == "\n" else value.replace("\n", " "))
            elif picture := _local(value, folder, base):
                parts += [_lines(words), ImageRef(str(picture))]
                words = []
        return [part for part in (*parts, _lines(words)) if part]


def _lines(words: list[str]) -> str:
    return "\n".join(filter(None, (" ".join(line.split()) for line in "".join(words).split("\n"))))


def _local(source: str, folder: Path, base: Path) -> Path | None:
    """Resolve `src` to a file of the corpus; None for addresses, missing files and paths outside of it."""
    address = urllib.parse.urlsplit(source) if "[" not in source else None
    if (
        address is None
        or address.scheme
        or address.netloc
        or not address.path
        or address.path.startswith("/")
    ):
        return None
    try:
        file = files.inside(
            str(folder.resolve().relative_to(base.resolve()) / urllib.parse.unquote(address.path)), base
        )
    except (Rejected, ValueError):
        return None
    return file if file.is_file() else None
