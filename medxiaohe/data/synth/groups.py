"""Cluster rows by content with k-means (faiss), and select the rows nearest to the centres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medxiaohe import plugins
from medxiaohe.errors import DataError

if TYPE_CHECKING:
    import numpy as np

# of k-means: the default of faiss
ITERATIONS = 25


def kmeans(rows: np.ndarray, clusters: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cluster vectors by cosine (spherical k-means); the same rows and seed give the same clusters.

    Args:
        rows: (n, d), each of length one.
        clusters: how many, at most n.
        seed: of the rows that the centres start from.

    Returns:
        (cluster of each row (n,), its cosine with the centre of that cluster (n,)).

    Raises:
        DataError: more clusters than rows.
    """
    plugins.need("faiss", why="k-means clusters")
    import faiss
    import numpy as np

    if len(rows) < clusters:
        raise DataError(f"{len(rows)} rows cannot make {clusters} clusters: lower `clusters`")
    rows = np.ascontiguousarray(rows, np.float32)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # sums in one order: the same bytes
    try:
        # spherical: centres are normalised, so the inner product of unit rows with them is the cosine;
        # the limits of points for each centroid make faiss use every row and sample none
        model = faiss.Kmeans(
            rows.shape[1], clusters, niter=ITERATIONS, seed=seed, spherical=True, min_points_per_centroid=1,
            max_points_per_centroid=len(rows),
        )  # fmt: skip
        model.train(rows)
        cosines, numbers = model.index.search(rows, 1)
    finally:
        faiss.omp_set_num_threads(threads)
    return numbers[:, 0], cosines[:, 0]


def middle(numbers: np.ndarray, cosines: np.ndarray, most: int) -> list[int]:
    """Select the rows nearest to the centre of each cluster.

    Args:
        numbers: cluster of each row, (n,).
        cosines: cosine with its centre, (n,).
        most: rows of one cluster at most.

    Returns:
        Indices of the rows, ascending; of equal cosines the earlier row is taken.
    """
    import numpy as np

    taken: dict[int, int] = {}
    chosen = []
    # by falling cosine, equal ones in the order of the rows (lexsort: the last key is the first)
    for row in np.lexsort((np.arange(len(numbers)), -cosines)).tolist():
        number = int(numbers[row])
        if taken.get(number, 0) < most:
            taken[number] = taken.get(number, 0) + 1
            chosen.append(row)
    return sorted(chosen)
