"""Documents of a store and their chunks, on disk: read in place, appended by segments.

    documents.N.zst    rows of documents as JSON lines, in zstandard frames of about 32 KB
    documents.N.ids    (hash of the id, address), in the order of the hashes
    documents.N.chunks (address of the document, start, end, number) of each chunk, in order

N is the number of the segment: the first is 0, and each append adds one and changes none. An address is where
a frame begins, counted over all segments, times 65,536, plus where the row begins in its frame.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.retrieval.chunks import CHARACTERS, OVERLAP, Unit, chunks
from medxiaohe.types import Evidence, ImageRef, Locator

FORMAT = 2
RECORD = "store.json"
FRAME = 32_768  # bytes of rows after which a frame ends: a row begins below 2**16
LEVEL = 3  # of zstandard
CHUNK = struct.Struct("<QIII")
MOST_ID = 1_000  # characters
LEVELS = ("", "A", "B", "C", "D", "E")
KEPT_FRAMES = 64  # frames that stay unpacked: 2 MB


class Writer:
    """Writer of one more segment of documents; `close` writes the index of its ids."""

    def __init__(
        self, folder: Path, characters: int = CHARACTERS, overlap: int = OVERLAP, unit: Unit = "characters"
    ):
        """Start the segment after those of the folder.

        Raises:
            DataError: chunks that cannot overlap so.
        """
        import zstandard

        if (characters < 50 and unit == "characters") or not 0 <= overlap < characters:
            raise DataError(f"chunks of {characters} {unit} cannot overlap by {overlap}")
        self.folder, self.size, self.overlap, self.unit = folder, characters, overlap, unit
        self._before = Corpus(folder) if _segments(folder) else None
        self.number = len(_segments(folder))
        self.first_chunk = self._before.chunks if self._before else 0
        self.documents = self.chunks = 0
        self._base = self._before.packed_bytes if self._before else 0
        self._compress = zstandard.ZstdCompressor(level=LEVEL, threads=0)
        self._open = [open(folder / f"documents.{self.number}.{name}", "wb") for name in ("zst", "chunks")]
        self._ids: dict[int, int] = {}  # hash of an id -> address
        self._frame: list[bytes] = []
        self._frame_bytes = self._file_bytes = 0

    def add(self, document: Evidence) -> list[tuple[str, bool]]:
        """Write a document.

        Args:
            document: with text; its id must be new.

        Returns:
            (text, whether the document begins with it) of its chunks, in order.

        Raises:
            DataError: it has no id or text, an unknown level, or an id that exists already.
        """
        check_document(document)
        key = _hash(document.id)
        if key in self._ids or (self._before and self._before.has(document.id)):
            raise DataError(f"two documents have the id {document.id!r}: give each its own")
        address = (self._base + self._file_bytes) * 2**16 + self._frame_bytes
        self._ids[key] = address
        line = json.dumps(row(document), ensure_ascii=False).encode() + b"\n"
        self._frame.append(line)
        self._frame_bytes += len(line)
        spans = chunks(document.text, self.size, self.overlap, self.unit)
        single = len(spans) == 1
        for number, (start, end) in enumerate(spans):
            self._open[1].write(CHUNK.pack(address, start, end, 0 if single else number + 1))
        self.documents += 1
        self.chunks += len(spans)
        if self._frame_bytes >= FRAME:
            self._end_frame()
        return [(document.text[start:end], not number) for number, (start, end) in enumerate(spans)]

    def close(self) -> None:
        """Write the last frame and the index of ids, and flush all files to disk.

        Raises:
            DataError: no document was added.
            StorageError: the disk is full or read-only.
        """
        if self._frame:
            self._end_frame()
        for file in self._open:
            file.flush()
            os.fsync(file.fileno())
            file.close()
        if not self.documents:
            raise DataError("there is no document to index: a store of nothing finds nothing")
        order = sorted(self._ids)
        ids = struct.pack(f"<{len(order)}Q", *order)
        ids += struct.pack(f"<{len(order)}Q", *(self._ids[key] for key in order))
        io.write(self.folder / f"documents.{self.number}.ids", lambda file: file.write(ids))

    def abort(self) -> None:
        """Close the files without completing the segment."""
        for file in self._open:
            file.close()

    def _end_frame(self) -> None:
        frame = self._compress.compress(b"".join(self._frame))
        self._open[0].write(frame)
        self._file_bytes += len(frame)
        self._frame, self._frame_bytes = [], 0


class Corpus:
    """Documents and chunks that `Writer` wrote, memory-mapped."""

    def __init__(self, folder: Path):
        import zstandard

        self.folder = folder
        self._unpack = zstandard.ZstdDecompressor()
        self._parts = [_Segment(folder, number) for number in range(len(_segments(folder)))]
        self._bytes, self._chunks = [0], [0]  # where segments begin
        for part in self._parts:
            self._bytes.append(self._bytes[-1] + len(part.rows))
            self._chunks.append(self._chunks[-1] + len(part.chunks) // CHUNK.size)
        self._frame = lru_cache(KEPT_FRAMES)(self._unpacked)

    @property
    def packed_bytes(self) -> int:
        """Size of the compressed documents.

        Returns:
            bytes, over all segments.
        """
        return self._bytes[-1]

    @property
    def chunks(self) -> int:
        """Number of chunks.

        Returns:
            their count over all segments.
        """
        return self._chunks[-1]

    @property
    def documents(self) -> int:
        """Number of documents.

        Returns:
            their count over all segments.
        """
        return sum(len(part.ids) // 2 for part in self._parts)

    def chunk(self, number: int, score: float = 0.0) -> Evidence:
        """Read a chunk by its number, with its span in its document.

        Args:
            number: from 0, over all segments.
            score: score of the result.

        Returns:
            the text of the chunk; its locator has the span in the document, in characters
        """
        part = bisect_right(self._chunks, number) - 1
        at = (number - self._chunks[part]) * CHUNK.size
        address, start, end, which = CHUNK.unpack_from(self._parts[part].chunks, at)
        document = self._at(address)
        return replace(
            document, id=f"{document.id}#{which - 1}" if which else document.id,
            text=document.text[start:end], score=score, at=Locator(span=(start, end)),
        )  # fmt: skip

    def has(self, id: str) -> bool:
        """Say whether there is a document of this id.

        Args:
            id: of a document, not of a chunk.

        Returns:
            True where a segment holds it.
        """
        return self._address(id) is not None

    def get(self, id: str) -> Evidence:
        """Read a full document.

        Args:
            id: of a document, or of a chunk ("DOCUMENT#2").

        Returns:
            the document

        Raises:
            DataError: there is none.
        """
        for name in (id, id.rpartition("#")[0]):
            if name and (address := self._address(name)) is not None:
                return self._at(address)
        raise DataError(f"{self.folder} has no document {id!r}")

    def every(self) -> Iterator[Evidence]:
        """Iterate over all documents, decompressed as a stream.

        Yields:
            documents, in the order in which they were added.
        """
        for part in self._parts:
            with open(part.path, "rb") as file:
                reader = self._unpack.stream_reader(file, read_across_frames=True)
                for line in _lines(reader):
                    yield evidence(io.parse_row(line.decode()))

    def verify(self) -> int:
        """Read every document and look it up by its id.

        Returns:
            the number of documents

        Raises:
            DataError: the store is truncated or damaged.
        """
        count = 0
        for document in self.every():
            if self.get(document.id).id != document.id:
                raise broken(self.folder, f"{document.id!r} is not at its place")
            count += 1
        if count != self.documents:
            raise broken(self.folder, f"{count:,} documents instead of {self.documents:,}")
        return count

    def _address(self, id: str) -> int | None:
        key = _hash(id)
        for part in self._parts:
            half = len(part.ids) // 2
            at = bisect_left(part.ids, key, 0, half)
            if at < half and part.ids[at] == key and self._at(part.ids[half + at]).id == id:
                return part.ids[half + at]
        return None

    def _at(self, address: int) -> Evidence:
        frame, start = divmod(address, 2**16)
        rows = self._frame(frame)
        return evidence(io.parse_row(rows[start : rows.index(b"\n", start)].decode()))

    def _unpacked(self, frame: int) -> Any:
        part = bisect_right(self._bytes, frame) - 1
        view = memoryview(self._parts[part].rows)[frame - self._bytes[part] :]
        return self._unpack.decompress(view, allow_extra_data=True)  # reads one frame of them


class _Segment:
    def __init__(self, folder: Path, number: int):
        self.path = folder / f"documents.{number}.zst"
        self.rows, ids, self.chunks = (
            _mapped(folder / f"documents.{number}.{name}") for name in ("zst", "ids", "chunks")
        )
        self.ids = memoryview(ids).cast("Q")


def _mapped(path: Path) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("documents.*.ids"))


def _lines(reader: Any) -> Iterator[bytes]:
    rest = b""
    while block := reader.read(2**20):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def _hash(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "little")


def check_document(document: Evidence) -> None:
    """Refuse a document that no store can hold.

    Args:
        document: what a store should hold.

    Raises:
        DataError: it has no id, neither text nor image, too long an id, or an unknown level.
    """
    if not document.id or not (document.text.strip() or document.images):
        raise DataError(f"document {document.id or '(without id)'!r} has no id or no text")
    if len(document.id) > MOST_ID:
        raise DataError(f"the id {document.id[:60]!r}... has more than {MOST_ID:,} characters")
    if document.level not in LEVELS:
        raise DataError(f"document {document.id!r} has the level {document.level!r}: it is A to E, or empty")


def row(document: Evidence) -> dict[str, Any]:
    """Convert a document to a JSON row without its empty fields; the digest of the text is computed where it
    is missing.

    Returns:
        a mapping that `evidence` reads.
    """
    fields = {
        "id": document.id,
        "text": document.text,
        "source": document.source,
        "sha256": document.sha256 or hashlib.sha256(document.text.encode()).hexdigest(),
        "license": document.license,
        "date": document.date,
        "level": document.level,
        "images": [io.to_json(image) for image in document.images],
    }
    return {key: value for key, value in fields.items() if value}


def evidence(row: Mapping[str, Any]) -> Evidence:
    """Convert a JSON row to the document that it describes.

    Args:
        row: with `id`; every other field may be missing.

    Returns:
        a passage without score and locator.
    """
    images = tuple(_image(image) for image in row.get("images", ()))
    noted = {key: row.get(key, "") for key in ("sha256", "license", "date", "level")}
    return Evidence(row["id"], row.get("text", ""), row.get("source", ""), images, **noted)


def _image(row: Mapping[str, Any]) -> ImageRef:
    box = row.get("box")
    return ImageRef(row["uri"], row.get("sha256", ""), row.get("frame"), tuple(box) if box else None)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write store.json with the sizes of all files, by which a truncated store is detected.

    Args:
        folder: of the store.
        record: its kind, counts and settings.
    """
    files = {name: (folder / name).stat().st_size for name in _files(folder) if name != RECORD}
    io.write_json(folder / RECORD, {"format": FORMAT, **record, "files": files})


def read_record(folder: Path, kind: str, format: int = FORMAT) -> dict[str, Any]:
    """Read the record of a store and compare it with its files.

    Args:
        folder: of the store.
        kind: expected kind, such as "text" or "dense".
        format: expected number of the format.

    Returns:
        the record.

    Raises:
        DataError: no store of this kind and format, or files that are missing or of another size.
    """
    if not (folder / RECORD).is_file():
        raise DataError(f"{folder} is no store of knowledge: build one with `medxiaohe knowledge build`")
    record = io.read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("kind") != kind or record.get("format") != format:
        raise DataError(f"{folder} is no {kind} store of format {format}: build it again")
    for name, size in record["files"].items():
        actual = (folder / name).stat().st_size if (folder / name).is_file() else -1
        if actual != size:
            raise broken(folder, f"{name} has {max(actual, 0):,} bytes instead of {size:,}")
    return record


def broken(folder: Path, why: str) -> DataError:
    """Make the error for a store whose files differ from what was written.

    Args:
        why: the difference, in words.

    Returns:
        the DataError, not raised.
    """
    return DataError(f"{folder} is truncated or damaged ({why}): build it again")


def carry(old: Path, draft: Path) -> None:
    """Start a draft with the files of an existing store, which are never changed: hard links where the file
    system allows, copies otherwise.

    Args:
        old: folder of the store; its record and manifest are not taken over.
        draft: folder of the new one.
    """
    for name in _files(old):
        if name in (RECORD, io.MANIFEST, io.RECORD):
            continue
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(old / name, draft / name)
        except OSError:
            shutil.copyfile(old / name, draft / name)


def _files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def counted(documents: Iterable[Evidence], writer: Writer) -> Iterator[tuple[str, bool, str]]:
    """Add documents and iterate over their chunks.

    Args:
        documents: in the order in which they are added.
        writer: of the segment that they are added to.

    Yields:
        (text of a chunk, whether it begins its document, text of the document)
    """
    for document in documents:
        for text, first in writer.add(document):
            yield text, first, document.text
