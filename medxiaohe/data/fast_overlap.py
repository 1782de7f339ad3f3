"""What overlap.py and duplicates.py compute, compiled (extra `fast`): the same numbers, several times as fast. ASCII texts only."""

from __future__ import annotations

import numpy as np
from numba import njit


def _row(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
    return value


TABLE = np.array([_row(value) for value in range(256)], np.uint32)  # of crc32


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def word_codes(data: np.ndarray, table: np.ndarray, mix: np.uint64) -> np.ndarray:
    """A code for each run of ASCII letters and digits, letters as lower case: (crc32 + 1) * mix, its high bits folded in."""
    found = np.empty(len(data) // 2 + 1, np.uint64)
    count, inside, crc = 0, False, np.uint32(0xFFFFFFFF)
    for byte in data:
        if 65 <= byte <= 90:
            byte = np.uint8(byte + 32)
        if 97 <= byte <= 122 or 48 <= byte <= 57:
            crc = table[(crc ^ byte) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
            inside = True
        elif inside:
            found[count] = np.uint64(crc ^ np.uint32(0xFFFFFFFF))
            count, inside, crc = count + 1, False, np.uint32(0xFFFFFFFF)
    if inside:
        found[count] = np.uint64(crc ^ np.uint32(0xFFFFFFFF))
        count += 1
    for i in range(count):
        code = (found[i] + np.uint64(1)) * mix
        found[i] = code ^ (code >> np.uint64(29))
    return found[:count]


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def gram_hashes(codes: np.ndarray, length: int, factor: np.uint64) -> np.ndarray:
    count = max(0, len(codes) - length + 1)
    found = np.empty(count, np.uint64)
    for start in range(count):
        total = np.uint64(0)
        for i in range(start, start + length):
            total = total * factor + codes[i]
        found[start] = total ^ (total >> np.uint64(32))
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def bands(codes: np.ndarray, length: int, factor: np.uint64, factors: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """The keys of overlap.bands, straight from the words."""
    num_bands, num_rows = mix.shape
    least = np.full(num_bands * num_rows, 0xFFFFFFFF, np.uint32)
    for start in range(len(codes) - length + 1):
        total = np.uint64(0)
        for i in range(start, start + length):
            total = total * factor + codes[i]
        total = total ^ (total >> np.uint64(32))
        one = np.uint32(total ^ (total >> np.uint64(32)))
        for i in range(len(factors)):
            value = np.uint32(one * factors[i])
            if value < least[i]:
                least[i] = value
    keys = np.zeros(num_bands, np.uint64)
    for band in range(num_bands):
        for row in range(num_rows):
            keys[band] += np.uint64(least[band * num_rows + row]) * mix[band, row]
        keys[band] ^= keys[band] >> np.uint64(31)
    return keys
