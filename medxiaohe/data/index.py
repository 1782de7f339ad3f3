"""Stage data.index: a store of knowledge that tools and workflows search (retrieval/text.py).

documents.0.*, index/, store.json         kind text: see retrieval/text.py
documents.0.*, vectors.0.*, store.json    kind dense: see retrieval/dense.py; kind image: retrieval/image.py
graph.sqlite, store.json                  kind graph: see retrieval/graph.py

The documents are the `corpus` stage's samples, or those of `path`: a JSON lines file of passages {"id",
"text", "source", "license", "date", "level", "image"} or of Samples, asset:open_medicine, or abstracts of
asset:pubmed_2020 and asset:pubmed_2021. A graph has the facts of
the `tree` stage, of asset:cmekg, or of both. Files of other readers are read by data.read first, which
counts and lists rejected rows. The stage is in `data` because a file at the top of a folder of stages is a
stage, and those of `retrieval` are libraries that tools import.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from medxiaohe import assets, io
from medxiaohe.errors import ConfigError
from medxiaohe.progress import track
from medxiaohe.recipe.settings import InputPath
from medxiaohe.retrieval import dense, graph, guidelines, image, passages, text
from medxiaohe.retrieval.assets import texts
from medxiaohe.retrieval.chunks import CHARACTERS, OVERLAP, TOKEN_OVERLAP, TOKENS, Unit
from medxiaohe.retrieval.corpus import LEVELS
from medxiaohe.retrieval.pubmed import Article, articles
from medxiaohe.types import Evidence, Relation, Sample

CMEKG = "asset:cmekg"
GUIDELINES = "asset:open_medicine"
PUBMED = ("asset:pubmed_2020", "asset:pubmed_2021")


@dataclass(frozen=True)
class IndexSettings:
    # text (BM25), dense (vectors of an embedder), image (vectors of images) or graph (relations)
    kind: Literal["text", "dense", "image", "graph"] = "text"
    # of a dense store: minilm, e5, ngrams, or a folder; of an image store: dinov2, thumbnails, or a folder
    embedder: str = ""
    path: InputPath = ""  # of the documents, when there is no `corpus` stage
    unit: Unit = "characters"  # or tokens
    size: int = 0  # of a chunk in `unit`: 1,000 characters or 300 tokens unless given
    overlap: int = -1  # of neighbours: 200 characters or 60 tokens unless given
    limit: int = 0  # documents, of the first; 0 takes all
    license: str = ""  # of documents that state none
    date: str = ""  # of documents that state none, YYYY-MM-DD
    level: str = ""  # authority, A to E, of documents that state none

    def __post_init__(self) -> None:
        size, overlap = self.sizes
        if size < 20 or not 0 <= overlap < size:
            raise ConfigError(f"chunks of {size} {self.unit} cannot overlap by {overlap}")
        if self.limit < 0:
            raise ConfigError(f"limit is {self.limit}: it is a number of documents, or 0 for all")
        if self.level not in LEVELS:
            raise ConfigError(f"level is A, B, C, D or E, not {self.level!r}")

    @property
    def sizes(self) -> tuple[int, int]:
        """Resolve the size and overlap of chunks.

        Returns:
            Size and overlap in `unit`; an overlap that is not given is at most a fifth of the size.
        """
        size, overlap = (TOKENS, TOKEN_OVERLAP) if self.unit == "tokens" else (CHARACTERS, OVERLAP)
        size = self.size or size
        return size, min(overlap, size // 5) if self.overlap == -1 else self.overlap


def index(
    settings: IndexSettings, out: Path, *, corpus: Path | None = None, tree: Path | None = None
) -> dict[str, Any]:
    """Build a store of documents that tools and workflows search.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        corpus: folder of a data stage; None: `settings.path`.
        tree: folder of a built tree, for a graph store.

    Returns:
        the summary of the stage: counts of documents and chunks, of nodes and relations, or of images

    Raises:
        ConfigError: a setting does not fit the kind of store.
        DataError: there is no document.
    """
    if settings.kind == "graph":
        return graph.build_graph(out, track(_facts(settings, tree), "facts"))
    if (corpus is None) == (not settings.path):
        raise ConfigError("give an index either a `corpus` stage or a `path`")
    documents = (
        replace(
            document,
            license=document.license or settings.license,
            date=document.date or settings.date,
            level=document.level or settings.level,
        )
        for document in _documents(settings, corpus)
    )
    followed = track(islice(documents, settings.limit or None), "documents")
    if settings.kind == "image":
        return image.build_images(out, followed, settings.embedder or "dinov2")
    if settings.kind == "dense":
        return dense.build_dense(out, followed, settings.embedder or "minilm", *settings.sizes, settings.unit)
    return text.build_text(out, followed, *settings.sizes, settings.unit)


def _documents(settings: IndexSettings, corpus: Path | None) -> Iterator[Evidence]:
    if corpus:
        return map(_document, io.read_samples(corpus / "samples.jsonl"))
    return documents_of(settings.path)


def documents_of(named: str) -> Iterator[Evidence]:
    """Read the documents of a file of passages or Samples, of guideline summaries, or of PubMed abstracts.

    Args:
        named: a path, asset:open_medicine, asset:pubmed_2020 or asset:pubmed_2021.

    Yields:
        One document each; of a PubMed record that was changed the newest version.

    Raises:
        DataError: a row that is no document, or a file that does not exist.
    """
    name = named.removeprefix("asset:")
    path = assets.folder(name) if name != named else Path(named)
    if named == GUIDELINES:
        yield from guidelines.documents(texts(path))
    elif named in PUBMED:
        # a record that PubMed changed is there again; the last one is the newest
        newest = {article.pmid: article for article in track(articles(path), "records") if article.abstract}
        yield from map(_abstract, newest.values())
    elif _has_samples(path):
        yield from map(_document, io.read_samples(path))
    else:
        yield from passages.rows(path)


def _facts(settings: IndexSettings, tree: Path | None) -> Iterator[Relation | tuple[str, str]]:
    if settings.path not in ("", CMEKG) or not (tree or settings.path):
        raise ConfigError(f"a graph has a `tree` stage, or `path` {CMEKG}, or both")
    if tree:
        yield from graph.tree(tree)
    if settings.path:
        yield from graph.cmekg(assets.folder(graph.CMEKG))


def _abstract(article: Article) -> Evidence:
    text = f"{article.title}\n{article.abstract}"
    licensed = article.copyright or "NLM terms for PubMed data; no copyright stated"
    source = f"{article.journal}, PMID {article.pmid}"
    return Evidence(f"pubmed/{article.pmid}", text, source, license=licensed, date=str(article.year or ""))


def _has_samples(path: Path) -> bool:
    return any("messages" in row for row in _first(path))


def _first(path: Path) -> Iterator[dict[str, Any]]:
    for row in io.read_jsonl(path):
        yield row
        return


def _document(sample: Sample) -> Evidence:
    return Evidence(sample.id, sample.text, sample.source, sample.images, license=sample.license)
