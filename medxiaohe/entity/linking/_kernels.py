"""Compiled matcher of entity/linking/index.py: a hash table of name prefixes, and leftmost longest match.

A name is a path of prefixes: its first token, its first two, and so on. The key of a prefix is a 64-bit hash
that rolls over its tokens. A cell of the table has the upper half of that hash, whether longer names have
this prefix (MORE), and the first record that ends here: its offset in units of eight bytes, plus 1. Two Bloom
filters, small enough for a cache, exclude most positions of a text. Hashes only lead to records: a record
matches when the text equals its key, letter by letter, so a collision costs time and never changes a result.
Needs the extra `fast`.
"""

from numba import int64, njit, uint32, uint64

from medxiaohe.entity.linking._kernel_tokens import (
    BLANK,
    HALF,
    ONE,
    TOPS,
    ZERO,
    decode,
    eight,
    encode,
    finish,
    first_of,
    folded,
    letter,
    plain,
    scan,
)  # fmt: skip

# bytes before the key of a record: its value, the next record of the prefix, the length of the key, whether
# it is exact
HEAD = 16
MORE = uint32(1 << 31)
SIX, TWELVE, SIXTY_THREE = uint64(6), uint64(12), uint64(63)


@njit(cache=True, nogil=True)
def longer(prefix, token, multiplier):
    """Rolling hash of a prefix and one more token.

    Returns:
        uint64
    """
    return finish(prefix * multiplier + token, multiplier)


@njit(cache=True, nogil=True)
def lookup(table, hash):
    """Look up a prefix in the open-addressing table, with linear probing.

    Returns:
        uint32: number of its first record, with the bit MORE where longer names have this prefix; 0 where the
        table has no such prefix
    """
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
    """Compare tokens i to i + length with the key records[q:stop], in which one blank separates tokens.

    Args:
        text: uint8.
        starts: first byte of each token.
        ends: byte after each token.
        i: first token.
        length: number of tokens.
        narrow: not used.
        pages: of `letter`.
        letters: of `letter`.
        records: uint8, of all names.
        q: first byte of the key.
        stop: byte after the key.
        exact: whether the key is as written; otherwise it is folded, and so is the text.

    Returns:
        whether they are equal, letter by letter
    """
    for j in range(i, i + length):
        if j > i:
            if q >= stop or records[q] != BLANK:
                return False
            q += 1
        p, end = starts[j], ends[j]
        # ASCII: eight folded bytes at a time
        if not exact and p + 80 <= text.size:
            while p < end and not eight(text, p) & TOPS:
                rest = end - p
                if folded(text, p, rest) != first_of(eight(records, q), rest):
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
            expected, wide = decode(records, q, stop)
            if expected != (plain(point) if exact else letter(point, pages, letters) & 0xFFFFFF):
                return False
            p += size
            q += wide
    return q == stop


@njit(cache=True, nogil=True)
def has(bits, hash):
    """Query a Bloom filter of two bits for each hash.

    Returns:
        uint64 1 when both bits are set (perhaps a false positive), 0 when the hash was never put in
    """
    word = bits[(hash >> TWELVE) & (uint64(bits.size) - ONE)]
    return (word >> (hash & SIXTY_THREE)) & (word >> ((hash >> SIX) & SIXTY_THREE)) & ONE


@njit(cache=True, nogil=True)
def candidates(hashes, limit, n, multiplier, singles, pairs, positions):
    """Collect the tokens before `limit` at which a name may start, without branches.

    Args:
        hashes: of the tokens.
        limit: first token that is not looked at.
        n: number of tokens.
        multiplier: odd uint64 of the hash.
        singles: Bloom filter of the names of one token.
        pairs: Bloom filter of the first two tokens of the others.
        positions: buffer, is filled with 2 x token, and 1 more where two tokens or more may match.

    Returns:
        number of candidates
    """
    count = 0
    for i in range(min(limit, n - 1)):
        single, pair = has(singles, hashes[i]), has(pairs, longer(hashes[i], hashes[i + 1], multiplier))
        positions[count] = 2 * i + int64(pair)
        count += int64(single | pair)
    if limit == n and n and has(singles, hashes[n - 1]):
        positions[count] = 2 * (n - 1)
        count += 1
    return count


@njit(cache=True, nogil=True)
def walk(table, hashes, i, stop, multiplier):
    """Follow the prefixes of tokens i to stop in the table, as far as names go on.

    Returns:
        (first record of the longest prefix at which names end, its length in tokens); record 0 where none
        does
    """
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
    hashes, starts, ends, positions, rows, out_start, out_end, out_value, count, in_letters,
):  # fmt: skip
    """Find the leftmost longest names in the documents from `doc` on, until the output is full.

    Args:
        text: uint8, all documents, with bytes to spare (index.PADDING).
        offsets: (documents + 1,) int64: bytes at which the documents begin.
        doc: first document.
        narrow: of `scan`.
        pages: of `letter`.
        letters: of `letter`.
        multiplier: odd uint64 of the hash.
        longest: tokens of the longest name.
        singles: Bloom filter of the names of one token.
        pairs: Bloom filter of the first two tokens of the others.
        table: of the prefixes.
        records: uint8, of the names.
        heads: the same memory as uint32.
        hashes: buffer of block + longest tokens, as are starts, ends and positions.
        starts: buffer.
        ends: buffer.
        positions: buffer.
        rows: (documents + 1,), is filled: rows[d + 1] is the number of mentions up to and with document d.
        out_start: int32, is filled with the first byte or character, counted from the beginning of the
            document.
        out_end: int32, is filled with the one after the last.
        out_value: int32, is filled with the value of the name.
        count: mentions in the output before.
        in_letters: whether positions count characters (code points) instead of bytes.

    Returns:
        (first document that is not done, number of mentions); a document whose mentions do not fit is not
        done
    """
    room = out_start.size
    while doc < offsets.size - 1:
        base, p, end = offsets[doc], offsets[doc], offsets[doc + 1]
        begun, free, n, wide = count, 0, 0, False
        while p < end:
            p, n, more_wide = scan(text, p, end, narrow, pages, letters, multiplier, hashes, starts, ends, n)
            wide |= more_wide
            # a name that starts before `limit` is wholly in the buffers
            limit = n if p >= end else n - longest
            for k in range(candidates(hashes, limit, n, multiplier, singles, pairs, positions)):
                i = positions[k] >> 1
                if i < free:
                    continue
                # longest match first: walk the prefixes, compare the records, else try one token less
                most = longest if positions[k] & 1 else 1
                while most:
                    entry, length = walk(table, hashes, i, min(n, i + most), multiplier)
                    while entry:
                        head = entry - 1 << 1
                        key = (head << 2) + HEAD
                        if equals(
                            text,
                            starts,
                            ends,
                            i,
                            length,
                            narrow,
                            pages,
                            letters,
                            records,
                            key,
                            key + heads[head + 2],
                            heads[head + 3],
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
            # tokens that may begin a name move to the front of the buffers, and more of the text is read
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
    """Count the UTF-8 continuation bytes in text[start:end].

    Returns:
        bytes that do not begin a character
    """
    count = 0
    for q in range(start, end):
        count += (text[uint64(q)] & 0xC0) == 0x80
    return count


@njit(cache=True, nogil=True)
def to_letters(text, base, first, last, starts, ends):
    """Convert the positions of mentions `first` to `last` of one document from bytes to characters, in place.

    Args:
        text: uint8.
        base: byte at which the document begins.
        first: first mention.
        last: last mention + 1.
        starts: int32, relative to `base`.
        ends: int32, relative to `base`.
    """
    p, continuation = base, 0
    for m in range(first, last):
        start, end = base + starts[m], base + ends[m]
        continuation += going_on(text, p, start)
        starts[m] -= continuation
        continuation += going_on(text, start, end)
        ends[m] -= continuation
        p = end


# ---- building ------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def prefixes(
    names, offsets, num_exact, narrow, pages, letters, multiplier, buffers, keys, bounds, all_hashes, lengths
):
    """Compute the key of every name and the hashes of all its prefixes.

    Args:
        names: uint8, all names.
        offsets: (names + 1,) int64.
        num_exact: the names before it keep their letters as they are, the others are folded.
        narrow: of `scan`.
        pages: of `letter`.
        letters: of `letter`.
        multiplier: odd uint64 of the hash.
        buffers: (hashes, starts, ends) for the tokens of the longest name.
        keys: uint8, is filled with the tokens of each name, separated by single blanks.
        bounds: (names + 1,), is filled: the key of name i is keys[bounds[i]:bounds[i + 1]].
        all_hashes: uint64, is filled with the hashes of the prefixes of 1, 2, ... tokens of each name in
            turn.
        lengths: (names,), is filled with the number of tokens.

    Returns:
        (bytes of keys, number of hashes)
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
                q = encode(
                    plain(point) if name < num_exact else letter(point, pages, letters) & 0xFFFFFF, keys, q
                )
                p += size
            hash = longer(hash, hashes[j], multiplier) if j else hashes[j]
            all_hashes[count] = hash
            count += 1
    bounds[offsets.size - 1] = q
    return q, count


@njit(cache=True, nogil=True)
def place(table, hash):
    """Slot of a prefix in the table; an empty one where it is new.

    Returns:
        uint64 index
    """
    mask = uint64(table.size) - ONE
    slot, tag = hash & mask, hash >> HALF
    while table[slot] != ZERO and table[slot] >> HALF != tag:
        slot = (slot + ONE) & mask
    return slot


@njit(cache=True, nogil=True)
def put(bits, hash):
    """Add a hash to a Bloom filter: two bits of one word.

    Args:
        bits: uint64 words, a power of two of them; changed in place.
        hash: uint64.
    """
    bits[(hash >> TWELVE) & (uint64(bits.size) - ONE)] |= ONE << (hash & SIXTY_THREE) | ONE << (
        (hash >> SIX) & SIXTY_THREE
    )


@njit(cache=True, nogil=True)
def fill(all_hashes, lengths, num_exact, keys, bounds, values, singles, pairs, table, records, heads):
    """Enter every name into table, records and Bloom filters; of names with one key the first stays.

    The first token of a longer name takes no cell of the table: the filter of pairs answers for it.

    Args:
        all_hashes: of `prefixes`.
        lengths: (names,) tokens; a name of 0 tokens is left out.
        num_exact: the names before it match as written only.
        keys: of `prefixes`.
        bounds: of `prefixes`.
        values: (names,) uint32.
        singles: filter, is filled.
        pairs: filter, is filled.
        table: uint64, is filled.
        records: uint8, is filled.
        heads: the same memory as uint32.

    Returns:
        length of the records in units of eight bytes
    """
    at, entry = 0, 1
    for name in range(lengths.size):
        if not lengths[name]:
            continue
        head, size = entry - 1 << 1, bounds[name + 1] - bounds[name]
        for k in range(size):
            records[(head << 2) + HEAD + k] = keys[bounds[name] + k]
        heads[head], heads[head + 1], heads[head + 2], heads[head + 3] = (
            values[name],
            0,
            size,
            name < num_exact,
        )
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
    """Append a record to the linked list of its prefix, unless one of the list has its key.

    Args:
        entry: first record of the list.
        new: record to append.
        records: uint8, of the names.
        heads: the same memory as uint32; changed in place.
    """
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
    """Whether the records at bytes a and b have one key, and are both exact or both folded.

    Returns:
        bool
    """
    size = heads[(a >> 2) + 2]
    if size != heads[(b >> 2) + 2] or heads[(a >> 2) + 3] != heads[(b >> 2) + 3]:
        return False
    for k in range(HEAD, HEAD + size):
        if records[a + k] != records[b + k]:
            return False
    return True
