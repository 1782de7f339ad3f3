"""Search vectors of chunks on disk by cosine: exactly, and in large segments through an HNSW graph.

vectors.N.f16       a row of each chunk of segment N, of length one, float16
vectors.N.faiss     of a segment of many rows: HNSW over the same rows in 8 bits (Malkov and Yashunin 2018),
                    which finds candidates; the rows themselves then give scores and order
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medxiaohe import io, plugins
from medxiaohe.errors import DataError, StorageError
from medxiaohe.progress import Meter

if TYPE_CHECKING:
    import numpy as np

BLOCK = 65_536  # rows that are compared at once
APPROXIMATE = 100_000  # rows of a segment from which on it gets a graph: below, exact search takes 40 ms
CONNECTIVITY, EXPANSION_ADD = (
    24,
    80,
)  # of the graph: neighbours of a node, and candidates that are examined for them
EXPANSION_SEARCH = 192  # nodes that stay in sight while searching
TOGETHER = 4_096  # rows that are linked between two reports of progress
CANDIDATES = 4  # times `top` candidates are taken from a graph and compared exactly


class Named(Protocol):
    """Identity of an embedder that a store records, of texts or images; one with weights has their digest
    too.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...


def described(encoder: Named) -> dict[str, Any]:
    """Describe an embedder for the record of a store.

    Returns:
        its name, its dimension, and the digest of its weights, "" without weights.
    """
    return {"embedder": encoder.name, "dim": encoder.dim, "weights": getattr(encoder, "weights", "")}


def refuse_other(folder: Path, record: Mapping[str, Any], encoder: Named) -> None:
    """Check that an embedder is the one with which the vectors of a store were computed.

    Args:
        folder: of the store, for the message.
        record: of the store, with what `described` returned when it was built.
        encoder: embedder of the queries.

    Raises:
        DataError: it has another name, dimension or weights (a model that was trained again has the name
            of the old one).
    """
    mine = described(encoder)
    if (mine["embedder"], mine["dim"]) != (record["embedder"], record["dim"]):
        raise DataError(
            f"{folder} was built with {record['embedder']} ({record['dim']} dimensions) and not"
            f" with {encoder.name} ({encoder.dim}): build it again"
        )
    if record.get("weights", mine["weights"]) != mine["weights"]:
        raise DataError(
            f"{folder} was built with other weights of {encoder.name} than those that are there now: build it"
            " again"
        )


def write_vectors(
    folder: Path, number: int, batches: Iterable[np.ndarray], dim: int, approximate: int = APPROXIMATE
) -> int:
    """Write the vectors of a segment.

    Args:
        folder: of the store.
        number: of the segment.
        batches: rows of length one, float (n, dim).
        dim: of the vectors.
        approximate: rows from which on the segment gets a graph.

    Returns:
        The number of rows.

    Raises:
        StorageError: the file cannot be written.
    """
    import numpy as np

    rows = 0
    path = folder / f"vectors.{number}.f16"

    def fill(file: Any) -> None:
        nonlocal rows
        for batch in batches:
            if batch.shape[1] != dim:
                raise DataError(f"a vector has {batch.shape[1]} numbers and not {dim}")
            file.write(batch.astype("<f2").tobytes())
            rows += len(batch)

    io.write(path, fill)
    if rows >= approximate:
        _write_graph(folder, number, np.memmap(path, dtype="<f2", mode="r", shape=(rows, dim)))
    return rows


def _write_graph(folder: Path, number: int, vectors: np.ndarray) -> None:
    plugins.need("faiss", why=f"an index of {len(vectors):,} vectors")
    import faiss
    import numpy as np

    graph = faiss.IndexHNSWSQ(
        vectors.shape[1], faiss.ScalarQuantizer.QT_8bit, CONNECTIVITY, faiss.METRIC_INNER_PRODUCT
    )
    graph.hnsw.efConstruction = EXPANSION_ADD
    draft = folder / f".vectors.{number}.faiss"
    threads = faiss.omp_get_max_threads()
    # one thread: the graph depends on the order of insertion, and equal input must give equal bytes
    faiss.omp_set_num_threads(1)
    meter = Meter("link near vectors", len(vectors))
    try:
        # the range of each dimension for the 8-bit codes, from the first BLOCK rows
        graph.train(vectors[:BLOCK].astype(np.float32))
        for start in range(0, len(vectors), TOGETHER):
            block = vectors[start : start + TOGETHER].astype(np.float32)
            graph.add(block)
            meter.advance(len(block))
        faiss.write_index(graph, str(draft))
    except RuntimeError as error:
        raise StorageError(f"{draft} cannot be written: {' '.join(str(error).split())[:200]}") from error
    finally:
        meter.close()
        faiss.omp_set_num_threads(threads)
    os.replace(draft, folder / f"vectors.{number}.faiss")


class Vectors:
    """Vectors of all segments of a store, memory-mapped."""

    def __init__(self, folder: Path, dim: int):
        """Open the vectors of all segments; DataError for a damaged graph."""
        import numpy as np

        self._segments = []
        self.size = 0
        for path in sorted(folder.glob("vectors.*.f16"), key=lambda path: int(path.name.split(".")[1])):
            # two bytes a number
            rows = path.stat().st_size // (2 * dim)
            matrix = np.memmap(path, dtype="<f2", mode="r", shape=(rows, dim))
            self._segments.append((self.size, matrix, _graph(path.with_suffix(".faiss"))))
            self.size += rows

    def search(self, queries: np.ndarray, top: int) -> list[list[tuple[float, int]]]:
        """Search the nearest rows of each query by cosine.

        Args:
            queries: vectors of length one, float32 (n, dim).
            top: how many.

        Returns:
            (cosine, row) of each query, best first, every equal of the last one with it.
        """
        hits: list[list[tuple[float, int]]] = [[] for _ in queries]
        for first, matrix, graph in self._segments:
            for own, near in zip(hits, self._near(queries, matrix, graph, top), strict=True):
                own += [(score, first + row) for score, row in near]
        return [_best(own, top) for own in hits]

    def _near(
        self, queries: np.ndarray, matrix: np.ndarray, graph: Any, top: int
    ) -> list[list[tuple[float, int]]]:
        import numpy as np

        if graph is not None and top * CANDIDATES < len(matrix):
            # the graph finds candidates by 8-bit codes; the float16 rows then give exact cosines
            graph.hnsw.efSearch = max(EXPANSION_SEARCH, top * CANDIDATES)
            _, keys = graph.search(queries, top * CANDIDATES)
            near = []
            for query, rows in zip(queries, keys, strict=True):
                # faiss pads missing candidates with -1
                rows = np.sort(rows[rows >= 0])  # in the order they lie on disk
                scores = matrix[rows].astype(np.float32) @ query
                near.append(_best(list(zip(scores.tolist(), rows.tolist(), strict=True)), top))
            return near
        near = [[] for _ in queries]
        for start in range(0, len(matrix), BLOCK):
            # cosines of all queries and a block of rows, (n, BLOCK)
            block = queries @ matrix[start : start + BLOCK].astype(np.float32).T
            for own, scores in zip(near, block, strict=True):
                # keep every row that ties with the last one, so that ids break ties
                least = np.partition(scores, -min(top, len(scores)))[-min(top, len(scores))]
                selected = np.flatnonzero(scores >= least)
                own += [(float(scores[i]), start + int(i)) for i in selected]
        return near


def _best(hits: list[tuple[float, int]], top: int) -> list[tuple[float, int]]:
    hits.sort(key=lambda hit: (-hit[0], hit[1]))
    if len(hits) <= top:
        return hits
    least = hits[top - 1][0]
    return [hit for hit in hits if hit[0] >= least]


def _graph(path: Path) -> Any:
    if not path.is_file():
        return None
    plugins.need("faiss", why="an index of vectors")
    import faiss

    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise DataError(f"{path} is damaged: build the store again") from error
