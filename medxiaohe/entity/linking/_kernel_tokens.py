"""Compiled tokenizer of entity/linking/index.py: bytes to letters, letters to tokens and their hashes.

ASCII is read 64 bytes at a time, everything else letter by letter; equal folds get equal hashes either way.
Needs the extra `fast`. numba caches what it compiles from entity/linking/_kernels.py with these functions in
it, and checks only that file for changes: whoever changes this file must change the other too.
"""

import sys

from llvmlite import ir
from numba import int64, njit, uint64
from numba.extending import intrinsic

SPACE, POINT, WIDE = 0, 1, 2  # what an ASCII byte may be besides the letter it folds to
# bits 24 and 25 of a letter in `letters`; below is its fold
KIND_SPACE, KIND_POINT, KIND_WORD, KIND_SINGLE = 0, 1, 2, 3
BASIS = uint64(0xCBF29CE484222325)  # offset basis of 64-bit FNV
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
# ASCII white space as in str.isspace(): TAB to RETURN and FILE to BLANK
TAB, RETURN, FILE, BLANK = uint64(0x09), uint64(0x0D), uint64(0x1C), uint64(0x20)
CASE = uint64(0x2020202020202020)
GATHER = uint64(0x0102040810204080)  # a product that moves eight bits, one in each byte, to the top byte
LOST = 0xDC00  # an invalid byte decodes to half of a surrogate pair, which is a point


@njit(cache=True, nogil=True)
def decode(text, p, end):
    """Decode the UTF-8 code point at byte p.

    Args:
        text: uint8.
        p: first byte.
        end: byte at which the text ends.

    Returns:
        (code point, number of its bytes); (LOST, 1) where the bytes are not UTF-8
    """
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
    """Write a code point as UTF-8 to `out` at byte q.

    Returns:
        the byte after it
    """
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
    """Kind and fold of a code point, from a table in pages of 256.

    Args:
        point: code point.
        pages: (0x1100,): page of each 256 code points.
        letters: kind << 24 | (fold - code point) & 0xFFFFFF; differences, so that pages repeat.

    Returns:
        kind << 24 | fold
    """
    entry = int64(letters[int64(pages[point >> 8]) << 8 | point & 0xFF])
    return entry & ~0xFFFFFF | entry + point & 0xFFFFFF


@njit(cache=True, nogil=True)
def plain(point):
    """What entity.link.plain makes of a code point, apart from accents and dashes.

    Returns:
        code point with one apostrophe, one sigma and one i
    """
    if point == 0x2019:
        return 0x27
    if point == 0x3A3 or point == 0x3C2:
        return 0x3C3
    return 0x69 if point == 0x130 else point


@intrinsic
def eight(typingctx, text, p):
    """Load text[p:p + 8] as one uint64, the first byte lowest.

    Returns:
        uint64; the caller makes sure that all eight bytes exist
    """

    def generate(context, builder, signature, arguments):
        """Emit an unaligned load, with swapped bytes on a big-endian machine.

        Returns:
            LLVM value
        """
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.gep(array.data, [arguments[1]])
        number = builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)
        return number if sys.byteorder == "little" else builder.bswap(number)

    return uint64(text, int64), generate


@intrinsic
def leading_zeros(typingctx, number):
    """Count the highest bits that are 0.

    Returns:
        uint64; 64 for the number 0
    """

    def generate(context, builder, signature, arguments):
        """Emit llvm.ctlz.

        Returns:
            LLVM value
        """
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return uint64(uint64), generate


@intrinsic
def zeros(typingctx, number):
    """Count the lowest bits that are 0.

    Returns:
        uint64; 64 for the number 0
    """

    def generate(context, builder, signature, arguments):
        """Emit llvm.cttz.

        Returns:
            LLVM value
        """
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return uint64(uint64), generate


@njit(cache=True, nogil=True)
def between(word, low, high):
    """Compare eight ASCII bytes at once with a range (SIMD within a register).

    Args:
        word: eight bytes, all below 0x80.
        low: smallest byte of the range, uint64.
        high: largest byte of the range.

    Returns:
        the top bit of each byte says whether it is in the range; the other bits mean nothing
    """
    return (word + TOPS - low * ONES) ^ (word + TOPS - ONES - high * ONES)


@njit(cache=True, nogil=True)
def top_bits(word):
    """Gather the top bits of the eight bytes of a word.

    Returns:
        one byte, the bit of the lowest byte lowest
    """
    return ((word & TOPS) >> SEVEN) * GATHER >> uint64(56)


@njit(cache=True, nogil=True)
def kinds(text, p):
    """Classify 64 bytes from p on.

    Returns:
        three sets of 64 bits: ASCII bytes of words, ASCII points, bytes that are not ASCII
    """
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
    """Mix eight bytes into a hash: xor, multiply, xor-shift.

    Returns:
        uint64
    """
    hash = (hash ^ word) * multiplier
    return hash ^ (hash >> HALF)


@njit(cache=True, nogil=True)
def finish(hash, multiplier):
    """Finalise a hash: xor-shift, multiply, xor-shift.

    Returns:
        uint64
    """
    hash = (hash ^ (hash >> HALF)) * multiplier
    return hash ^ (hash >> TAIL)


@njit(cache=True, nogil=True)
def first_of(word, length):
    """The lowest `length` bytes of a word, the others 0.

    Returns:
        the word where the length is 8 or more, 0 where it is 0 or less
    """
    return word if length >= 8 else word & ((ONE << uint64(8 * max(length, 0))) - ONE)


@njit(cache=True, nogil=True)
def folded(text, p, length):
    """Load up to eight ASCII letters from p on in lower case.

    Returns:
        uint64; 0 where the length is 0 or less
    """
    word = eight(text, p)
    word |= (between(word & ~TOPS, UPPER_A, UPPER_Z) & TOPS) >> TWO
    return first_of(word, length)


@njit(cache=True, nogil=True)
def hash_ascii(text, p, length, multiplier):
    """Hash of an ASCII token in lower case, eight bytes at a time.

    Args:
        text: uint8; must reach 16 bytes past p, and past the token.
        p: first byte.
        length: bytes of the token.
        multiplier: odd uint64 of the hash.

    Returns:
        uint64
    """
    hash = mix(mix(BASIS, folded(text, p, length), multiplier), folded(text, p + 8, length - 8), multiplier)
    for k in range(16, length, 8):
        hash = mix(hash, folded(text, p + k, length - k), multiplier)
    return finish(hash, multiplier)


@njit(cache=True, nogil=True)
def hash_any(text, p, end, narrow, pages, letters, multiplier):
    """Hash of the token of any letters at p, by its fold; equal to `hash_ascii` for an ASCII fold.

    Args:
        text: uint8.
        p: first byte.
        end: byte at which the text ends.
        narrow: (256,) uint8: fold of an ASCII byte, or SPACE, POINT or WIDE.
        pages: of `letter`.
        letters: of `letter`.
        multiplier: odd uint64 of the hash.

    Returns:
        (byte after the token, hash); the byte is p where no word begins there
    """
    hash, word, used = BASIS, ZERO, ZERO
    num_words = 0
    while p < end:
        c, size = int64(narrow[text[p]]), 1
        if c <= POINT:
            break
        if c == WIDE:
            point, size = decode(text, p, end)
            folded_letter = letter(point, pages, letters)
            if folded_letter >> 24 != KIND_WORD:
                break
            c = folded_letter & 0xFFFFFF
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
    """Tokenise a text from byte p on, and append the tokens to the buffers.

    Args:
        text: uint8, with bytes to spare after its end (index.PADDING).
        p: byte to begin at.
        end: byte at which the text ends.
        narrow: (256,) uint8: fold of an ASCII byte, or SPACE, POINT or WIDE.
        pages: of `letter`.
        letters: of `letter`.
        multiplier: odd uint64 of the hash.
        hashes: buffer, is filled with the hash of each token.
        starts: buffer, is filled with its first byte.
        ends: buffer, is filled with the byte after it.
        n: number of tokens in the buffers.

    Returns:
        (byte where it stopped: the end, or less than 64 free places; number of tokens now; whether anything
        that it read may not be ASCII)
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
            if stop < end - p:  # a word that touches the edge may continue behind it
                stop -= int64(leading_zeros(~(words << uint64(64 - stop)))) if stop else 0
                if stop:
                    words &= (ONE << uint64(stop)) - ONE
            if stop:
                # tokens begin at a word byte behind none and at every point, and end at the next 0 of `words`
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
            folded_letter = letter(point, pages, letters)
            p += size
            if folded_letter >> 24 == KIND_SPACE:
                continue
            hash = finish(
                mix(mix(BASIS, uint64(folded_letter & 0xFFFFFF), multiplier), ZERO, multiplier), multiplier
            )
        hashes[n], starts[n], ends[n] = hash, start, p
        n += 1
    return p, n, wide
