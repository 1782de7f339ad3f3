"""The compiled part of entity/linking/index.py: the table of name prefixes, longest match. Needs the extra
`fast`.

A name is a path of prefixes: its first token, its first two, and so on. A prefix is known by a 64-bit hash
that rolls over its tokens; a cell of the table holds the upper half of that hash, whether some name goes on
(MORE), and the first record that ends there: its place in eights of bytes, and 1. Two sets of bits, small
enough for a cache, say where in a text looking is worth it. Hashes only lead to records: a record matches
when the text equals its key, letter by letter, so two prefixes with one hash cost time and never change what
is found.
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
    """Where before `limit` a name may start: 2 x position, and 1 more when two tokens or more may match. No
    branches."""
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
    """The first entry of the longest known prefix of tokens i to stop at which names end, and its length; 0
    when none does."""
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
    """Mentions of the documents from `doc` on, until the output is full; returns the first document not done,
    and the count.

    rows[d + 1] is the number of mentions up to and with document d; out_start and out_end count bytes from
    its beginning, or characters `in_letters`.
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
    """Turn positions in bytes into positions in characters, for mentions first to last of the document at
    base."""
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
def prefixes(
    names, offsets, num_exact, narrow, pages, letters, multiplier, buffers, keys, bounds, all_hashes, lengths
):
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
    """The slot of a prefix in a table, a new one when it has none."""
    mask = uint64(table.size) - ONE
    slot, tag = hash & mask, hash >> HALF
    while table[slot] != ZERO and table[slot] >> HALF != tag:
        slot = (slot + ONE) & mask
    return slot


@njit(cache=True, nogil=True)
def put(bits, hash):
    bits[(hash >> TWELVE) & (uint64(bits.size) - ONE)] |= ONE << (hash & SIXTY_THREE) | ONE << (
        (hash >> SIX) & SIXTY_THREE
    )


@njit(cache=True, nogil=True)
def fill(all_hashes, lengths, num_exact, keys, bounds, values, singles, pairs, table, records, heads):
    """Enter every name; of names with one key the first stays. The first token of a longer name takes no
    cell."""
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
