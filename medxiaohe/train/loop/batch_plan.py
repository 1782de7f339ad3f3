"""Plan the batches of a whole run before it starts, with sequence packing: resuming is an offset into the
plan.

A plan is a sequence of batches, a batch a list of sequences, a sequence a list of row numbers: one row, or
with packing several that share a sequence without attending to each other. It is stored as arrays of
integers, four bytes for each row and each boundary, so that plans of ten million rows fit in memory with a
model.
"""

from __future__ import annotations

import math
import random
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

Batch = list[list[int]]
WINDOW = 8  # batches whose rows are sorted by length together: padding costs as much as text
PACK_WINDOW = 100_000  # rows that are packed together


class Plan:
    """Batches by number, read from arrays.

    Attributes:
        rows: row numbers, batch after batch.
        sequences: where each sequence ends in `rows`; empty where every sequence is one row.
        batches: where each batch ends, in sequences.
    """

    def __init__(self) -> None:
        self.rows, self.sequences, self.batches = array("i"), array("I"), array("I")
        self._packed = False

    def extend(self, batches: Iterable[Batch], num_batches: int) -> None:
        """Append batches until the plan has `num_batches` of them; the rest of `batches` is not read.

        Args:
            batches: of one epoch, or of the whole run.
            num_batches: batches of the finished plan, not of this call.
        """
        for batch in batches:
            if len(self) == num_batches:
                return
            before = self.batches[-1] if self.batches else 0
            if not self._packed and any(len(rows) != 1 for rows in batch):
                self._packed = True  # until here every sequence was one row
                self.sequences.extend(range(1, len(self.rows) + 1))
            for rows in batch:
                self.rows.extend(rows)
                if self._packed:
                    self.sequences.append(len(self.rows))
            self.batches.append(before + len(batch))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        if not 0 <= number < len(self):
            raise IndexError(number)
        start, end = self.batches[number - 1] if number else 0, self.batches[number]
        if not self._packed:
            return [[row] for row in self.rows[start:end]]
        ends = [self.sequences[start - 1] if start else 0, *self.sequences[start:end]]
        return [list(self.rows[a:b]) for a, b in pairwise(ends)]

    def __iter__(self) -> Iterator[Batch]:
        return (self[number] for number in range(len(self)))


def plan(
    lengths: Sequence[int],
    batch_size: int,
    num_batches: int,
    seed: int,
    pack_to: int = 0,
    rising: Sequence[int] = (),
) -> Plan:
    """Plan every batch of a run: every row once, then every row once more in another order, and so on.

    Args:
        lengths: tokens of each row.
        batch_size: sequences of a batch.
        num_batches: of the whole run.
        seed: of the order; equal arguments, equal plans.
        pack_to: tokens of a packed sequence, or 0 for one row a sequence.
        rising: of each row whether it belongs to what is rare at the start and frequent at the end, with a
            density that grows linearly (the share of reasoning); empty, all 0 or all 1: no schedule.

    Returns:
        A plan of `num_batches` batches of `batch_size` sequences; the last batch of an epoch may be smaller.
    """
    result = Plan()
    if any(rising) and not all(rising):
        shuffle = random.Random(seed)
        result.extend(_rising(lengths, batch_size, num_batches, shuffle, pack_to, rising), num_batches)
        return result
    epoch = 0
    while len(result) < num_batches:
        # each epoch has its own order, a function of seed and epoch alone
        shuffle = random.Random(seed if epoch == 0 else f"{seed} epoch {epoch}")
        result.extend(_epoch(lengths, batch_size, pack_to, shuffle), num_batches)
        epoch += 1
    return result


def _epoch(lengths: Sequence[int], batch_size: int, pack_to: int, shuffle: random.Random) -> Iterator[Batch]:
    if pack_to:
        return _packed(lengths, batch_size, pack_to, shuffle)
    return _sorted(lengths, batch_size, shuffle)


def batches_of_an_epoch(lengths: Sequence[int], batch_size: int, seed: int, pack_to: int = 0) -> int:
    """Count the batches that hold every row once.

    Args:
        lengths: tokens of each row.
        batch_size: sequences of a batch.
        seed: of the order, which decides how rows are packed.
        pack_to: tokens of a packed sequence, or 0 for one row a sequence.

    Returns:
        Number of batches, the last one possibly not full.
    """
    if not pack_to:
        # ceil(rows / batch size)
        return -(-len(lengths) // batch_size)
    # how many sequences rows pack into depends on their order: pack them as the first epoch will
    return sum(1 for _ in _packed(lengths, batch_size, pack_to, random.Random(seed)))


def fill(batches: Iterable[Batch], lengths: Sequence[int]) -> float:
    """Compute the utilisation of the batches: the share of positions that hold tokens and not padding.

    Args:
        batches: batches of sequences of row numbers; each is padded to its longest sequence.
        lengths: tokens of each row.

    Returns:
        A share from 0 to 1; 1.0 without batches.
    """
    used = room = 0
    for batch in batches:
        # a batch is padded to its longest sequence
        sizes = [sum(lengths[row] for row in rows) for rows in batch]
        used, room = used + sum(sizes), room + len(batch) * max(sizes)
    return used / room if room else 1.0


def _sorted(lengths: Sequence[int], batch_size: int, shuffle: random.Random) -> Iterator[Batch]:
    """Shuffle rows, sort each window by length, cut it into batches and shuffle these."""
    rows = _shuffled(len(lengths), shuffle)
    for start in range(0, len(rows), WINDOW * batch_size):
        # rows of similar length share a batch, which saves padding; then the batches are shuffled, so that
        # length does not grow with the step
        window = sorted(rows[start : start + WINDOW * batch_size], key=lambda row: lengths[row])
        batches = [[[row] for row in window[i : i + batch_size]] for i in range(0, len(window), batch_size)]
        shuffle.shuffle(batches)
        yield from batches


def _shuffled(number: int, shuffle: random.Random) -> array[int]:
    rows = array("i", range(number))
    shuffle.shuffle(rows)
    return rows


def _rising(
    lengths: Sequence[int],
    batch_size: int,
    num_batches: int,
    shuffle: random.Random,
    pack_to: int,
    rising: Sequence[int],
) -> Iterator[Batch]:
    """Plan with a schedule: every row as often as without one, rising rows with a density that grows
    linearly.
    """
    import numpy as np

    # rows that a packed sequence holds on average, and passes of the whole run over the rows
    per_sequence = max(1.0, pack_to * len(lengths) / sum(lengths)) if pack_to else 1.0
    epochs = num_batches * batch_size * per_sequence / len(lengths)
    each = math.ceil(epochs) + 1
    # copy e of a row is at (e + u) / epochs of the run, u ~ U(0, 1): one copy in each pass. The square root
    # of a uniform position has density 2 x on [0, 1] (inverse transform sampling): it grows linearly
    places = array("d")  # in the run, 1 is its end; `each` of every row
    for rises in rising:
        for epoch in range(each):
            path = (epoch + shuffle.random()) / epochs
            places.append(math.sqrt(path) if rises and path < 1 else path)
    # all copies by position; copy number // copies a row = row number
    order = np.argsort(np.frombuffer(places), kind="stable") // each
    del places
    # the batches of a window are shuffled: in a short run a whole window would level the schedule out
    batches = min(WINDOW, max(1, num_batches // 8))
    window = max(1, round(batches * batch_size * per_sequence))
    rest: list[list[int]] = []
    for start in range(0, len(order), window):
        rows = order[start : start + window].tolist()
        sequences_of_window = (
            _best_fit(rows, lengths, pack_to)
            if pack_to
            else [[row] for row in sorted(rows, key=lambda row: lengths[row])]
        )
        sequences = rest + sequences_of_window
        cut = [sequences[i : i + batch_size] for i in range(0, len(sequences), batch_size)]
        # sequences that fill no batch move to the next window
        rest = cut.pop() if cut and len(cut[-1]) < batch_size and start + window < len(order) else []
        shuffle.shuffle(cut)
        yield from cut


def _packed(lengths: Sequence[int], batch_size: int, pack_to: int, shuffle: random.Random) -> Iterator[Batch]:
    """Pack shuffled rows in large windows by best fit; the sequences of a window are shuffled."""
    rows = _shuffled(len(lengths), shuffle)
    rest: list[list[int]] = []
    for start in range(0, len(rows), PACK_WINDOW):
        # sequences of a window in random order, behind those that filled no batch of the last one
        packs = _best_fit(rows[start : start + PACK_WINDOW], lengths, pack_to)
        shuffle.shuffle(packs)
        sequences = rest + packs
        full = len(sequences) // batch_size * batch_size
        yield from (sequences[i : i + batch_size] for i in range(0, full, batch_size))
        rest = sequences[full:]
    if rest:
        yield rest


def _best_fit(rows: Sequence[int], lengths: Sequence[int], pack_to: int) -> list[list[int]]:
    """Pack rows into sequences of at most `pack_to` tokens by best-fit decreasing."""
    open_packs: dict[int, list[list[int]]] = {}  # room -> sequences
    rooms: list[int] = []  # sorted
    for row in sorted(rows, key=lambda row: -lengths[row]):
        # the open sequence with the least room that still fits (best-fit decreasing), else a new one
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
        # file the sequence under the room that is left in it
        if room - need not in open_packs:
            open_packs[room - need] = []
            insort(rooms, room - need)
        open_packs[room - need].append(pack)
    return [pack for room in rooms for pack in open_packs[room]]
