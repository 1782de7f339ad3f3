"""The compiled part of entity/linking/index.py that reads: bytes to letters, letters to tokens and their
hashes. Needs the extra `fast`.

ASCII is read 64 bytes at a time, all else letter by letter; both give one fold one hash. numba keeps what it
compiles from entity/linking/_kernels.py with these functions in it, and looks at that file alone for changes:
whoever changes this one touches the other.
"""

import sys

from llvmlite import ir
from numba import int64, njit, uint64
from numba.extending import intrinsic

SPACE, POINT, WIDE = 0, 1, 2  # what an ASCII byte may be besides the letter it folds to
# bits 24 and 25 of a letter in `letters`; below is its fold
KIND_SPACE, KIND_POINT, KIND_WORD, KIND_SINGLE = 0, 1, 2, 3
BASIS = uint64(0xCBF29CE484222325)
ZERO, ONE, TWO, SEVEN, EIGHT, TAIL, HALF = (
    uint64(0),
    uint64(1),
    uint64(2),
    uint64(7),
    uint64(8),
    uint64(29),
    uint64(32),
)
ONES, TOPS = uint64(0x0101010101010101), uint64(0x8080808080808080)
UPPER_A, UPPER_Z, LOWER_A, LOWER_Z = uint64(0x41), uint64(0x5A), uint64(0x61), uint64(0x7A)
DIGIT_0, DIGIT_9, LINE, HYPHEN = uint64(0x30), uint64(0x39), uint64(0x5F), uint64(0x2D)
# all the ASCII that str.isspace() says
TAB, RETURN, FILE, BLANK = uint64(0x09), uint64(0x0D), uint64(0x1C), uint64(0x20)
CASE = uint64(0x2020202020202020)
GATHER = uint64(0x0102040810204080)
LOST = 0xDC00  # a byte that no UTF-8 has reads as half of a surrogate pair: a point


@njit(cache=True, nogil=True)
def decode(text, p, end):
    """The code point at byte p and how many bytes it takes."""
    a = int64(text[p])
    if a < 0x80:
        return a, 1
    if 0xC0 <= a < 0xE0 and p + 1 < end:
        return (a & 0x1F) << 6 | (int64(text[p + 1]) & 0x3F), 2
    if 0xE0 <= a < 0xF0 and p + 2 < end:
        return (a & 0x0F) << 12 | (int64(text[p + 1]) & 0x3F) << 6 | (int64(text[p + 2]) & 0x3F), 3
    if 0xF0 <= a < 0xF8 and p + 3 < end:
        point = (
            (a & 0x07) << 18
            | (int64(text[p + 1]) & 0x3F) << 12
            | (int64(text[p + 2]) & 0x3F) << 6
            | (int64(text[p + 3]) & 0x3F)
        )
        return (point, 4) if point < 0x110000 else (LOST, 1)
    return LOST, 1


@njit(cache=True, nogil=True)
def encode(point, out, q):
    """Write a code point as UTF-8 at q; returns where the next one goes."""
    if point < 0x80:
        out[q] = point
        return q + 1
    if point < 0x800:
        out[q], out[q + 1] = 0xC0 | point >> 6, 0x80 | point & 0x3F
        return q + 2
    if point < 0x10000:
        out[q], out[q + 1], out[q + 2] = 0xE0 | point >> 12, 0x80 | point >> 6 & 0x3F, 0x80 | point & 0x3F
        return q + 3
    out[q], out[q + 1] = 0xF0 | point >> 18, 0x80 | point >> 12 & 0x3F
    out[q + 2], out[q + 3] = 0x80 | point >> 6 & 0x3F, 0x80 | point & 0x3F
    return q + 4


@njit(cache=True, nogil=True)
def letter(point, pages, letters):
    """Kind and fold of a code point, kind << 24 | fold; `letters` has the fold less the code point, so that
    pages repeat."""
    found = int64(letters[int64(pages[point >> 8]) << 8 | point & 0xFF])
    return found & ~0xFFFFFF | found + point & 0xFFFFFF


@njit(cache=True, nogil=True)
def plain(point):
    """What entity.link.plain makes of a code point."""
    if point == 0x2019:
        return 0x27
    if point == 0x3A3 or point == 0x3C2:
        return 0x3C3
    return 0x69 if point == 0x130 else point


@intrinsic
def eight(typingctx, text, p):
    """text[p:p + 8] as one number, the first byte lowest."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        number = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)
        return number if sys.byteorder == "little" else builder.bswap(number)

    return uint64(text, int64), generate


@intrinsic
def leading_zeros(typingctx, number):
    """How many of the highest bits are 0; 64 of the number 0."""

    def generate(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return uint64(uint64), generate


@intrinsic
def zeros(typingctx, number):
    """How many of the lowest bits are 0; 64 of the number 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return uint64(uint64), generate


@njit(cache=True, nogil=True)
def between(word, low, high):
    """The top bit of every byte of a word of ASCII that is from `low` to `high`; the other bits mean
    nothing."""
    return (word + TOPS - low * ONES) ^ (word + TOPS - ONES - high * ONES)


@njit(cache=True, nogil=True)
def top_bits(word):
    """The eight top bits of a word, as one byte."""
    return ((word & TOPS) >> SEVEN) * GATHER >> uint64(56)


@njit(cache=True, nogil=True)
def kinds(text, p):
    """One bit for each of 64 bytes: it is ASCII and of a word, it is an ASCII point, it is not ASCII."""
    words, points, highs = ZERO, ZERO, ZERO
    for k in range(8):
        word = eight(text, p + 8 * k)
        high, low = word & TOPS, word & ~TOPS
        of_word = (
            between(low | CASE, LOWER_A, LOWER_Z) | between(low, DIGIT_0, DIGIT_9) | between(low, LINE, LINE)
        )
        of_space = between(low, TAB, RETURN) | between(low, FILE, BLANK) | between(low, HYPHEN, HYPHEN)
        shift = uint64(8 * k)
        words |= top_bits(of_word & ~high) << shift
        points |= top_bits(~(of_word | of_space | high)) << shift
        highs |= top_bits(high) << shift
    return words, points, highs


@njit(cache=True, nogil=True)
def mix(hash, word, multiplier):
    hash = (hash ^ word) * multiplier
    return hash ^ (hash >> HALF)


@njit(cache=True, nogil=True)
def finish(hash, multiplier):
    hash = (hash ^ (hash >> HALF)) * multiplier
    return hash ^ (hash >> TAIL)


@njit(cache=True, nogil=True)
def first_of(word, length):
    """The lowest bytes of a word: eight or fewer, none when the length is 0 or less."""
    return word if length >= 8 else word & ((ONE << uint64(8 * max(length, 0))) - ONE)


@njit(cache=True, nogil=True)
def folded(text, p, length):
    """Up to eight letters of ASCII in lower case, as one number; 0 when the length is 0 or less."""
    word = eight(text, p)
    word |= (between(word & ~TOPS, UPPER_A, UPPER_Z) & TOPS) >> TWO
    return first_of(word, length)


@njit(cache=True, nogil=True)
def hash_ascii(text, p, length, multiplier):
    hash = mix(mix(BASIS, folded(text, p, length), multiplier), folded(text, p + 8, length - 8), multiplier)
    for k in range(16, length, 8):
        hash = mix(hash, folded(text, p + k, length - k), multiplier)
    return finish(hash, multiplier)


@njit(cache=True, nogil=True)
def hash_any(text, p, end, narrow, pages, letters, multiplier):
    """Where the word of any letters at p ends, p where there is none, and the hash that `hash_ascii` gives
    its fold."""
    hash, word, used = BASIS, ZERO, ZERO
    num_words = 0
    while p < end:
        c, size = int64(narrow[text[p]]), 1
        if c <= POINT:
            break
        if c == WIDE:
            point, size = decode(text, p, end)
            found = letter(point, pages, letters)
            if found >> 24 != KIND_WORD:
                break
            c = found & 0xFFFFFF
        p += size
        for _ in range(1 if c < 0x80 else 3):
            word |= uint64(c & 0xFF) << (EIGHT * used)
            c >>= 8
            used += ONE
            if used == EIGHT:
                hash, word, used = mix(hash, word, multiplier), ZERO, ZERO
                num_words += 1
    while used or num_words < 2:
        hash, word, used = mix(hash, word, multiplier), ZERO, ZERO
        num_words += 1
    return p, finish(hash, multiplier)


@njit(cache=True, nogil=True)
def scan(text, p, end, narrow, pages, letters, multiplier, hashes, starts, ends, n):
    """Append the tokens from byte p on until the buffers are full or the text ends.

    Returns where it stopped, how many tokens there are now, and whether any of what it read may not be ASCII.
    """
    room, wide = hashes.size, False
    while p < end and n + 64 <= room:
        c = narrow[text[uint64(p)]]
        if c != WIDE and p + 80 <= text.size:
            words, points, highs = kinds(text, p)
            stop = min(int64(zeros(highs)), end - p)
            if stop < 64:
                words &= (ONE << uint64(stop)) - ONE
                points &= (ONE << uint64(stop)) - ONE
            if stop < end - p:  # a word that touches the edge may go on behind it
                stop -= int64(leading_zeros(~(words << uint64(64 - stop)))) if stop else 0
                if stop:
                    words &= (ONE << uint64(stop)) - ONE
            if stop:
                bits = (words & ~(words << ONE)) | points
                while bits:
                    at = zeros(bits)
                    bits &= bits - ONE
                    start, length = p + int64(at), max(int64(zeros(~(words >> at))), 1)
                    hashes[n], starts[n], ends[n] = (
                        hash_ascii(text, start, length, multiplier),
                        start,
                        start + length,
                    )
                    n += 1
                p += stop
                continue
        start = p
        if c >= WIDE:
            wide = True
            p, hash = hash_any(text, start, end, narrow, pages, letters, multiplier)
        if p == start:
            point, size = decode(text, p, end)
            found = letter(point, pages, letters)
            p += size
            if found >> 24 == KIND_SPACE:
                continue
            hash = finish(mix(mix(BASIS, uint64(found & 0xFFFFFF), multiplier), ZERO, multiplier), multiplier)
        hashes[n], starts[n], ends[n] = hash, start, p
        n += 1
    return p, n, wide
