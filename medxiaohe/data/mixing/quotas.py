"""Compute how many rows of each source and modality a mixture has: trust before quantity (MedXIAOHE),
requested shares, whole numbers.

A cell is (source, modality). Without requested shares the share of a source is proportional to trust x (its
rows) ** quantity, divided among its modalities in the proportion of their rows. Requested shares of sources
and of modalities are met together by raking (Deming & Stephan 1940).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping

from medxiaohe.errors import ConfigError

Cell = tuple[str, str]  # source, modality
# iterations of raking at most, and the largest error of a share at which it has converged
ROUNDS, CLOSE = 500, 1e-9
MISSED = 0.01  # of the whole, by which named shares may be missed before they are refused


def parts(
    natural: Mapping[Cell, int],
    *,
    by_source: Mapping[str, float],
    by_modality: Mapping[str, float],
    trust: Mapping[str, float],
    quantity: float = 1.0,
) -> dict[Cell, float]:
    """Compute the share of each cell of a mixture by raking (iterative proportional fitting, Deming & Stephan
    1940).

    Args:
        natural: cell -> rows in the corpus.
        by_source: source -> requested share in [0, 1]; the others divide the rest.
        by_modality: modality -> requested share in [0, 1]; the others divide the rest.
        trust: source -> factor of its share; 1 where it is absent.
        quantity: exponent of the number of rows of a source: 1 in proportion to its rows, 0 equal shares.

    Returns:
        Cell -> share; they sum to 1.

    Raises:
        ConfigError: a requested share is missed by more than MISSED, so not all of them can be met.
    """
    # start: p(s, m) proportional to trust(s) * n(s) ** quantity * n(s, m) / n(s)
    rows: dict[str, int] = defaultdict(int)
    for (source, _), number in natural.items():
        rows[source] += number
    shares = {
        cell: trust.get(cell[0], 1.0) * rows[cell[0]] ** quantity * number / rows[cell[0]]
        for cell, number in natural.items()
    }
    # the margins to meet, one for each side of the table
    requested = [
        (_of_source, _classes(by_source, rows)),
        (_of_modality, _classes(by_modality, {m: 1 for _, m in natural})),
    ]
    # iterative proportional fitting: scale the cells of each class by requested share / current sum,
    # first by source, then by modality, until both margins hold
    for _ in range(ROUNDS):
        off = 0.0
        for side, classes in requested:
            sums: dict[str, float] = defaultdict(float)
            for cell, value in shares.items():
                sums[_class(side(cell), classes)] += value
            # largest error of this margin before it is scaled
            off = max([off, *(abs(sums[name] - share) for name, share in classes.items())])
            shares = {cell: value * _ratio(classes, sums, side(cell)) for cell, value in shares.items()}
        if off < CLOSE:
            break
    # margins that contradict each other do not converge: refuse them
    for side, classes in requested:
        for name, share in classes.items():
            realised = sum(value for cell, value in shares.items() if _class(side(cell), classes) == name)
            if abs(realised - share) > MISSED:
                text = f"{name or 'all others'} can have {realised:.1%} and not {share:.1%}"
                raise ConfigError(
                    f"by_source and by_modality cannot both hold with the rows there are: {text}"
                )
    return shares


def _of_source(cell: Cell) -> str:
    return cell[0]


def _of_modality(cell: Cell) -> str:
    return cell[1]


def _classes(named: Mapping[str, float], available: Mapping[str, int]) -> dict[str, float]:
    """Return the requested share of each class that has rows, and of "" the rest; they are scaled to 1
    where no row is in the rest.
    """
    result = {name: share for name, share in named.items() if name in available}
    if set(available) <= set(result):
        total = sum(result.values())
        return {name: share / total for name, share in result.items()} if total else {"": 1.0}
    return {**result, "": max(0.0, 1 - sum(result.values()))}


def _class(name: str, classes: Mapping[str, float]) -> str:
    return name if name in classes else ""


def _ratio(classes: Mapping[str, float], sums: Mapping[str, float], name: str) -> float:
    key = _class(name, classes)
    return classes.get(key, 0.0) / sums[key] if sums[key] else 0.0


def whole(total: int, shares: Mapping[Cell, float]) -> dict[Cell, int]:
    """Round `total` x share to whole numbers by the largest remainder method (Hamilton).

    Args:
        total: rows to distribute.
        shares: cell -> share, together at most 1.

    Returns:
        Cell -> rows; they sum to `total` x the sum of the shares, rounded.
    """
    # largest remainder: floors first; 1e-9 takes a product such as 2.9999999999 for 3
    exact = {cell: total * share for cell, share in shares.items()}
    numbers = {cell: math.floor(value + 1e-9) for cell, value in exact.items()}
    # then one row each for the largest fractions (smallest floor - exact), ties by cell
    by_remainder = sorted(exact, key=lambda cell: (numbers[cell] - exact[cell], cell))
    for cell in by_remainder[: max(0, round(sum(exact.values())) - sum(numbers.values()))]:
        numbers[cell] += 1
    return numbers


def filled(
    quotas: Mapping[Cell, int], available: Mapping[Cell, int], shares: Mapping[Cell, float]
) -> dict[Cell, int]:
    """Limit quotas to the rows of each cell, and draw the shortfall from cells that have more.

    Args:
        quotas: cell -> requested rows.
        available: cell -> rows in the corpus.
        shares: cell -> share; the shortfall is divided in proportion to these.

    Returns:
        Cell -> rows, at most `available`; together less than the quotas only where every cell with a
        share above 0 is used up.
    """
    # water filling: cap each cell, divide the shortfall among cells that have rows, until none is missing
    numbers = {cell: min(quota, available[cell]) for cell, quota in quotas.items()}
    while missing := sum(quotas.values()) - sum(numbers.values()):
        open_ones = {
            cell: shares[cell] for cell in numbers if numbers[cell] < available[cell] and shares[cell] > 0
        }
        if not open_ones:
            break
        total = sum(open_ones.values())
        extra = whole(missing, {cell: share / total for cell, share in open_ones.items()})
        numbers |= {cell: min(numbers[cell] + number, available[cell]) for cell, number in extra.items()}
    return numbers


def margin(cells: Mapping[Cell, int], side: Callable[[Cell], str]) -> dict[str, int]:
    """Sum the counts of cells over one side of the table.

    Args:
        cells: cell -> rows.
        side: the class of a cell, such as its source or its modality.

    Returns:
        Class -> rows.
    """
    result: dict[str, int] = defaultdict(int)
    for cell, number in cells.items():
        result[side(cell)] += number
    return dict(result)
