"""Tokenise texts and hash word n-grams, for the search of duplicates and test items.

Hashes are 64 bits, the same on every machine and in every process.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING

from medxiaohe.data.duplicates.readable import readable

if TYPE_CHECKING:
    import numpy as np

# a Chinese character is a word
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
# of a sentence of its own
BEGINS, ENDS = re.compile(r"[\n.?!:;\"\u201c\u3002\uff1f]"), re.compile(r"[^\w\n]*?[\n?\uff1f]")
FACTOR, MIX = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F  # odd, from splitmix64 and xxhash


@lru_cache(maxsize=8)  # every check of a row asks for the words of the same text
def words(text: str) -> tuple[str, ...]:
    """Tokenise a text into words: lower case, without punctuation and layout, letters in one spelling
    (readable.py); a Chinese character is a word.

    Returns:
        The words in order.
    """
    return tuple(WORD.findall(readable(text).casefold()))


def normal(text: str) -> str:
    """Normalise a text for equality: its words with single spaces.

    Returns:
        The words of `words`, joined.
    """
    return " ".join(words(text))


def grams(text: str, length: int) -> np.ndarray:
    """Hash the word n-grams of a text as polynomials modulo 2 ** 64 (Karp and Rabin 1987).

    Args:
        text: any text.
        length: words of an n-gram.

    Returns:
        (number of words - length + 1,) uint64, in order; empty where the text is shorter.
    """
    import numpy as np

    # h(w_1 ... w_n) = sum of code(w_i) * FACTOR ** (n - i) modulo 2 ** 64, the high half folded into the low
    codes = word_codes(text)
    count = len(codes) - length + 1
    if count < 1:
        return np.empty(0, np.uint64)
    if fast := _fast():
        hashes = np.empty(count, np.uint64)
        fast.gram_hashes(codes, length, np.uint64(FACTOR), hashes)
        return hashes
    total = np.zeros(count, np.uint64)
    for start in range(length):
        total = total * np.uint64(FACTOR) + codes[start : start + count]
    return total ^ (total >> np.uint64(32))


@lru_cache(maxsize=8)
def word_codes(text: str) -> np.ndarray:
    """Hash each word of a text.

    Returns:
        (number of words,) uint64: crc32 of the word, mixed; the same on every machine.
    """
    import numpy as np

    if "&" not in text and text.isascii() and (fast := _fast()):
        codes = np.empty(len(text) // 2 + 1, np.uint64)
        return codes[
            : fast.word_codes(np.frombuffer(text.encode(), np.uint8), _crc_table(), np.uint64(MIX), codes)
        ]
    tokens = words(text)
    codes = np.fromiter(
        (zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in tokens), np.uint64, len(tokens)
    )
    codes = (codes + np.uint64(1)) * np.uint64(MIX)
    return codes ^ (codes >> np.uint64(29))


@lru_cache(maxsize=1)
def _fast() -> ModuleType | None:
    """Load the compiled kernels, where numba is installed."""
    try:
        from medxiaohe.data.duplicates import _overlap_kernels
    except ImportError:
        return None
    return _overlap_kernels


def bands(text: str, length: int, factors: np.ndarray, mix: np.ndarray) -> list[int]:
    """Compute the keys of the MinHash bands of a text (Broder 1997): equal keys propose that two texts share
    most n-grams.

    Args:
        text: any text.
        length: words of an n-gram.
        factors: (k,) odd uint32, one for each place of the signature.
        mix: (bands, rows) odd uint64, with bands * rows = k.

    Returns:
        A key of 64 bits for each band.
    """
    import numpy as np

    # MinHash: place i holds the minimum over all n-grams of x * factor_i modulo 2 ** 32
    hashes = grams(text, length)
    least = np.full(len(factors), np.iinfo(np.uint32).max, np.uint32)
    if fast := _fast():
        keys = np.zeros(len(mix), np.uint64)
        fast.bands(hashes, factors, mix, least, keys)
        return list(keys.tolist())
    folded = (hashes ^ (hashes >> np.uint64(32))).astype(np.uint32)
    for start in range(0, len(folded), 2048):  # bounded memory for a book
        least = np.minimum(least, (folded[start : start + 2048, None] * factors).min(axis=0))
    # key of a band: a linear hash of its rows
    keys = (least.reshape(mix.shape).astype(np.uint64) * mix).sum(axis=1, dtype=np.uint64)
    return list((keys ^ (keys >> np.uint64(31))).tolist())


@lru_cache(maxsize=1)
def _crc_table() -> np.ndarray:
    """Build the table of crc32, as zlib computes it."""
    import numpy as np

    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(
            values & np.uint32(1), (values >> np.uint32(1)) ^ np.uint32(0xEDB88320), values >> np.uint32(1)
        )
    return values


def excerpt(text: str, first: int, end: int) -> str:
    """Cut a run of words out of a text, with at most 20 characters of what follows.

    Args:
        text: any text.
        first: index of the first word.
        end: index after the last word.

    Returns:
        The excerpt, with "..." in place of more than 20 characters before it.
    """
    text = readable(text)
    marks = list(WORD.finditer(text.casefold()))
    start = marks[first].start()
    return ("..." if start > 20 else "") + text[start if start > 20 else 0 : marks[end - 1].end() + 20]


def stands_alone(text: str, first: int, end: int) -> bool:
    """Tell whether a run of words is a line of its own, or a sentence that ends in a question mark.

    Args:
        text: any text.
        first: index of the first word.
        end: index after the last word.

    Returns:
        Whether nothing but punctuation surrounds it.
    """
    folded = readable(text).casefold()
    marks = list(WORD.finditer(folded))
    before = folded[marks[first - 1].end() : marks[first].start()] if first else "\n"
    after = (
        folded[marks[end - 1].end() : marks[end].start()]
        if end < len(marks)
        else folded[marks[end - 1].end() :] + "\n"
    )
    return bool(BEGINS.search(before) and ENDS.match(after))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the Jaccard index of two sets.

    Args:
        a: (n,) distinct hashes.
        b: (m,) distinct hashes.

    Returns:
        Size of the intersection over that of the union; 0 for two empty sets.
    """
    import numpy as np

    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / max(1, len(a) + len(b) - shared)
