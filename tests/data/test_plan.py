"""The plan of a run: every row once an epoch, batches of about one length, packed sequences that are full."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import chain

from hypothesis import example, given, settings
from hypothesis import strategies as st

from medxiaohe.train.loop.batch_plan import batches_of_an_epoch, fill, plan

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=60)


def rows(batches: Iterable) -> list[int]:
    return [row for batch in batches for sequence in batch for row in sequence]


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(1, 5), st.integers(0, 3), st.sampled_from([0, 40, 64]))
def test_an_epoch_has_every_row_once_and_no_sequence_is_too_long(
    lengths: list[int], batch_size: int, seed: int, pack_to: int
) -> None:
    epoch = batches_of_an_epoch(lengths, batch_size, seed, pack_to)
    batches = plan(lengths, batch_size, epoch, seed, pack_to)
    assert sorted(rows(batches)) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    longest = pack_to or 40
    assert all(sum(lengths[row] for row in sequence) <= longest for batch in batches for sequence in batch)
    again = list(plan(lengths, batch_size, 3 * epoch, seed, pack_to))
    assert again[:epoch] == list(batches)
    assert list(plan(lengths, batch_size, 3 * epoch, seed, pack_to)) == again


def test_epochs_differ() -> None:
    batches = list(plan([3] * 64, 4, 32, seed=0))
    assert sorted(rows(batches[:16])) == sorted(rows(batches[16:])) and batches[:16] != batches[16:]


def test_batches_hold_rows_of_about_one_length() -> None:
    lengths = [3, 90] * 32
    for batch in plan(lengths, 8, 8, seed=1):
        assert len({lengths[row] for row in chain(*batch)}) == 1


def test_packing_leaves_hardly_any_room() -> None:
    draw = random.Random(0)
    lengths = [max(8, min(512, int(draw.lognormvariate(4.2, 0.9)))) for _ in range(5000)]
    packed = plan(lengths, 8, batches_of_an_epoch(lengths, 8, 0, 512), 0, 512)
    assert fill(packed, lengths) >= 0.99
    assert sum(lengths) / (512 * sum(map(len, packed))) >= 0.99


@settings(max_examples=60, deadline=None)
@given(st.integers(150, 300), st.integers(1, 4), st.sampled_from([0, 64]), st.integers(0, 5))
@example(157, 4, 64, 0)  # a run so short that one window of shuffled batches was two fifths of it
def test_a_rising_source_is_seldom_first_and_frequent_last(
    number: int, batch_size: int, pack_to: int, seed: int
) -> None:
    """MX-20: the share of reasoning rises by schedule; everything else is as often as without."""
    lengths = [8] * number * 2
    rising = [row % 2 == 0 for row in range(len(lengths))]
    wanted = 2 * batches_of_an_epoch(lengths, batch_size, seed, pack_to)
    batches = list(plan(lengths, batch_size, wanted, seed, pack_to, rising))
    assert len(batches) == wanted
    assert list(plan(lengths, batch_size, wanted, seed, pack_to, rising)) == batches
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert pack_to == 0 or all(
        sum(lengths[row] for row in sequence) <= pack_to for batch in batches for sequence in batch
    )
    seen = rows(batches)
    quarter = len(seen) // 4
    first, last = (sum(rising[row] for row in part) / len(part) for part in (seen[:quarter], seen[-quarter:]))
    assert first < 0.5 < last and last - first > 0.15
    assert max(seen.count(row) for row in set(seen)) <= 4


def test_without_a_schedule_nothing_changes() -> None:
    lengths = [5, 9, 3, 7] * 8
    assert list(plan(lengths, 4, 12, 0, 16, [True] * 32)) == list(plan(lengths, 4, 12, 0, 16))
