"""AMCS (MedXIAOHE): average maximum cosine similarity of two sets of terms, in both directions.

    AMCS(A -> B) = 1/|A| * sum over a in A of max over b in B of cos(e_a, e_b)

The formula is the likely reading of what the paper reports as "bidirectional nearest-neighbour semantic
similarity"; it does not print one. With a reference as A and the tree as B, forward is high when the tree has
what the reference has, and backward is lower when the tree also has what the reference lacks: that is how the
paper reads its own figures.

A similarity depends on its encoder, so a result has the encoder's name. It shows that the other set has a
term with a similar name, not that it has knowledge about it (MedXIAOHE). `control` is the same number with
the axes of B's vectors permuted: what this encoder gives between unrelated clouds of the same shape.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medxiaohe.errors import DataError
from medxiaohe.progress import Meter

if TYPE_CHECKING:
    import numpy as np

BLOCK = 4096  # rows multiplied together: 64 MiB of cosines at a time, whatever the sets
RESAMPLES = 1000  # of the bootstrap: enough for two digits of a 95 % interval
FARTHEST = 20  # terms of A listed in the result


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A term of one set and the nearest term of the other."""

    term: str
    nearest: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Direction:
    """The score of one direction, over `n` terms of A (a sample where `n` < `of`), with all terms of B."""

    score: float
    low: float  # 95 %, percentile bootstrap over the terms of A
    high: float
    n: int
    of: int  # how many terms A has
    against: int  # how many terms B has
    equal: float  # share of the n that B has letter for letter, but for case
    control: float
    farthest: tuple[Neighbour, ...]  # the terms of A that B is farthest from


@dataclass(frozen=True, slots=True)
class Amcs:
    """The scores of both directions, with the encoder and the seed they depend on."""

    encoder: str
    seed: int
    forward: Direction  # A -> B
    backward: Direction  # B -> A


def amcs(
    a: Sequence[str],
    b: Sequence[str],
    vectors_a: np.ndarray,
    vectors_b: np.ndarray,
    *,
    encoder: str,
    sample: int = 0,
    seed: int = 0,
) -> Amcs:
    """Average maximum cosine similarity of two sets of terms, in both directions.

    Args:
        a: terms of set A, for example a reference list.
        b: terms of set B, for example the names of the tree.
        vectors_a: embeddings of `a`, (len(a), d), rows of length 1; may be memory-mapped.
        vectors_b: embeddings of `b`, (len(b), d), rows of length 1; may be memory-mapped.
        encoder: name of the encoder that made the vectors; copied to the result.
        sample: average over at most so many terms, drawn without replacement; 0 takes all. The maximum is
            always over the complete second set.
        seed: of the sample, the bootstrap and the control.

    Returns:
        both directions, each with a 95 % interval, a control and the terms that are farthest

    Raises:
        DataError: a set is empty, or has another number of vectors than of terms.
    """
    for name, terms, vectors in (("A", a, vectors_a), ("B", b, vectors_b)):
        if not len(terms):
            raise DataError(f"set {name} has no terms: there is nothing to compare")
        if len(terms) != len(vectors):
            raise DataError(
                f"set {name} has {len(terms)} terms and {len(vectors)} vectors: give one vector for each term"
            )
    forward = _direction(a, b, vectors_a, vectors_b, sample, seed)
    return Amcs(encoder, seed, forward, _direction(b, a, vectors_b, vectors_a, sample, seed))


def _direction(
    a: Sequence[str], b: Sequence[str], vectors_a: np.ndarray, vectors_b: np.ndarray, sample: int, seed: int
) -> Direction:
    import numpy as np

    chosen = _drawn(len(a), sample, seed)
    rows = np.ascontiguousarray(vectors_a[chosen], np.float32)  # e_a, (n, d)
    # control: permuting the axes of e_b keeps its length and the cloud's shape, and unpairs it from e_a
    shuffled = np.array(random.Random(seed).sample(range(rows.shape[1]), rows.shape[1]))
    best = np.full(len(rows), -1.0, np.float32)
    nearest = np.zeros(len(rows), np.int64)
    floor = best.copy()  # the maximum for the control
    for begin, block in _blocks(vectors_b, len(rows)):
        for start in range(0, len(rows), BLOCK):
            batch = slice(start, start + BLOCK)
            # cos(e_a, e_b) of rows of length 1 is their dot product, (batch, block)
            cosines = rows[batch] @ block.T
            at = cosines.argmax(1)
            value = cosines[np.arange(len(at)), at]
            # running maximum over the blocks of B; of equal cosines the first term of B stays
            better = value > best[batch]
            best[batch] = np.where(better, value, best[batch])
            nearest[batch] = np.where(better, at + begin, nearest[batch])
            floor[batch] = np.maximum(floor[batch], (rows[batch] @ block[:, shuffled].T).max(1))
    best = np.clip(best, -1, 1)  # float32 products may leave [-1, 1] by rounding
    low, high = _interval(best, seed)
    names_b = {term.casefold() for term in b}
    # lowest maximum first, equal ones in the order of A
    order = np.lexsort((np.array(chosen), best))[:FARTHEST]
    return Direction(
        score=float(best.mean(dtype=np.float64)),
        low=low,
        high=high,
        n=len(rows),
        of=len(a),
        against=len(b),
        equal=sum(a[i].casefold() in names_b for i in chosen) / len(chosen),
        control=float(floor.mean(dtype=np.float64)),
        farthest=tuple(Neighbour(a[chosen[i]], b[nearest[i]], round(float(best[i]), 4)) for i in order),
    )


def _drawn(size: int, sample: int, seed: int) -> list[int]:
    return (
        list(range(size))
        if not sample or sample >= size
        else sorted(random.Random(seed).sample(range(size), sample))
    )


def _blocks(vectors: np.ndarray, rows: int) -> Iterator[tuple[int, np.ndarray]]:
    import numpy as np

    meter = Meter(f"compare {rows:,} terms with", len(vectors))
    try:
        for begin in range(0, len(vectors), BLOCK):
            block = np.ascontiguousarray(vectors[begin : begin + BLOCK], np.float32)
            yield begin, block
            meter.advance(len(block))
    finally:
        meter.close()


def _interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, 95 % (Efron 1979)."""
    import numpy as np

    generator = np.random.default_rng(seed)
    # percentile bootstrap: the mean of each resample of size n; float64, as a sum may have a million terms
    means = [
        values[generator.integers(0, len(values), len(values))].mean(dtype=np.float64)
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
