"""Texts as words and as hashes of word n-grams: what finding duplicates and test items in a corpus rests on.

Hashes are 64 bits, the same on every machine and in every process.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")  # a Chinese character is a word
FACTOR, MIX = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F  # odd, from splitmix64 and xxhash


def words(text: str) -> list[str]:
    """Lower case, punctuation and layout dropped."""
    return WORD.findall(text.casefold())


def grams(sequence: Sequence[str], length: int) -> np.ndarray:
    """One hash for each run of `length` words, in order; empty when the text is shorter."""
    import numpy as np

    count = len(sequence) - length + 1
    if count < 1:
        return np.empty(0, np.uint64)
    codes = np.fromiter((zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in sequence), np.uint64, len(sequence))
    codes = (codes + np.uint64(1)) * np.uint64(MIX)
    codes ^= codes >> np.uint64(29)
    total = np.zeros(count, np.uint64)
    for start in range(length):
        total = total * np.uint64(FACTOR) + codes[start : start + count]
    return total ^ (total >> np.uint64(32))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Shared over all, of two arrays of distinct hashes."""
    import numpy as np

    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / max(1, len(a) + len(b) - shared)
