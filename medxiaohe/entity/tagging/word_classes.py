"""Words that stand in the same places are of one class: docetaxel with cisplatin, hyperalgesia with colitis.

Counts of the words two to the left and right of every word, as positive pointwise mutual information with
smoothed contexts (Levy, Goldberg and Dagan 2015), the first singular vectors of it (Halko, Martinsson and
Tropp 2011), and spherical k-means. A tagger knows from the classes what words are like that its marked texts
do not have. Needs numpy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from medxiaohe.entity.tagging.features import TOKEN
from medxiaohe.progress import track

if TYPE_CHECKING:
    import numpy as np

OFFSETS = (-2, -1, 1, 2)
SIZES = (200, 1000)  # numbers of classes: coarse, fine
MOST_WORDS, MOST_CONTEXTS = 30_000, 1_000
LEAST_TIMES = 4
DIMENSIONS, ROUNDS = 100, 12
SMOOTHING = 0.75  # of the contexts


def word_classes(
    texts: Iterable[str], sizes: Sequence[int] = SIZES, *, seed: int = 0
) -> dict[str, tuple[int, ...]]:
    """Lower-case words, digits as 0, and their class of each size, counted from 1. About 0.7 GB for 30,000
    words."""
    import numpy as np

    counts, documents = Counter[str](), list[list[str]]()
    for text in track(texts, "words in texts"):
        words = [re.sub(r"\d", "0", word) for word in TOKEN.findall(text.lower())]
        counts.update(words)
        documents.append(words)
    words = [word for word, count in counts.most_common(MOST_WORDS) if count >= LEAST_TIMES]
    if len(words) < 2 * max(sizes):
        return {}
    numbers = {word: number for number, word in enumerate(words)}
    gap = [-1] * max(OFFSETS)
    padded: Iterator[Any] = (word for one in documents for word in (*one, *gap))
    stream = np.array([numbers.get(word, -1) for word in padded], np.int64)
    vectors = _vectors(_information(stream, len(words)), np.random.default_rng(seed))
    found = [_k_means(vectors, size, np.random.default_rng(seed)) for size in sizes]
    return {word: tuple(int(classes[number]) + 1 for classes in found) for number, word in enumerate(words)}


def _information(text: np.ndarray, num_words: int) -> np.ndarray:
    """(words, offsets x contexts) float32, positive pointwise mutual information."""
    import numpy as np

    contexts = min(MOST_CONTEXTS, num_words)
    table = np.zeros((num_words, len(OFFSETS) * contexts), np.float32)
    for number, offset in enumerate(OFFSETS):
        word, near = (text[-offset:], text[:offset]) if offset < 0 else (text[:-offset], text[offset:])
        known = (word >= 0) & (near >= 0) & (near < contexts)
        np.add.at(table, (word[known], near[known] + number * contexts), 1)
    near_shares = table.sum(0) ** SMOOTHING
    near_shares /= near_shares.sum()
    table /= np.maximum(table.sum(1, keepdims=True), 1)
    table /= np.maximum(near_shares, 1e-12)
    np.log(np.maximum(table, 1, out=table), out=table)
    return table


def _vectors(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(words, DIMENSIONS) of length 1."""
    import numpy as np

    sketch = table @ rng.standard_normal((table.shape[1], DIMENSIONS + 20), np.float32)
    for _ in range(2):
        sketch = table @ (table.T @ np.linalg.qr(sketch)[0])
    basis = np.linalg.qr(sketch)[0]
    left, sizes, _ = np.linalg.svd(basis.T @ table, full_matrices=False)
    vectors = (basis @ left)[:, :DIMENSIONS] * np.sqrt(sizes[:DIMENSIONS])
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit


def _k_means(vectors: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The class of every vector; frequent words are the first centres."""
    import numpy as np

    centres = vectors[rng.choice(min(len(vectors), 8 * size), size, replace=False)].copy()
    classes = np.zeros(len(vectors), np.int64)
    for _ in track(range(ROUNDS), f"{size} classes of words"):
        for begin in range(0, len(vectors), 4096):
            classes[begin : begin + 4096] = (vectors[begin : begin + 4096] @ centres.T).argmax(1)
        centres[:] = 0
        np.add.at(centres, classes, vectors)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    return classes
