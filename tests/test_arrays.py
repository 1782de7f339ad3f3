"""Array operations of medxiaohe.arrays give what numpy gives."""

import numpy as np
import pytest

from medxiaohe.arrays import distinct


@pytest.mark.parametrize("kind", [np.uint64, np.int64, np.uint32, np.float32])
@pytest.mark.parametrize("size", [0, 1, 2, 1000])
def test_distinct_values_are_those_of_numpy(kind: type, size: int) -> None:
    values = np.random.default_rng(size).integers(0, 300, size).astype(kind)
    result = distinct(values)
    assert result.dtype == values.dtype
    assert result.tolist() == np.unique(values).tolist()
