"""Arrays as one: rows as of their concatenation."""

import numpy as np
import pytest

from jxr.data.stack import Stack


def test_rows_are_those_of_the_concatenation():
    rng = np.random.default_rng(0)
    parts = [rng.random((5, 2, 3)).astype(np.float16) for _ in range(3)]
    rows = rng.integers(0, 15, 40)
    stack, whole = Stack(parts), np.concatenate(parts)
    assert len(stack) == 15
    assert stack.shape == whole.shape
    np.testing.assert_array_equal(stack[rows], whole[rows])
    assert stack[rows].dtype == np.float16


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one shape and dtype"):
        Stack([np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(ValueError, match="at least one"):
        Stack([])
