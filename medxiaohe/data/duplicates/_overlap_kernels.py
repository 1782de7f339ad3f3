"""Compiled kernels of overlap.py (numba, extra `fast`): the same numbers, several times as fast. Results are
written into arrays of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numba import njit, uint8, uint32, uint64

if TYPE_CHECKING:
    import numpy as np


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def word_codes(data: np.ndarray, table: np.ndarray, mix: np.uint64, out: np.ndarray) -> int:
    """Hash each run of ASCII letters and digits, in lower case: (crc32 + 1) * mix, its high bits folded in.

    Args:
        data: (n,) uint8, the text.
        table: (256,) uint32, of crc32.
        mix: an odd uint64.
        out: (n // 2 + 1,) uint64, which receives the codes.

    Returns:
        Number of codes.
    """
    # crc32 by table, a byte at a time, over each run of letters (A-Z as a-z) and digits
    count, inside, crc = 0, False, uint32(0xFFFFFFFF)
    for byte in data:
        if 65 <= byte <= 90:
            byte = uint8(byte + 32)
        if 97 <= byte <= 122 or 48 <= byte <= 57:
            crc = uint32(table[(crc ^ byte) & uint32(0xFF)] ^ (crc >> uint32(8)))
            inside = True
        elif inside:
            out[count] = uint64(uint32(crc ^ uint32(0xFFFFFFFF)))
            count, inside, crc = count + 1, False, uint32(0xFFFFFFFF)
    if inside:
        out[count] = uint64(uint32(crc ^ uint32(0xFFFFFFFF)))
        count += 1
    # spread the 32 bits of the checksum over 64
    for i in range(count):
        code = (out[i] + uint64(1)) * mix
        out[i] = code ^ (code >> uint64(29))
    return count


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def gram_hashes(codes: np.ndarray, length: int, factor: np.uint64, out: np.ndarray) -> None:
    """Hash every run of `length` words as a polynomial in `factor` modulo 2 ** 64 (Karp and Rabin 1987), its
    high bits folded in.

    Args:
        codes: (n,) uint64, a code for each word.
        length: words of a run.
        factor: an odd uint64.
        out: (n - length + 1,) uint64, which receives the hashes.
    """
    for start in range(len(out)):
        total = uint64(0)
        for i in range(start, start + length):
            total = total * factor + codes[i]
        out[start] = total ^ (total >> uint64(32))


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def bands(
    hashes: np.ndarray, factors: np.ndarray, mix: np.ndarray, least: np.ndarray, keys: np.ndarray
) -> None:
    """Compute the MinHash signature of n-grams and a key for each of its bands.

    Args:
        hashes: (n,) uint64, of the n-grams.
        factors: (k,) odd uint32, one for each place of the signature.
        mix: (bands, rows) odd uint64, with bands * rows = k.
        least: (k,) uint32, which receives the signature; it holds the highest number when this is called.
        keys: (bands,) uint64, which receives the keys; it holds zeros when this is called.
    """
    # MinHash: least[i] = minimum of x * factors[i] modulo 2 ** 32 over all n-grams x, folded to 32 bits
    for item in hashes:
        folded = uint32(item ^ (item >> uint64(32)))
        for i in range(len(factors)):
            value = uint32(folded * factors[i])
            if value < least[i]:
                least[i] = value
    # key of a band: a linear hash of its rows
    num_rows = mix.shape[1]
    for band in range(len(keys)):
        for row in range(num_rows):
            keys[band] += uint64(least[band * num_rows + row]) * mix[band, row]
        keys[band] ^= keys[band] >> uint64(31)
