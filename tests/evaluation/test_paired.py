"""McNemar's test against SciPy and a count by hand; the paired bootstrap against its variance."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from jxr.evaluation import accuracy, auc, mcnemar, paired_difference, seed_mean_interval


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


def test_copies_of_an_image_make_nothing_significant():
    """Three equal images of each patient: the test of one image each, of three times the count."""
    alone = outcomes(5, 2, 9, 1)
    result = mcnemar(*(np.repeat(one, 3) for one in alone), np.repeat(np.arange(17), 3))
    assert (result.b, result.c) == (6, 27)
    assert result.p_value == pytest.approx(stats.binomtest(2, 11).pvalue, abs=1e-12)
    assert mcnemar(*(np.repeat(one, 3) for one in alone)).p_value < result.p_value / 10


def test_by_patients_it_is_the_share_of_all_signs():
    generator = np.random.default_rng(1)
    first, second = generator.random((2, 40)) < [[0.5], [0.75]]
    patients = generator.choice(list("abcdefghij"), 40)
    difference = np.array(
        [
            (first[patients == name].astype(int) - second[patients == name]).sum()
            for name in "abcdefghij"
        ]
    )
    sums = [abs(np.dot(signs, difference)) for signs in product((-1, 1), repeat=10)]
    expected = np.mean(np.array(sums) >= abs(difference.sum()))
    assert 0 < expected < 0.5
    assert mcnemar(first, second, patients).p_value == pytest.approx(expected, abs=1e-12)
    assert mcnemar(second, first, patients).p_value == pytest.approx(expected, abs=1e-12)


def test_equal_classifiers_do_not_differ():
    assert mcnemar(*outcomes(10, 0, 0, 4)).p_value == 1


def test_the_interval_of_a_difference_has_the_variance_of_discordant_images():
    """Of b images that only the first gets right and c the second: (b + c - (b-c)^2/n) / n^2."""
    n, b, c = 1000, 20, 60
    labels = np.arange(n) % 2
    signs = np.where(labels == 1, 1.0, -1.0)
    first, second = signs.copy(), signs.copy()
    second[:b] *= -1
    first[b : b + c] *= -1
    first[b + c : b + c + 150] *= -1  # wrong by both: they say nothing
    second[b + c : b + c + 150] *= -1
    found = paired_difference(
        labels, first[None], second[None], partial(accuracy, threshold=0.0), samples=4000
    )
    assert found.mean == pytest.approx((c - b) / n)
    deviation = np.sqrt(b + c - (c - b) ** 2 / n) / n
    assert found.low == pytest.approx(found.mean - 1.96 * deviation, abs=0.0015)
    assert found.high == pytest.approx(found.mean + 1.96 * deviation, abs=0.0015)


def test_the_interval_of_a_difference_is_over_patients():
    """Each image twice, of one patient: the interval of each once, to the last digit."""
    rng = np.random.default_rng(2)
    labels = np.arange(200) % 2
    first, second = labels + rng.normal(size=(2, 3, 200))
    alone = paired_difference(labels, first, second, auc, samples=300)
    twice = [np.repeat(one, 2, axis=-1) for one in (labels, first, second)]
    found = paired_difference(*twice, auc, patients=np.repeat(np.arange(200), 2), samples=300)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=1e-12)
    by_image = paired_difference(*twice, auc, samples=300)
    assert by_image.high - by_image.low < 0.8 * (found.high - found.low)


def test_what_both_find_hard_drops_out():
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.6).astype(int)
    first = labels + rng.normal(size=(3, 400))
    second = first + 0.1 * rng.normal(size=(3, 400))
    found = paired_difference(labels, first, second, auc, samples=500)
    assert found.mean == pytest.approx(float(np.mean(auc(labels, second) - auc(labels, first))))
    low, high = seed_mean_interval(labels, first, auc, samples=500)
    assert found.high - found.low < (high - low) / 4


def test_the_interval_of_a_difference_equals_a_brute_force_over_drawn_images():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 40)
    first, second = labels + rng.normal(size=(2, 2, 40))
    draws, differences = np.random.default_rng(5), []
    for _ in range(80):
        index = draws.integers(0, 40, size=40)
        areas = [
            np.mean([roc_auc_score(labels[index], row[index]) for row in rows])
            for rows in (first, second)
        ]
        differences.append(areas[1] - areas[0])
    found = paired_difference(labels, first, second, auc, samples=80, seed=5, level=0.8)
    expected = np.quantile(differences, [0.1, 0.9])
    np.testing.assert_allclose((found.low, found.high), expected, atol=1e-12)


def test_scores_that_cannot_be_compared_are_refused():
    labels, scores = np.array([0, 1, 1]), np.array([[0.2, 0.4, 0.9]])
    bad = np.array([[0.2, np.nan, 0.9]])
    for pair in ((bad, scores), (scores, bad)):
        with pytest.raises(ValueError, match="diverged"):
            paired_difference(labels, *pair, accuracy, samples=10)
    with pytest.raises(ValueError, match="only one class"):
        paired_difference(np.ones(3, int), scores, scores, accuracy, samples=10)
