"""Image store: images of documents as vectors, searched by an image, or by text where the embedder has
both.

    documents.N.*    the documents with the names and hashes of their images (retrieval/corpus.py)
    images.N.json    which document and image each vector is of
    vectors.N.*      the vectors (retrieval/vectors.py)
    store.json       format, counts, embedder, dimension, and the sizes of the files

The images stay where they are: a store has their paths and digests, and their texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import images, io, plugins
from medxiaohe.errors import DataError
from medxiaohe.models.embed_images import ImageEmbedder, image_embedder
from medxiaohe.retrieval.corpus import Corpus, Writer, broken, read_record, write_record
from medxiaohe.retrieval.store import Query, check
from medxiaohe.retrieval.vectors import APPROXIMATE, Vectors, described, refuse_other, write_vectors
from medxiaohe.types import Evidence, ImageRef

if TYPE_CHECKING:
    import numpy as np

TOGETHER = 256  # images that are encoded at once


def build_images(
    folder: Path,
    documents: Iterable[Evidence],
    model: str = "dinov2",
    *,
    encoder: ImageEmbedder | None = None,
    approximate: int = APPROXIMATE,
) -> dict[str, Any]:
    """Build an image store in an empty folder, or add documents to one.

    Args:
        folder: a draft, which the caller publishes.
        documents: texts with images, whose `uri` is a file.
        model: an embedder of images (models/embed_images.py).
        encoder: the embedder itself, where the caller has it.
        approximate: images of a segment from which on it gets a graph of near ones.

    Returns:
        {"documents": n, "chunks": n} of what was added; a chunk is an image.

    Raises:
        DataError: no document, a document without an image, an image that cannot be read.
    """
    plugins.need("numpy", "PIL", why="an index of images")
    encoder = encoder or image_embedder(model)
    writer = Writer(folder)
    places: list[tuple[str, int]] = []

    def batches() -> Iterator[np.ndarray]:
        waiting: list[ImageRef] = []
        for document in documents:
            if not document.images:
                raise DataError(f"document {document.id!r} has no image: an image store is of images")
            refs = tuple(image if image.sha256 else images.ref(Path(image.uri)) for image in document.images)
            writer.add(replace(document, images=refs, text=document.text or document.id))
            for number, ref in enumerate(refs):
                places.append((document.id, number))
                waiting.append(ref)
            if len(waiting) >= TOGETHER:
                yield encoder.encode(waiting)
                waiting = []
        if waiting:
            yield encoder.encode(waiting)
        writer.close()
        io.write_json(folder / f"images.{writer.number}.json", places)

    try:
        write_vectors(folder, writer.number, batches(), encoder.dim, approximate)
    except BaseException:
        writer.abort()
        raise
    corpus = Corpus(folder)
    every = sum(len(io.read_json(path)) for path in folder.glob("images.*.json"))
    record = {"kind": "image", "documents": corpus.documents, "chunks": every, "model": model}
    write_record(folder, record | described(encoder))
    return {"documents": writer.documents, "chunks": len(places)}


class ImageStore:
    """Image store that `build_images` wrote."""

    pure = True

    def __init__(self, folder: Path, encoder: ImageEmbedder | None = None):
        """Open a folder; DataError for no store, a truncated one, or another embedder than its own."""
        plugins.need("numpy", "PIL", why="an index of images")
        self.folder, self.record = folder, read_record(folder, "image")
        self.encoder = encoder or image_embedder(self.record["model"])
        refuse_other(folder, self.record, self.encoder)
        self.corpus = Corpus(folder)
        self.vectors = Vectors(folder, self.record["dim"])
        paths = sorted(folder.glob("images.*.json"), key=lambda path: int(path.name.split(".")[1]))
        self._places: list[list[Any]] = [entry for path in paths for entry in io.read_json(path)]
        if not self.vectors.size == len(self._places) == self.record["chunks"]:
            raise broken(folder, f"{self.vectors.size} vectors for {len(self._places)} images")

    @property
    def size(self) -> int:
        """Number of images.

        Returns:
            as the record of the store says.
        """
        return int(self.record["chunks"])

    def search(self, queries: Sequence[Query], top: int) -> list[tuple[Evidence, ...]]:
        """Search documents by the cosine of their nearest image; each is returned with that image.

        Args:
            queries: images; or words, where the embedder has vectors of them.
            top: how many.

        Returns:
            for each query documents with the cosine of their nearest image as score, best first.

        Raises:
            DataError: words, where the embedder has none; what `store.check` refuses.
        """
        check(queries, top)
        results = []
        for query in queries:
            row = (
                self.encoder.encode_text([query]) if isinstance(query, str) else self.encoder.encode([query])
            )
            results.append(self._documents(self.vectors.search(row, self._depth(top))[0], top))
        return results

    def get(self, id: str) -> Evidence:
        """Read a full document.

        Args:
            id: of a document.

        Returns:
            the document with its images.

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

    def _depth(self, top: int) -> int:
        """Estimate how many images to retrieve for `top` documents, which may have several each."""
        # mean number of images of a document, rounded up; twice as many as needed on average
        per = max(1, -(-self.size // max(1, self.corpus.documents)))
        return min(self.size, top * per * 2)

    def _documents(self, hits: Sequence[tuple[float, int]], top: int) -> tuple[Evidence, ...]:
        best: dict[str, Evidence] = {}
        for score, row in hits:
            id, number = self._places[row]
            if id not in best:
                document = self.corpus.get(id)
                best[id] = replace(document, images=(document.images[number],), score=score, kind="record")
        return tuple(sorted(best.values(), key=lambda item: (-item.score, item.id))[:top])
