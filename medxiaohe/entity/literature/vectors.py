"""Similarity of texts: TF-IDF of words and of character n-grams, and the vectors of an embedder.

`Sparse` needs numpy only. `Embedder` is anything with a name that turns texts into rows of length 1
(models/embed.py).
"""

from __future__ import annotations

import itertools
import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from medxiaohe import io
from medxiaohe.entity.literature.words import content

if TYPE_CHECKING:
    import numpy as np

NOT_LETTERS = re.compile(r"[\W_]+")
PIECE = 4096  # texts that are encoded and cached together
MAX_ROWS_OF_A_FEATURE = 20_000  # rows: a more frequent feature carries little and costs most of the time


class Embedder(Protocol):
    @property
    def name(self) -> str:
        """Name of the encoder, part of the key of cached vectors.

        Returns:
            for example the id of a model
        """
        ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts.

        Returns:
            (texts, dimensions) float32, each row of length 1
        """
        ...


def word_features(text: str) -> list[str]:
    """Content words of a text, and pairs of adjacent ones.

    Returns:
        stemmed words, then bigrams "a b"
    """
    words = content(text)
    return [*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))]


def letter_features(name: str) -> list[str]:
    """Character n-grams of a name, for n = 3, 4 and 5, in lower case, with a blank for each word boundary.

    Returns:
        n-grams, repeated as often as they occur
    """
    text = f" {NOT_LETTERS.sub(' ', name.casefold()).strip()} "
    return [text[i : i + n] for n in (3, 4, 5) for i in range(len(text) - n + 1)]


def letter_likeness(a: str, b: str) -> float:
    """Cosine similarity of the character n-gram counts of two names.

    Returns:
        a number in [0, 1]: 1 for names equal but for case and punctuation, 0 where one has no letters
    """
    counts_a, counts_b = Counter(letter_features(a)), Counter(letter_features(b))
    shared = sum(count * counts_b[feature] for feature, count in counts_a.items())
    lengths = [math.sqrt(sum(count * count for count in counts.values())) for counts in (counts_a, counts_b)]
    return shared / (lengths[0] * lengths[1]) if all(lengths) else 0.0


class Sparse:
    """TF-IDF rows of texts behind an inverted index: a cosine with all is one pass over postings."""

    def __init__(self, texts: Sequence[str], features: Callable[[str], Iterable[str]]):
        import numpy as np

        self.features, self.size = features, len(texts)
        self._number: dict[str, int] = {}
        # millions: lists would take ten times as much memory
        rows, columns, counts = array("i"), array("i"), array("f")
        for i, text in enumerate(texts):
            for feature, count in Counter(features(text)).items():
                rows.append(i)
                columns.append(self._number.setdefault(feature, len(self._number)))
                counts.append(1 + math.log(count))  # sublinear term frequency
        row, column = np.asarray(rows, np.int32), np.asarray(columns, np.int32)
        num_with = np.bincount(column, minlength=len(self._number))
        # idf(f) = ln((1 + N) / (1 + n_f)) + 1, smoothed, as scikit-learn's TfidfTransformer has it
        self._idf = np.log((1 + self.size) / (1 + num_with)).astype(np.float32) + 1
        weight = (
            np.asarray(counts, np.float32) * self._idf[column] if len(column) else np.zeros(0, np.float32)
        )
        # L2-normalise each row, with the sum of squares in float64
        lengths = np.sqrt(np.bincount(row, weight.astype(np.float64) ** 2, minlength=self.size))
        weight = (weight / np.maximum(lengths, 1e-9)[row]).astype(np.float32) if len(row) else weight
        # postings: the rows of feature f are _rows[_bounds[f] : _bounds[f + 1]]
        order = np.argsort(column, kind="stable")
        self._rows, self._weights = row[order], weight[order]
        self._bounds = np.concatenate(([0], np.cumsum(num_with))).astype(np.int64)

    def similarities(self, text: str) -> np.ndarray:
        """Cosine similarity of a text with every row.

        Features of more than MAX_ROWS_OF_A_FEATURE rows are ignored; features that no row has count in the
        length of the text only.

        Args:
            text: read with the same features as the rows.

        Returns:
            (rows,) float32
        """
        import numpy as np

        counts = Counter(self.features(text))
        in_index = [(self._number[f], 1 + math.log(n)) for f, n in counts.items() if f in self._number]
        in_index = [
            (column, n)
            for column, n in in_index
            if self._bounds[column + 1] - self._bounds[column] <= MAX_ROWS_OF_A_FEATURE
        ]
        # squared weights of features that no row has (n_f = 0): they make the text longer, not nearer
        unknown = sum(
            (1 + math.log(n)) ** 2 * (math.log(1 + self.size) + 1) ** 2
            for f, n in counts.items()
            if f not in self._number
        )
        if not in_index:
            return np.zeros(self.size, np.float32)
        weights = [count * float(self._idf[column]) for column, count in in_index]
        length = math.sqrt(sum(w * w for w in weights) + unknown)
        # dot product with every row: add the products of each feature's postings up by row
        postings = [slice(self._bounds[column], self._bounds[column + 1]) for column, _ in in_index]
        rows = np.concatenate([self._rows[posting] for posting in postings])
        products = np.concatenate(
            [self._weights[posting] * (w / length) for posting, w in zip(postings, weights, strict=True)]
        )
        return np.bincount(rows, products, minlength=self.size).astype(np.float32)


def top(similarities: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k largest values.

    Args:
        similarities: one-dimensional.
        k: more than there are is all.

    Returns:
        int64 indices, largest value first; of equal values the smaller index first
    """
    import numpy as np

    k = min(k, len(similarities))
    if not k:
        return np.zeros(0, np.int64)
    least = np.partition(similarities, len(similarities) - k)[len(similarities) - k]
    # those equal to the least too, so that the choice does not depend on numpy
    chosen = np.flatnonzero(similarities >= least)
    return chosen[np.lexsort((chosen, -similarities[chosen]))][:k]


class Remembering:
    """Cache around an embedder: each text is encoded once; with a folder, once across runs, in pieces of
    PIECE texts.
    """

    def __init__(self, embedder: Embedder, folder: Path | None = None):
        self.name, self._embedder, self._folder = embedder.name, embedder, folder
        self._known: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts, each distinct text once.

        Args:
            texts: may have duplicates.

        Returns:
            (texts, dimensions), rows in the order of `texts`
        """
        import numpy as np

        new = sorted({text for text in texts if text not in self._known}, key=lambda text: (len(text), text))
        for start in range(0, len(new), PIECE):
            piece = new[start : start + PIECE]
            self._known.update(zip(piece, self._piece(piece), strict=True))
        return np.stack([self._known[text] for text in texts]) if texts else self._embedder.encode(texts)

    def _piece(self, texts: list[str]) -> np.ndarray:
        import numpy as np

        if self._folder is None:
            return self._embedder.encode(texts)
        path = self._folder / f"{io.fingerprint([self.name, texts])}.npy"
        if path.exists():
            return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
        rows = self._embedder.encode(texts)
        io.write(path, lambda file: np.save(file, rows))
        return rows
