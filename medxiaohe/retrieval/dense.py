"""Dense store: chunks of documents as vectors of an embedder, compared by cosine, memory-mapped.

documents.N.*    the documents, whole, and where their chunks are (retrieval/corpus.py)
vectors.N.*      the vectors of the chunks (retrieval/vectors.py)
store.json       format, counts, embedder, dimension, and the sizes of the files
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medxiaohe import plugins
from medxiaohe.models.embed import embedder
from medxiaohe.retrieval.chunks import CHARACTERS, OVERLAP, Unit
from medxiaohe.retrieval.corpus import Corpus, Writer, broken, counted, read_record, write_record
from medxiaohe.retrieval.store import check
from medxiaohe.retrieval.vectors import APPROXIMATE, Vectors, described, refuse_other, write_vectors
from medxiaohe.types import Evidence

if TYPE_CHECKING:
    import numpy as np

TOGETHER = 2048  # chunks that are encoded at once


class Encoder(Protocol):
    """Protocol of text embedders (models/embed.py)."""

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    def encode(self, texts: Sequence[str], batch_size: int = ..., kind: str = ...) -> np.ndarray: ...


def build_dense(
    folder: Path,
    documents: Iterable[Evidence],
    model: str = "minilm",
    characters: int = CHARACTERS,
    overlap: int = OVERLAP,
    unit: Unit = "characters",
    *,
    encoder: Encoder | None = None,
    approximate: int = APPROXIMATE,
) -> dict[str, Any]:
    """Build a dense store in an empty folder, or add documents to one.

    Args:
        folder: a draft, which the caller publishes.
        documents: whole texts.
        model: an embedder (models/embed.py).
        characters: the most a chunk may have, in `unit`.
        overlap: the most that neighbours share.
        unit: characters or tokens.
        encoder: the embedder itself, where the caller has it.
        approximate: chunks of a segment from which on it gets a graph of near ones.

    Returns:
        {"documents": n, "chunks": n} of what was added.

    Raises:
        DataError: no document, an id twice, a document without id or text.
    """
    plugins.need("numpy", why="an index of vectors")
    encoder = encoder or embedder(model)
    writer = Writer(folder, characters, overlap, unit)

    def batches() -> Iterator[np.ndarray]:
        texts = (text for text, _, _ in counted(documents, writer))
        while group := list(islice(texts, TOGETHER)):
            yield encoder.encode(group, kind="document")
        writer.close()

    try:
        write_vectors(folder, writer.number, batches(), encoder.dim, approximate)
    except BaseException:
        writer.abort()
        raise
    corpus = Corpus(folder)
    record = {"kind": "dense", "documents": corpus.documents, "chunks": corpus.chunks, "unit": unit}
    record |= {"characters": characters, "overlap": overlap}
    write_record(folder, {**record, "model": model, **described(encoder)})
    return {"documents": writer.documents, "chunks": writer.chunks}


class DenseStore:
    """Dense store that `build_dense` wrote."""

    pure = True
    KIND = "dense"

    def __init__(self, folder: Path, encoder: Encoder | None = None):
        """Open a dense store.

        Args:
            folder: of the store.
            encoder: of the queries; the one the store was built with unless given.

        Raises:
            DataError: no store, a truncated one, or an embedder other than the one it was built with.
        """
        plugins.need("numpy", why="an index of vectors")
        self.folder, self.record = folder, read_record(folder, self.KIND)
        self.encoder = encoder or embedder(self.record["model"])
        refuse_other(folder, self.record, self.encoder)
        self.corpus = Corpus(folder)
        self.vectors = Vectors(folder, self.record["dim"])
        if not self.vectors.size == self.corpus.chunks == self.record["chunks"]:
            raise broken(folder, f"{self.vectors.size} vectors for {self.corpus.chunks} chunks")

    @property
    def size(self) -> int:
        """Number of chunks.

        Returns:
            as the record of the store says.
        """
        return int(self.record["chunks"])

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search chunks by the cosine of their vectors.

        Args:
            queries: texts.
            top: chunks for each query at most.

        Returns:
            chunks of each query with their cosine as score, best first

        Raises:
            DataError: no query, an empty one, or `top` below 1.
        """
        check(queries, top)
        vectors = self.encoder.encode(list(queries), kind="query")
        return [self._evidence(hits, top) for hits in self.vectors.search(vectors, min(top, self.size))]

    def get(self, id: str) -> Evidence:
        """Read a full document.

        Args:
            id: of a document, or of a chunk ("DOCUMENT#2").

        Returns:
            the document.

        Raises:
            DataError: there is none.
        """
        return self.corpus.get(id)

    def verify(self) -> int:
        """Read every document and look it up by its id.

        Returns:
            number of documents.

        Raises:
            DataError: the store is truncated or damaged.
        """
        return self.corpus.verify()

    def _evidence(self, hits: Sequence[tuple[float, int]], top: int) -> tuple[Evidence, ...]:
        results = [self.corpus.chunk(row, score) for score, row in hits]
        results.sort(key=lambda chunk: (-chunk.score, chunk.id))
        return tuple(results[:top])
