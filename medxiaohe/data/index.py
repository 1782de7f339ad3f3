"""Stage data.index: a store of knowledge that tools and workflows search (retrieval/text.py).

documents.jsonl, index/, store.json    kind text: see retrieval/text.py
documents.jsonl, chunks.jsonl, vectors.f16, store.json    kind dense: see retrieval/dense.py
graph.sqlite, store.json               kind graph: see retrieval/graph.py

The documents are the `corpus` stage's samples, or those of `path`: a JSON lines file of passages {"id",
"text", "source", "license", "date", "level"} or of Samples, or asset:open_medicine. A graph has the facts of
the `tree` stage, of asset:cmekg, or of both. What another reader reads goes through data.read first, which
counts and lists what cannot be used. The stage stands in `data` because a file at the top of a folder of
stages is a stage, and those of `retrieval` are libraries that tools import.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from medxiaohe import assets, io
from medxiaohe.errors import ConfigError
from medxiaohe.progress import track
from medxiaohe.recipe.settings import InputPath
from medxiaohe.retrieval import dense, graph, guidelines, passages, text
from medxiaohe.retrieval.assets import texts
from medxiaohe.retrieval.chunks import CHARACTERS, OVERLAP
from medxiaohe.types import Evidence, Relation, Sample

CMEKG = "asset:cmekg"
GUIDELINES = "asset:open_medicine"


@dataclass(frozen=True)
class IndexSettings:
    kind: Literal["text", "dense", "graph"] = "text"
    embedder: str = "minilm"  # of a dense store: minilm, ngrams, or a folder
    path: InputPath = ""  # of the documents, when there is no `corpus` stage
    characters: int = CHARACTERS
    overlap: int = OVERLAP
    license: str = ""  # of documents that state none
    date: str = ""
    level: str = ""  # authority, A to E, of documents that state none

    def __post_init__(self) -> None:
        if self.characters < 50 or not 0 <= self.overlap < self.characters:
            raise ConfigError(f"chunks of {self.characters} characters cannot overlap by {self.overlap}")
        if self.level not in text.LEVELS:
            raise ConfigError(f"level is A, B, C, D or E, not {self.level!r}")


def index(
    settings: IndexSettings, out: Path, *, corpus: Path | None = None, tree: Path | None = None
) -> dict[str, Any]:
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
    followed = track(documents, "documents")
    if settings.kind == "dense":
        return dense.build_dense(out, followed, settings.embedder, settings.characters, settings.overlap)
    return text.build_text(out, followed, settings.characters, settings.overlap)


def _documents(settings: IndexSettings, corpus: Path | None) -> Iterator[Evidence]:
    if corpus:
        yield from map(_document, io.read_samples(corpus / "samples.jsonl"))
        return
    name = settings.path.removeprefix("asset:")
    path = assets.folder(name) if name != settings.path else Path(settings.path)
    if settings.path == GUIDELINES:
        yield from guidelines.documents(texts(path))
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


def _has_samples(path: Path) -> bool:
    return any("messages" in row for row in _first(path))


def _first(path: Path) -> Iterator[dict[str, Any]]:
    for row in io.read_jsonl(path):
        yield row
        return


def _document(sample: Sample) -> Evidence:
    return Evidence(sample.id, sample.text, sample.source, sample.images, license=sample.license)
