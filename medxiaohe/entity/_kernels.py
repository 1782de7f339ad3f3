"""The compiled part of entity/index.py: tokens, the table of name prefixes, longest match. Needs the extra `fast`.

A name is a path of prefixes: its first token, its first two, and so on. A prefix is known by a 64-bit hash that rolls
over its tokens; a cell of the table holds the upper half of that hash, whether some name goes on (MORE), and the first
record that ends there: its place in eights of bytes, and 1. Two sets of bits, small enough for a cache, say where in a
text looking is worth it. Hashes only lead to records: a record matches when the text equals its key, letter by letter,
so two prefixes with one hash cost time and never change what is found.
"""

import sys

from llvmlite import ir
from numba import int64, njit, uint32, uint64
from numba.extending import intrinsic

SPACE, POINT, WIDE = 0, 1, 2  # what an ASCII byte may be besides the letter it folds to
KIND_SPACE, KIND_POINT, KIND_WORD, KIND_SINGLE = 0, 1, 2, 3  # bits 24 and 25 of a letter in `letters`; below is its fold
HEAD = 16  # bytes before the key of a record: its value, the next record of the prefix, the length of the key, whether it is exact
MORE = uint32(1 << 31)
BASIS = uint64(0xCBF29CE484222325)
ZERO, ONE, TWO, SEVEN, EIGHT, TAIL, HALF = uint64(0), uint64(1), uint64(2), uint64(7), uint64(8), uint64(29), uint64(32)
SIX, TWELVE, SIXTY_THREE = uint64(6), uint64(12), uint64(63)
ONES, TOPS = uint64(0x0101010101010101), uint64(0x8080808080808080)
UPPER_A, UPPER_Z, LOWER_A, LOWER_Z = uint64(0x41), uint64(0x5A), uint64(0x61), uint64(0x7A)
DIGIT_0, DIGIT_9, LINE, HYPHEN = uint64(0x30), uint64(0x39), uint64(0x5F), uint64(0x2D)
TAB, RETURN, FILE, BLANK = uint64(0x09), uint64(0x0D), uint64(0x1C), uint64(0x20)  # all the ASCII that str.isspace() says
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
        point = (a & 0x07) << 18 | (int64(text[p + 1]) & 0x3F) << 12 | (int64(text[p + 2]) & 0x3F) << 6 | (int64(text[p + 3]) & 0x3F)
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
    """Kind and fold of a code point, kind << 24 | fold; `letters` has the fold less the code point, so that pages repeat."""
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
    """The top bit of every byte of a word of ASCII that is from `low` to `high`; the other bits mean nothing."""
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
        of_word = between(low | CASE, LOWER_A, LOWER_Z) | between(low, DIGIT_0, DIGIT_9) | between(low, LINE, LINE)
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
    """Where the word of any letters at p ends, p where there is none, and the hash that `hash_ascii` gives its fold."""
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
                    hashes[n], starts[n], ends[n] = hash_ascii(text, start, length, multiplier), start, start + length
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


@njit(cache=True, nogil=True)
def longer(prefix, token, multiplier):
    """The hash of a prefix and one more token."""
    return finish(prefix * multiplier + token, multiplier)


@njit(cache=True, nogil=True)
def lookup(table, hash):
    """What the table holds for a prefix, 0 when it is none."""
    mask = uint64(table.size) - ONE
    slot, tag = hash & mask, hash >> HALF
    while True:
        cell = table[slot]
        if cell == ZERO:
            return uint32(0)
        if cell >> HALF == tag:
            return uint32(cell)
        slot = (slot + ONE) & mask


@njit(cache=True, nogil=True)
def equals(text, starts, ends, i, length, narrow, pages, letters, records, q, stop, exact):
    """Whether tokens i to i + length are the key records[q:stop], in which one space parts tokens."""
    for j in range(i, i + length):
        if j > i:
            if q >= stop or records[q] != BLANK:
                return False
            q += 1
        p, end = starts[j], ends[j]
        if not exact and p + 80 <= text.size:
            while p < end and not eight(text, p) & TOPS:
                left = end - p
                if folded(text, p, left) != first_of(eight(records, q), left):
                    return False
                p += 8
                q += 8
            if p >= end:
                q += end - p
                continue
        while p < end:
            if q >= stop:
                return False
            point, size = decode(text, p, end)
            wanted, wide = decode(records, q, stop)
            if wanted != (plain(point) if exact else letter(point, pages, letters) & 0xFFFFFF):
                return False
            p += size
            q += wide
    return q == stop


@njit(cache=True, nogil=True)
def has(bits, hash):
    """1 when both bits of a hash are in a set of bits: 0 says that nothing with that hash was put in."""
    word = bits[(hash >> TWELVE) & (uint64(bits.size) - ONE)]
    return (word >> (hash & SIXTY_THREE)) & (word >> ((hash >> SIX) & SIXTY_THREE)) & ONE


@njit(cache=True, nogil=True)
def candidates(hashes, limit, n, multiplier, singles, pairs, found):
    """Where before `limit` a name may start: 2 x position, and 1 more when two tokens or more may match. No branches."""
    count = 0
    for i in range(min(limit, n - 1)):
        single, pair = has(singles, hashes[i]), has(pairs, longer(hashes[i], hashes[i + 1], multiplier))
        found[count] = 2 * i + int64(pair)
        count += int64(single | pair)
    if limit == n and n and has(singles, hashes[n - 1]):
        found[count] = 2 * (n - 1)
        count += 1
    return count


@njit(cache=True, nogil=True)
def walk(table, hashes, i, stop, multiplier):
    """The first entry of the longest known prefix of tokens i to stop at which names end, and its length; 0 when none does."""
    hash = hashes[i]
    best, length = int64(lookup(table, hash) & ~MORE), 1
    best_length = length
    while i + length < stop:
        hash = longer(hash, hashes[i + length], multiplier)
        cell = lookup(table, hash)
        length += 1
        if cell & ~MORE:
            best, best_length = int64(cell & ~MORE), length
        if not cell & MORE:
            break
    return best, best_length


@njit(cache=True, nogil=True)
def find(
    text, offsets, doc, narrow, pages, letters, multiplier, longest, singles, pairs, table, records, heads,
    hashes, starts, ends, places, rows, out_start, out_end, out_value, count, in_letters,
):  # fmt: skip
    """Mentions of the documents from `doc` on, until the output is full; returns the first document not done, and the count.

    rows[d + 1] is the number of mentions up to and with document d; out_start and out_end count bytes from its beginning, or
    characters `in_letters`.
    """
    room = out_start.size
    while doc < offsets.size - 1:
        base, p, end = offsets[doc], offsets[doc], offsets[doc + 1]
        begun, free, n, wide = count, 0, 0, False
        while p < end:
            p, n, more_wide = scan(text, p, end, narrow, pages, letters, multiplier, hashes, starts, ends, n)
            wide |= more_wide
            limit = n if p >= end else n - longest  # a name that starts before it is wholly in the buffers
            for place in range(candidates(hashes, limit, n, multiplier, singles, pairs, places)):
                i = places[place] >> 1
                if i < free:
                    continue
                most = longest if places[place] & 1 else 1
                while most:
                    entry, length = walk(table, hashes, i, min(n, i + most), multiplier)
                    while entry:
                        head = entry - 1 << 1
                        key = (head << 2) + HEAD
                        if equals(
                            text, starts, ends, i, length, narrow, pages, letters, records, key, key + heads[head + 2], heads[head + 3]
                        ):
                            break
                        entry = int64(heads[head + 1])
                    if entry:
                        if count == room:
                            return doc, begun
                        out_start[count], out_end[count] = starts[i] - base, ends[i + length - 1] - base
                        out_value[count] = heads[entry - 1 << 1]
                        count += 1
                        free = i + length
                        break
                    most = length - 1
            done = max(free, limit)
            for j in range(done, n):
                hashes[j - done], starts[j - done], ends[j - done] = hashes[j], starts[j], ends[j]
            free, n = 0, n - done
        if in_letters and wide:
            to_letters(text, base, begun, count, out_start, out_end)
        doc += 1
        rows[doc] = count
    return doc, count


@njit(cache=True, nogil=True)
def going_on(text, start, end):
    """How many bytes there are in the second place or later of a character."""
    count = 0
    for q in range(start, end):
        count += (text[uint64(q)] & 0xC0) == 0x80
    return count


@njit(cache=True, nogil=True)
def to_letters(text, base, first, last, starts, ends):
    """Turn positions in bytes into positions in characters, for mentions first to last of the document at base."""
    p, more = base, 0
    for m in range(first, last):
        start, end = base + starts[m], base + ends[m]
        more += going_on(text, p, start)
        starts[m] -= more
        more += going_on(text, start, end)
        ends[m] -= more
        p = end


# ---- building ------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def prefixes(names, offsets, num_exact, narrow, pages, letters, multiplier, buffers, keys, bounds, all_hashes, lengths):
    """The key of every name and the hashes of all its prefixes; returns how many bytes and hashes that is.

    A name before num_exact keeps its letters as they are, the others are folded.
    """
    hashes, starts, ends = buffers
    q, count = 0, 0
    for name in range(offsets.size - 1):
        bounds[name] = q
        end = offsets[name + 1]
        _, n, _ = scan(names, offsets[name], end, narrow, pages, letters, multiplier, hashes, starts, ends, 0)
        lengths[name] = n
        hash = ZERO
        for j in range(n):
            if j:
                keys[q] = 32
                q += 1
            p = starts[j]
            while p < ends[j]:
                point, size = decode(names, p, ends[j])
                q = encode(plain(point) if name < num_exact else letter(point, pages, letters) & 0xFFFFFF, keys, q)
                p += size
            hash = longer(hash, hashes[j], multiplier) if j else hashes[j]
            all_hashes[count] = hash
            count += 1
    bounds[offsets.size - 1] = q
    return q, count


@njit(cache=True, nogil=True)
def place(table, hash):
    """The slot of a prefix in a table, a new one when it has none."""
    mask = uint64(table.size) - ONE
    slot, tag = hash & mask, hash >> HALF
    while table[slot] != ZERO and table[slot] >> HALF != tag:
        slot = (slot + ONE) & mask
    return slot


@njit(cache=True, nogil=True)
def put(bits, hash):
    bits[(hash >> TWELVE) & (uint64(bits.size) - ONE)] |= ONE << (hash & SIXTY_THREE) | ONE << ((hash >> SIX) & SIXTY_THREE)


@njit(cache=True, nogil=True)
def fill(all_hashes, lengths, num_exact, keys, bounds, values, singles, pairs, table, records, heads):
    """Enter every name; of names with one key the first stays. The first token of a longer name takes no cell."""
    at, entry = 0, 1
    for name in range(lengths.size):
        if not lengths[name]:
            continue
        head, size = entry - 1 << 1, bounds[name + 1] - bounds[name]
        for k in range(size):
            records[(head << 2) + HEAD + k] = keys[bounds[name] + k]
        heads[head], heads[head + 1], heads[head + 2], heads[head + 3] = values[name], 0, size, name < num_exact
        last = lengths[name] - 1
        for j in range(min(1, last), last + 1):
            hash = all_hashes[at + j]
            slot = place(table, hash)
            cell = table[slot] | (hash >> HALF) << HALF
            if j == 1:
                put(pairs, hash)
            if j < last:
                table[slot] = cell | uint64(MORE)
            elif cell & uint64(~MORE):
                append(int64(cell & uint64(~MORE)), entry, records, heads)
            else:
                table[slot] = cell | uint64(entry)
        if last == 0:
            put(singles, all_hashes[at])
        at += last + 1
        entry += (HEAD + size + 7) // 8
    return entry - 1


@njit(cache=True, nogil=True)
def append(entry, new, records, heads):
    """Put a record at the end of those of its prefix, unless one of them has its key."""
    while True:
        head = entry - 1 << 1
        if same_key(entry - 1 << 3, new - 1 << 3, records, heads):
            return
        if not heads[head + 1]:
            heads[head + 1] = new
            return
        entry = int64(heads[head + 1])


@njit(cache=True, nogil=True)
def same_key(a, b, records, heads):
    size = heads[(a >> 2) + 2]
    if size != heads[(b >> 2) + 2] or heads[(a >> 2) + 3] != heads[(b >> 2) + 3]:
        return False
    for k in range(HEAD, HEAD + size):
        if records[a + k] != records[b + k]:
            return False
    return True
