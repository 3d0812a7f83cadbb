"""McNemar's test against SciPy and a count by hand."""

import numpy as np
import pytest
from scipy import stats

from jxr.evaluation import mcnemar


def outcomes(both, only_a, only_b, neither):
    correct_a = [True] * (both + only_a) + [False] * (only_b + neither)
    correct_b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(correct_a), np.array(correct_b)


@pytest.mark.parametrize(("b", "c"), [(3, 12), (12, 3), (7, 7), (0, 5), (1, 0), (40, 70)])
def test_equals_the_exact_binomial_test(b, c):
    result = mcnemar(*outcomes(5, b, c, 2))
    assert (result.b, result.c) == (b, c)
    assert result.p_value == pytest.approx(stats.binomtest(b, b + c).pvalue, abs=1e-12)


def test_by_hand():
    # Five coins that all fall alike: 2 / 2^5.
    assert mcnemar(*outcomes(0, 5, 0, 0)).p_value == pytest.approx(2 / 32)


def test_equal_classifiers_do_not_differ():
    assert mcnemar(*outcomes(10, 0, 0, 4)).p_value == 1
