"""The dense store: chunks of documents as vectors of an embedder, compared exactly (cosine), memory-mapped.

documents.jsonl   the documents, whole
chunks.jsonl      [id, where its document begins in documents.jsonl, start, end, document] of each chunk
vectors.f16       a row of each chunk, of length one, float16
store.json        format, counts, embedder, dimension, and the sizes of the files
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import DataError
from medxiaohe.models.embed import Embedder, embedder
from medxiaohe.retrieval.chunks import CHARACTERS, OVERLAP, chunks
from medxiaohe.retrieval.store import check
from medxiaohe.retrieval.text import DOCUMENTS, FORMAT, RECORD, check_document, evidence, read_record, row
from medxiaohe.types import Evidence, Locator

CHUNKS, VECTORS = "chunks.jsonl", "vectors.f16"
TOGETHER = 2048  # chunks that are encoded at once
BLOCK = 65536  # rows that are compared at once

Chunk = tuple[str, int, int, int, str]


def build_dense(
    folder: Path,
    documents: Iterable[Evidence],
    model: str = "minilm",
    characters: int = CHARACTERS,
    overlap: int = OVERLAP,
) -> dict[str, Any]:
    """Write a dense store into an empty folder, some chunks at a time.

    Args:
        folder: a draft, which the caller publishes.
        documents: whole texts.
        model: an embedder (models/embed.py).
        characters: the most a chunk may have.
        overlap: the most that neighbours share.

    Returns:
        {"documents": n, "chunks": n}

    Raises:
        DataError: no document, an id twice, a document without id or text.
    """
    plugins.need("numpy", why="an index of vectors")
    encoder = embedder(model)
    counts = {"documents": 0, "chunks": 0}

    def fill(file: Any) -> None:
        def parts() -> Iterator[tuple[Chunk, str]]:
            seen: set[bytes] = set()
            for document in documents:
                check_document(document, seen)
                offset = file.tell()
                file.write(json.dumps(row(document), ensure_ascii=False).encode() + b"\n")
                spans = chunks(document.text, characters, overlap)
                counts["documents"] += 1
                for number, (start, end) in enumerate(spans):
                    id = document.id if len(spans) == 1 else f"{document.id}#{number}"
                    yield (id, offset, start, end, document.id), document.text[start:end]

        every = parts()

        def fill_chunks(rows: Any) -> None:
            def fill_vectors(vectors: Any) -> None:
                while some := list(islice(every, TOGETHER)):
                    vectors.write(encoder.encode([text for _, text in some]).astype("<f2").tobytes())
                    rows.writelines(json.dumps(chunk).encode() + b"\n" for chunk, _ in some)
                    counts["chunks"] += len(some)

            io.write(folder / VECTORS, fill_vectors)

        io.write(folder / CHUNKS, fill_chunks)

    io.write(folder / DOCUMENTS, fill)
    if not counts["documents"]:
        raise DataError("there is no document to index: a store of nothing finds nothing")
    files = {name: (folder / name).stat().st_size for name in (DOCUMENTS, CHUNKS, VECTORS)}
    io.write_json(
        folder / RECORD,
        {
            "kind": "dense", "format": FORMAT, **counts, "characters": characters, "overlap": overlap,
            "model": model, "embedder": encoder.name, "dim": encoder.dim, "files": files,
        },
    )  # fmt: skip
    return counts


class DenseStore:
    """A dense store that `build_dense` wrote."""

    pure = True

    def __init__(self, folder: Path, encoder: Embedder | None = None):
        """Open a folder.

        Args:
            folder: of the store.
            encoder: of the queries; the one the store was built with unless given.

        Raises:
            DataError: no store, a truncated one, or an embedder other than the one it was built with.
        """
        plugins.need("numpy", why="an index of vectors")
        import numpy as np

        self.folder, self.record = folder, read_record(folder, "dense")
        self.encoder = encoder or embedder(self.record["model"])
        mine = (self.encoder.name, self.encoder.dim)
        if mine != (self.record["embedder"], self.record["dim"]):
            raise DataError(
                f"{folder} was built with {self.record['embedder']} ({self.record['dim']} dimensions) and not"
                f" with {mine[0]} ({mine[1]}): build it again"
            )
        shape = (self.record["chunks"], self.record["dim"])
        self._vectors = np.memmap(folder / VECTORS, dtype="<f2", mode="r", shape=shape)
        self._chunks: list[Chunk] = [tuple(json.loads(line)) for _, line in io.lines(folder / CHUNKS)]
        self._offsets: dict[str, int] = {}
        for id, offset, _, _, _ in self._chunks:
            self._offsets[id] = offset
        self._offsets |= {document: offset for _, offset, _, _, document in self._chunks}
        with open(folder / DOCUMENTS, "rb") as file:
            self._documents = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """For each query the `top` chunks by cosine, equals by id; DataError as `store.check` says."""
        import numpy as np

        check(queries, top)
        asked = self.encoder.encode(list(queries))
        blocks = [
            asked @ self._vectors[start : start + BLOCK].astype(np.float32).T
            for start in range(0, len(self._chunks), BLOCK)
        ]
        scores = np.concatenate(blocks, axis=1)
        return [self._best(line, min(top, len(self._chunks))) for line in scores]

    def get(self, id: str) -> Evidence:
        """The whole document of a document's or chunk's id; DataError when there is none."""
        if id not in self._offsets:
            raise DataError(f"{self.folder} has no document {id!r}")
        return self._document(self._offsets[id])

    def verify(self) -> int:
        """The number of documents; DataError where one cannot be found by its id."""
        return sum(self.get(line["id"]).id == line["id"] for line in io.read_jsonl(self.folder / DOCUMENTS))

    def _best(self, scores: Any, top: int) -> tuple[Evidence, ...]:
        import numpy as np

        least = np.partition(scores, -top)[-top]  # every equal of the last one is looked at
        order = sorted(np.flatnonzero(scores >= least), key=lambda i: (-scores[i], self._chunks[i][0]))
        return tuple(self._evidence(self._chunks[i], float(scores[i])) for i in order[:top])

    def _evidence(self, chunk: Chunk, score: float) -> Evidence:
        id, offset, start, end, _ = chunk
        document = self._document(offset)
        return replace(
            document, id=id, text=document.text[start:end], score=score, at=Locator(span=(start, end))
        )

    def _document(self, offset: int) -> Evidence:
        return evidence(io.parse_row(self._documents[offset : self._documents.find(b"\n", offset)].decode()))
