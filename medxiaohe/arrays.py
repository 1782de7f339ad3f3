"""Array operations that numpy has, but slower than they can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def distinct(values: np.ndarray) -> np.ndarray:
    """Sort the values of a one-dimensional array and drop repeats, as numpy.unique does.

    numpy 2.3 and later looks integers up in a hash table, which took 8.0 ms for 40,000 numbers of 64 bits
    where sorting them takes 0.4 ms (numpy 2.4.6, a processor with AVX-512).

    Args:
        values: (n,) of any type that can be ordered, without NaN.

    Returns:
        (m,) ascending, of the same type.
    """
    import numpy as np

    ordered = np.sort(values)
    first = np.ones(len(ordered), bool)  # of a run of equal values
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]  # type: ignore[no-any-return]
