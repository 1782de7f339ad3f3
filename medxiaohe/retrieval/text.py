"""Text store: chunks of documents in a tantivy index (BM25; Robertson and Zaragoza 2009), memory-mapped.

documents.N.*   the documents, whole, and where their chunks are (retrieval/corpus.py)
index/          tantivy: terms of each chunk, and its number
store.json      format, counts, and the sizes of the files, by which a truncated store is recognised
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import DataError, StorageError
from medxiaohe.retrieval.chunks import CHARACTERS, OVERLAP, Unit
from medxiaohe.retrieval.corpus import Corpus, Writer, broken, counted, read_record, write_record
from medxiaohe.retrieval.store import check
from medxiaohe.retrieval.words import analyzer, spaced, terms
from medxiaohe.types import Evidence

INDEX, WORDS, CHUNK = "index", "words", "chunk"
ANALYZER = "stems"
NUMBERED = "00000000-0000-0000"  # how the name of a segment begins that has a number
HEAP = 1_000_000_000  # bytes the writer may use before it writes a segment: one segment for most corpora
MOST_TITLE = 200  # characters of the first line that are indexed with every part


def build_text(
    folder: Path,
    documents: Iterable[Evidence],
    characters: int = CHARACTERS,
    overlap: int = OVERLAP,
    unit: Unit = "characters",
) -> dict[str, Any]:
    """Build a text store in an empty folder, document by document, or add documents to one.

    Args:
        folder: a draft, which the caller publishes.
        documents: whole texts; `sha256` is filled in where it is "".
        characters: the most a chunk may have, in `unit`.
        overlap: the most that neighbours share.
        unit: characters or tokens (retrieval/chunks.py).

    Returns:
        {"documents": n, "chunks": n} of what was added.

    Raises:
        DataError: no document, an id twice, a document without id or text, an unknown level.
        StorageError: the index cannot be written.
    """
    plugins.need("tantivy", why="an index of texts")
    import tantivy

    (folder / INDEX).mkdir(parents=True, exist_ok=True)
    writer = Writer(folder, characters, overlap, unit)
    try:
        index = _opened(folder) if writer.number else tantivy.Index(_schema(), path=str(folder / INDEX))
        index.register_tokenizer(ANALYZER, analyzer())
        terms_of = index.writer(HEAP, 1)
        number = writer.first_chunk
        for text, first, full_text in counted(documents, writer):
            # a later part is found by the title too, since it may not repeat what it is about
            title = "" if first else full_text.lstrip().partition("\n")[0][:MOST_TITLE]
            terms_of.add_document(tantivy.Document(words=spaced(f"{title}\n{text}"), chunk=number))
            number += 1
        writer.close()
        terms_of.commit()
        terms_of.wait_merging_threads()
        del terms_of, index
        _name_segments(folder / INDEX)
    except (ValueError, RuntimeError, OSError) as error:  # what tantivy raises for a full disk
        writer.abort()
        if isinstance(error, DataError | StorageError):
            raise
        raise StorageError(
            f"{folder}: the index cannot be written: {' '.join(str(error).split())}"
        ) from error
    corpus = Corpus(folder)
    record = {"kind": "text", "documents": corpus.documents, "chunks": corpus.chunks}
    write_record(folder, {**record, "unit": unit, "characters": characters, "overlap": overlap})
    return {"documents": writer.documents, "chunks": writer.chunks}


class TextStore:
    """Text store that `build_text` wrote, opened in place: only the parts that a query needs are read."""

    pure = True

    def __init__(self, folder: Path):
        """Open a text store.

        Raises:
            DataError: no store, one of another format, or one whose files are missing or truncated.
        """
        plugins.need("tantivy", why="an index of texts")
        import tantivy

        self.folder = folder
        self.record = read_record(folder, "text")
        try:
            self._index = _opened(folder)
            self._searcher = self._index.searcher()
        except (ValueError, OSError) as error:
            raise broken(folder, " ".join(str(error).split())) from error
        self.corpus = Corpus(folder)
        self._tantivy = tantivy
        self._schema = self._index.schema
        if not self._searcher.num_docs == self.corpus.chunks == self.size:
            raise broken(folder, f"{self._searcher.num_docs} chunks instead of {self.size}")

    @property
    def size(self) -> int:
        """Number of chunks.

        Returns:
            as the record of the store says.
        """
        return int(self.record["chunks"])

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search chunks by BM25 (k1 1.2, b 0.75).

        Args:
            queries: texts.
            top: most chunks of a query.

        Returns:
            for each query its chunks, best first; equal scores in the order of their ids.

        Raises:
            DataError: `top` below 1; a query that is empty, too long, or of stop words only.
        """
        check(queries, top)
        return [self._search(query, min(top, self.size)) for query in queries]

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

    def _search(self, query: str, top: int) -> tuple[Evidence, ...]:
        looked_for = list(dict.fromkeys(terms(query)))
        if not looked_for:
            raise DataError("the query has only stop words or signs: name what to look for")
        # a disjunction: every term that occurs adds its BM25 score
        should = self._tantivy.Occur.Should
        condition = self._tantivy.Query.boolean_query([(should, self._term(term)) for term in looked_for])
        depth = top + 1
        while True:  # deeper while the last result has equals, so that ids and not positions break ties
            hits = self._searcher.search(condition, depth, count=False).hits
            if len(hits) < depth or hits[-1][0] < hits[top - 1][0]:
                break
            depth *= 2
        numbers = self._searcher.fast_field_values(CHUNK, [address for _, address in hits])
        chunks = [self.corpus.chunk(n, score) for (score, _), n in zip(hits, numbers, strict=True)]
        chunks.sort(key=lambda chunk: (-chunk.score, chunk.id))
        return tuple(chunks[:top])

    def _term(self, value: str) -> Any:
        return self._tantivy.Query.term_query(self._schema, WORDS, value, index_option="freq")


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field(WORDS, tokenizer_name=ANALYZER, index_option="freq")
    builder.add_integer_field(CHUNK, fast=True)
    return builder.build()


def _opened(folder: Path) -> Any:
    import tantivy

    index = tantivy.Index.open(str(folder / INDEX))
    index.register_tokenizer(ANALYZER, analyzer())
    return index


def _name_segments(index: Path) -> None:
    """Rename segments, whose names tantivy draws at random, to numbers, so that the same texts give the
    same bytes. Segments of earlier appends have their numbers.
    """
    meta = io.read_json(index / "meta.json")
    text = (index / "meta.json").read_text()
    managed = (index / ".managed.json").read_text()
    drawn = [segment["segment_id"] for segment in meta["segments"]]
    taken = {int(name.replace("-", ""), 16) for name in drawn if name.startswith(NUMBERED)}
    free = (number for number in count() if number not in taken)
    for name in drawn:
        if name.startswith(NUMBERED):
            continue
        plain, new = name.replace("-", ""), f"{next(free):032x}"
        dashed = "-".join((new[:8], new[8:12], new[12:16], new[16:20], new[20:]))
        text, managed = text.replace(name, dashed), managed.replace(plain, new)
        for path in sorted(index.glob(f"{plain}.*")):
            path.rename(index / path.name.replace(plain, new))
    io.write_text(index / "meta.json", text)
    io.write_text(index / ".managed.json", json.dumps(sorted(json.loads(managed))))
