"""Which texts are near which: TF-IDF of words and of character n-grams, and the vectors of an embedder where
there is one.

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
PIECE = 4096
MAX_ROWS_OF_A_FEATURE = 20_000  # one of more rows says nearly nothing, and would take most of the time


class Embedder(Protocol):
    @property
    def name(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, dimensions] float32, each row of length 1."""
        ...


def word_features(text: str) -> list[str]:
    """Content words and pairs of neighbours."""
    words = content(text)
    return [*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))]


def letter_features(name: str) -> list[str]:
    """Runs of three to five characters of a name, word ends marked."""
    text = f" {NOT_LETTERS.sub(' ', name.casefold()).strip()} "
    return [text[i : i + n] for n in (3, 4, 5) for i in range(len(text) - n + 1)]


def letter_likeness(a: str, b: str) -> float:
    """Cosine of the counts of letter_features of two names: 1 for names that are equal, but for case and
    punctuation."""
    one, other = Counter(letter_features(a)), Counter(letter_features(b))
    shared = sum(count * other[feature] for feature, count in one.items())
    lengths = [math.sqrt(sum(count * count for count in counts.values())) for counts in (one, other)]
    return shared / (lengths[0] * lengths[1]) if all(lengths) else 0.0


class Sparse:
    """TF-IDF rows of texts behind an inverted index; the cosine of a text with all of them is one pass over
    postings."""

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
                counts.append(1 + math.log(count))
        row, column = np.asarray(rows, np.int32), np.asarray(columns, np.int32)
        num_with = np.bincount(column, minlength=len(self._number))
        self._idf = np.log((1 + self.size) / (1 + num_with)).astype(np.float32) + 1
        weight = (
            np.asarray(counts, np.float32) * self._idf[column] if len(column) else np.zeros(0, np.float32)
        )
        lengths = np.sqrt(np.bincount(row, weight.astype(np.float64) ** 2, minlength=self.size))
        weight = (weight / np.maximum(lengths, 1e-9)[row]).astype(np.float32) if len(row) else weight
        order = np.argsort(column, kind="stable")
        self._rows, self._weights = row[order], weight[order]
        self._bounds = np.concatenate(([0], np.cumsum(num_with))).astype(np.int64)

    def similarities(self, text: str) -> np.ndarray:
        """Cosine of `text` with every row, float32."""
        import numpy as np

        counts = Counter(self.features(text))
        known = [(self._number[f], 1 + math.log(n)) for f, n in counts.items() if f in self._number]
        known = [
            (column, n)
            for column, n in known
            if self._bounds[column + 1] - self._bounds[column] <= MAX_ROWS_OF_A_FEATURE
        ]
        unknown = sum(
            (1 + math.log(n)) ** 2 * (math.log(1 + self.size) + 1) ** 2
            for f, n in counts.items()
            if f not in self._number
        )
        if not known:
            return np.zeros(self.size, np.float32)
        weights = [count * float(self._idf[column]) for column, count in known]
        length = math.sqrt(sum(w * w for w in weights) + unknown)
        places = [slice(self._bounds[column], self._bounds[column + 1]) for column, _ in known]
        rows = np.concatenate([self._rows[place] for place in places])
        parts = np.concatenate(
            [self._weights[place] * (w / length) for place, w in zip(places, weights, strict=True)]
        )
        return np.bincount(rows, parts, minlength=self.size).astype(np.float32)


def top(similarities: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k largest, largest first; equals in their order."""
    import numpy as np

    k = min(k, len(similarities))
    if not k:
        return np.zeros(0, np.int64)
    least = np.partition(similarities, len(similarities) - k)[len(similarities) - k]
    # those equal to the least too, so that the choice does not depend on numpy
    chosen = np.flatnonzero(similarities >= least)
    return chosen[np.lexsort((chosen, -similarities[chosen]))][:k]


class Remembering:
    """An embedder that encodes a text once; with a folder, once for all runs that a kill parts (pieces of
    PIECE texts)."""

    def __init__(self, embedder: Embedder, folder: Path | None = None):
        self.name, self._embedder, self._folder = embedder.name, embedder, folder
        self._known: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
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
