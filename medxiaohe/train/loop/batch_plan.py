"""Which rows make which batch, for the whole run, decided before it starts: resuming is an offset into the
plan.

A plan is a list of batches, a batch a list of sequences, a sequence a list of row numbers: one row, or with
packing several that share a sequence without seeing each other.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Sequence

Batch = list[list[int]]
WINDOW = 8  # batches whose rows are sorted by length together: padding costs as much as text
PACK_WINDOW = 100_000  # rows that are packed together


def plan(
    lengths: Sequence[int],
    batch_size: int,
    num_batches: int,
    seed: int,
    pack_to: int = 0,
    rising: Sequence[bool] = (),
) -> list[Batch]:
    """`num_batches` batches of `batch_size` sequences; every row once, then every row once more in another
    order, and so on.

    lengths: tokens of each row. pack_to: tokens of a packed sequence, or 0 for one row a sequence. rising: of
    each row whether it belongs to what is seldom at the start and frequent at the end, in a straight line
    (MX-20: the share of reasoning).
    """
    batches: list[Batch] = []
    if any(rising) and not all(rising):
        return _rising(lengths, batch_size, num_batches, random.Random(seed), pack_to, rising)
    epoch = 0
    while len(batches) < num_batches:
        shuffle = random.Random(seed if epoch == 0 else f"{seed} epoch {epoch}")
        batches += (
            _packed(lengths, batch_size, pack_to, shuffle)
            if pack_to
            else _sorted(lengths, batch_size, shuffle)
        )
        epoch += 1
    return batches[:num_batches]


def batches_of_an_epoch(lengths: Sequence[int], batch_size: int, seed: int, pack_to: int = 0) -> int:
    shuffle = random.Random(seed)
    return len(_packed(lengths, batch_size, pack_to, shuffle)) if pack_to else -(-len(lengths) // batch_size)


def fill(batches: Sequence[Batch], lengths: Sequence[int]) -> float:
    """Share of the positions of all batches that hold tokens and not padding."""
    used = sum(lengths[row] for batch in batches for sequence in batch for row in sequence)
    room = sum(
        len(batch) * max(sum(lengths[row] for row in sequence) for sequence in batch) for batch in batches
    )
    return used / room if room else 1.0


def _sorted(lengths: Sequence[int], batch_size: int, shuffle: random.Random) -> list[Batch]:
    """Shuffled, cut into windows, sorted by length inside a window, the batches of a window shuffled
    again."""
    rows = list(range(len(lengths)))
    shuffle.shuffle(rows)
    out: list[Batch] = []
    for start in range(0, len(rows), WINDOW * batch_size):
        window = sorted(rows[start : start + WINDOW * batch_size], key=lambda row: lengths[row])
        batches = [[[row] for row in window[i : i + batch_size]] for i in range(0, len(window), batch_size)]
        shuffle.shuffle(batches)
        out += batches
    return out


def _rising(
    lengths: Sequence[int],
    batch_size: int,
    num_batches: int,
    shuffle: random.Random,
    pack_to: int,
    rising: Sequence[bool],
) -> list[Batch]:
    """Every row as often as without a schedule; a rising row's places in the run have a density that grows in
    a straight line."""
    per_sequence = max(1.0, pack_to * len(lengths) / sum(lengths)) if pack_to else 1.0
    epochs = num_batches * batch_size * per_sequence / len(lengths)
    places = []
    for row, rises in enumerate(rising):
        for epoch in range(math.ceil(epochs) + 1):
            place = (epoch + shuffle.random()) / epochs  # of the whole run; 1 is its end
            places.append((math.sqrt(place) if rises and place < 1 else place, row))
    order = [row for _, row in sorted(places)]
    window = max(1, round(WINDOW * batch_size * per_sequence))
    batches: list[Batch] = []
    rest: list[list[int]] = []
    for start in range(0, len(order), window):
        rows = order[start : start + window]
        found = (
            _best_fit(rows, lengths, pack_to)
            if pack_to
            else [[row] for row in sorted(rows, key=lambda row: lengths[row])]
        )
        sequences = rest + found
        cut = [sequences[i : i + batch_size] for i in range(0, len(sequences), batch_size)]
        rest = cut.pop() if cut and len(cut[-1]) < batch_size and start + window < len(order) else []
        shuffle.shuffle(cut)
        batches += cut
    return batches[:num_batches]


def _packed(lengths: Sequence[int], batch_size: int, pack_to: int, shuffle: random.Random) -> list[Batch]:
    """Rows packed by best fit, longest first, in large windows of the shuffled rows; then the sequences are
    shuffled."""
    rows = list(range(len(lengths)))
    shuffle.shuffle(rows)
    sequences: list[list[int]] = []
    for start in range(0, len(rows), PACK_WINDOW):
        packs = _best_fit(rows[start : start + PACK_WINDOW], lengths, pack_to)
        shuffle.shuffle(packs)
        sequences += packs
    return [sequences[i : i + batch_size] for i in range(0, len(sequences), batch_size)]


def _best_fit(rows: Sequence[int], lengths: Sequence[int], pack_to: int) -> list[list[int]]:
    """Sequences of at most `pack_to` tokens; a row goes where the least room is left over, the longest rows
    first."""
    open_packs: dict[int, list[list[int]]] = {}  # room -> sequences
    rooms: list[int] = []  # sorted
    for row in sorted(rows, key=lambda row: -lengths[row]):
        need = min(lengths[row], pack_to)
        at = bisect_left(rooms, need)
        room = rooms[at] if at < len(rooms) else pack_to
        if at < len(rooms):
            pack = open_packs[room].pop()
            if not open_packs[room]:
                del open_packs[room], rooms[at]
        else:
            pack = []
        pack.append(row)
        if room - need not in open_packs:
            open_packs[room - need] = []
            insort(rooms, room - need)
        open_packs[room - need].append(pack)
    return [pack for room in rooms for pack in open_packs[room]]
