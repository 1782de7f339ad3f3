"""The text store: chunks of documents in a tantivy index (BM25; Robertson and Zaragoza 2009), memory-mapped.

documents.jsonl   the documents, whole
index/            tantivy: terms of each chunk, its span, and where its document begins in documents.jsonl
store.json        format, counts, and the sizes of the files, by which a truncated store is recognised
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import DataError, StorageError
from medxiaohe.retrieval.chunks import CHARACTERS, OVERLAP, chunks
from medxiaohe.retrieval.store import check
from medxiaohe.retrieval.words import terms
from medxiaohe.types import Evidence, ImageRef, Locator

FORMAT = 1
RECORD, DOCUMENTS, INDEX = "store.json", "documents.jsonl", "index"
HEAP = 1_000_000_000  # bytes the writer may use before it writes a segment: one segment for most corpora
MOST_ID = 1_000  # characters
MOST_TITLE = 200  # characters of the first line that are indexed with every part
LEVELS = ("", "A", "B", "C", "D", "E")


def build_text(
    folder: Path, documents: Iterable[Evidence], characters: int = CHARACTERS, overlap: int = OVERLAP
) -> dict[str, Any]:
    """Write a text store into an empty folder, document by document.

    Args:
        folder: a draft, which the caller publishes.
        documents: whole texts; `sha256` is filled in where it is "".
        characters: the most a chunk may have.
        overlap: the most that neighbours share.

    Returns:
        {"documents": n, "chunks": n}

    Raises:
        DataError: no document, an id twice, a document without id or text, a level that is none.
        StorageError: the index cannot be written.
    """
    plugins.need("tantivy", "Stemmer", why="an index of texts")
    import tantivy

    if characters < 50 or not 0 <= overlap < characters:
        raise DataError(f"chunks of {characters} characters cannot overlap by {overlap}")
    (folder / INDEX).mkdir(parents=True)
    seen: set[bytes] = set()
    counts = {"documents": 0, "chunks": 0}

    def fill(file: Any) -> None:
        writer = tantivy.Index(_schema(), path=str(folder / INDEX)).writer(HEAP, 1)
        for document in documents:
            check_document(document, seen)
            offset = file.tell()
            file.write(json.dumps(row(document), ensure_ascii=False).encode() + b"\n")
            spans = chunks(document.text, characters, overlap)
            title = terms(document.text.lstrip().partition("\n")[0][:MOST_TITLE])
            for number, (start, end) in enumerate(spans):
                id = document.id if len(spans) == 1 else f"{document.id}#{number}"
                # a later part is found by the title too, since it may not repeat what it is about
                words = " ".join((title if number else []) + terms(document.text[start:end]))
                writer.add_document(
                    tantivy.Document(
                        words=words, id=id, document=document.id, offset=offset, start=start, end=end
                    )
                )
            counts["documents"] += 1
            counts["chunks"] += len(spans)
        writer.commit()
        writer.wait_merging_threads()

    try:
        io.write(folder / DOCUMENTS, fill)
        _name_segments(folder / INDEX)
    except (ValueError, RuntimeError) as error:  # what tantivy raises for a full disk
        if isinstance(error, DataError):
            raise
        raise StorageError(
            f"{folder}: the index cannot be written: {' '.join(str(error).split())}"
        ) from error
    if not counts["documents"]:
        raise DataError("there is no document to index: a store of nothing finds nothing")
    io.write_json(
        folder / RECORD,
        {
            "kind": "text",
            "format": FORMAT,
            **counts,
            "characters": characters,
            "overlap": overlap,
            "files": {name: (folder / name).stat().st_size for name in _files(folder)},
        },
    )
    return counts


class TextStore:
    """A text store that `build_text` wrote, opened in place: only the parts that a query needs are read."""

    pure = True

    def __init__(self, folder: Path):
        """Open a folder.

        Raises:
            DataError: no store, one of another format, or one whose files are missing or truncated.
        """
        plugins.need("tantivy", "Stemmer", why="an index of texts")
        import tantivy

        self.folder = folder
        self.record = read_record(folder, "text")
        try:
            self._index = tantivy.Index.open(str(folder / INDEX))
            self._searcher = self._index.searcher()
        except (ValueError, OSError) as error:
            raise _broken(folder, " ".join(str(error).split())) from error
        with open(folder / DOCUMENTS, "rb") as file:
            self._documents = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._tantivy = tantivy
        self._schema = self._index.schema
        if self._searcher.num_docs != self.size:
            raise _broken(folder, f"{self._searcher.num_docs} chunks instead of {self.size}")

    @property
    def size(self) -> int:
        return int(self.record["chunks"])

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """For each query the `top` chunks by BM25 (k1 1.2, b 0.75), equals by id.

        Raises:
            DataError: `top` below 1; a query that is empty, too long, or of stop words only.
        """
        check(queries, top)
        return [self._search(query, min(top, self.size)) for query in queries]

    def get(self, id: str) -> Evidence:
        """The whole document of a document's or chunk's id; DataError when there is none."""
        for field in ("document", "id"):
            hits = self._searcher.search(self._term(field, id), 1).hits
            if hits:
                return self._document(self._searcher.doc(hits[0][1])["offset"][0])
        raise DataError(f"{self.folder} has no document {id!r}")

    def verify(self) -> int:
        """The number of documents; DataError where one cannot be found by its id."""
        documents = 0
        for row in io.read_jsonl(self.folder / DOCUMENTS):
            if self.get(row["id"]).id != row["id"]:
                raise _broken(self.folder, f"{row['id']!r} is not at its place")
            documents += 1
        return documents

    def _search(self, query: str, top: int) -> tuple[Evidence, ...]:
        looked_for = list(dict.fromkeys(terms(query)))
        if not looked_for:
            raise DataError("the query has only stop words or signs: name what to look for")
        should = self._tantivy.Occur.Should
        asked = self._tantivy.Query.boolean_query(
            [(should, self._term("words", term)) for term in looked_for]
        )
        depth = top + 1
        while True:  # deeper while the last result has equals, so that ids and not positions break ties
            hits = self._searcher.search(asked, depth, count=False).hits
            if len(hits) < depth or hits[-1][0] < hits[top - 1][0]:
                break
            depth *= 2
        rows = [(score, self._searcher.doc(address)) for score, address in hits]
        rows.sort(key=lambda row: (-row[0], row[1]["id"][0]))
        return tuple(self._chunk(fields, score) for score, fields in rows[:top])

    def _term(self, field: str, value: str) -> Any:
        option = "freq" if field == "words" else "basic"
        return self._tantivy.Query.term_query(self._schema, field, value, index_option=option)

    def _chunk(self, fields: Any, score: float) -> Evidence:
        document = self._document(fields["offset"][0])
        start, end = fields["start"][0], fields["end"][0]
        return replace(
            document, id=fields["id"][0], text=document.text[start:end], score=score,
            at=Locator(span=(start, end)),
        )  # fmt: skip

    def _document(self, offset: int) -> Evidence:
        end = self._documents.find(b"\n", offset)
        return evidence(io.parse_row(self._documents[offset:end].decode()))


def read_record(folder: Path, kind: str) -> dict[str, Any]:
    """The record of a store, checked against its files.

    Raises:
        DataError: no store of this kind and format, or files that are missing or of another size.
    """
    if not (folder / RECORD).is_file():
        raise DataError(f"{folder} is no store of knowledge: build one with `medxiaohe knowledge build`")
    record = io.read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("kind") != kind or record.get("format") != FORMAT:
        raise DataError(f"{folder} is no {kind} store of format {FORMAT}: build it again")
    for name, size in record["files"].items():
        there = (folder / name).stat().st_size if (folder / name).is_file() else -1
        if there != size:
            raise _broken(folder, f"{name} has {max(there, 0):,} bytes instead of {size:,}")
    return record


def _broken(folder: Path, why: str) -> DataError:
    return DataError(f"{folder} is truncated or damaged ({why}): build it again")


def _files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("document", tokenizer_name="raw", index_option="basic")
    for name in ("offset", "start", "end"):
        builder.add_unsigned_field(name, stored=True)
    return builder.build()


def _name_segments(index: Path) -> None:
    """Number the segments, whose names tantivy draws at random: the same texts give the same bytes."""
    meta = io.read_json(index / "meta.json")
    text = (index / "meta.json").read_text()
    managed = (index / ".managed.json").read_text()
    for number, segment in enumerate(meta["segments"]):
        drawn = segment["segment_id"]
        plain, new = drawn.replace("-", ""), f"{number:032x}"
        dashed = "-".join((new[:8], new[8:12], new[12:16], new[16:20], new[20:]))
        text, managed = text.replace(drawn, dashed), managed.replace(plain, new)
        for path in sorted(index.glob(f"{plain}.*")):
            path.rename(index / path.name.replace(plain, new))
    io.write_text(index / "meta.json", text)
    io.write_text(index / ".managed.json", json.dumps(sorted(json.loads(managed))))


def check_document(document: Evidence, seen: set[bytes]) -> None:
    """Refuse a document that no store can hold, or whose id is among the `seen`."""
    if not document.id or not document.text.strip():
        raise DataError(f"document {document.id or '(without id)'!r} has no id or no text")
    if len(document.id) > MOST_ID:
        raise DataError(f"the id {document.id[:60]!r}... has more than {MOST_ID:,} characters")
    if document.level not in LEVELS:
        raise DataError(f"document {document.id!r} has the level {document.level!r}: it is A to E, or empty")
    key = hashlib.blake2b(document.id.encode(), digest_size=16).digest()
    if key in seen:
        raise DataError(f"two documents have the id {document.id!r}: give each its own")
    seen.add(key)


def row(document: Evidence) -> dict[str, Any]:
    """A document as JSON, without what is empty."""
    found = {
        "id": document.id,
        "text": document.text,
        "source": document.source,
        "sha256": document.sha256 or hashlib.sha256(document.text.encode()).hexdigest(),
        "license": document.license,
        "date": document.date,
        "level": document.level,
        "images": [io.to_json(image) for image in document.images],
    }
    return {key: value for key, value in found.items() if value}


def evidence(row: Mapping[str, Any]) -> Evidence:
    """The document of a row."""
    images = tuple(ImageRef(**one) for one in row.get("images", ()))
    noted = {key: row.get(key, "") for key in ("sha256", "license", "date", "level")}
    return Evidence(row["id"], row["text"], row.get("source", ""), images, **noted)
