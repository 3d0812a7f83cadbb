"""Scores against their definitions and scikit-learn."""

from functools import partial

import numpy as np
import pytest
from sklearn import metrics

from jxr.evaluation import accuracy, auc, roc, score, threshold_at_sensitivity


def example(n=60, seed=0, ties=True):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, n)
    probabilities = np.clip(0.3 * labels + generator.uniform(0, 0.7, n), 0, 1)
    return labels, np.round(probabilities, 1) if ties else probabilities


def auc_by_pairs(labels, probabilities):
    """The definition: every positive against every negative, ties count one half."""
    wins = [
        float(p > q) + 0.5 * float(p == q)
        for p in probabilities[labels == 1]
        for q in probabilities[labels == 0]
    ]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_auc_counts_pairs(ties, dtype):
    labels, probabilities = example(ties=ties)
    probabilities = probabilities.astype(dtype)
    assert float(auc(labels, probabilities)) == pytest.approx(
        auc_by_pairs(labels, probabilities), abs=1e-14
    )


def test_scores_that_only_float64_tells_apart_are_no_ties():
    labels, scores = example(ties=False)
    close = 1 + 1e-12 * scores
    assert float(auc(labels, close)) == float(auc(labels, scores))
    np.testing.assert_array_equal(roc(labels, close)[:2], roc(labels, scores)[:2])


def test_a_resample_of_one_class_has_no_auc():
    labels, scores = np.array([0, 1, 1]), np.array([0.4, 0.2, 0.8])
    counts = np.array([[1, 1, 1], [2, 1, 0], [3, 0, 0], [0, 1, 2]])
    np.testing.assert_array_equal(auc(labels, scores, counts=counts), [0.5, 0, np.nan, np.nan])


def test_auc_and_accuracy_of_each_seed():
    labels, first = example()
    rows = np.stack([first, 1 - first, np.full_like(first, 0.5)])
    np.testing.assert_allclose(
        auc(labels, rows), [metrics.roc_auc_score(labels, row) for row in rows], atol=1e-14
    )
    np.testing.assert_allclose(
        accuracy(labels, rows), [metrics.accuracy_score(labels, row >= 0.5) for row in rows]
    )


def test_score_by_hand():
    labels = np.array([1, 1, 1, 0, 0, 1, 0, 0])
    probabilities = np.array([0.9, 0.5, 0.2, 0.6, 0.1, 0.8, 0.3, 0.4])
    scores = score(labels, probabilities)
    assert scores.accuracy == 6 / 8
    assert scores.sensitivity == 3 / 4
    assert scores.specificity == 3 / 4
    assert scores.auc == 12 / 16
    assert score(labels, probabilities, threshold=0.55).sensitivity == 2 / 4
    assert score(labels, probabilities, threshold=0.55).accuracy == 5 / 8
    assert score(labels, probabilities, threshold=0.65).specificity == 1


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("wanted", [0.01, 0.5, 0.9, 0.95, 1.0])
def test_threshold_at_sensitivity_is_the_strictest_on_the_roc_curve(ties, wanted):
    labels, scores = example(ties=ties)
    _, reached, thresholds = metrics.roc_curve(labels, scores, drop_intermediate=False)
    expected = thresholds[np.argmax(reached >= wanted)]  # they fall along the curve
    assert threshold_at_sensitivity(labels, scores, wanted) == expected


def test_sensitivity_of_so_many_images_is_met_exactly():
    """In floating point, 0.95 * 20 and 0.28 * 25 may lie on either side of a whole number."""
    for n in range(1, 101):
        labels, scores = np.r_[np.ones(n, int), 0], np.r_[np.arange(n, 0, -1.0), 0.0]
        for k in range(1, n + 1):
            assert threshold_at_sensitivity(labels, scores, k / n) == n + 1 - k


@pytest.mark.parametrize("wanted", [0.0, -0.1, 1.01])
def test_a_sensitivity_out_of_range_is_refused(wanted):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        threshold_at_sensitivity(*example(), wanted)


def test_roc_ends_and_area():
    labels, probabilities = example(200)
    fpr, tpr, thresholds = roc(labels, probabilities)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (np.diff(fpr) >= 0).all()
    assert np.trapezoid(tpr, fpr) == pytest.approx(auc_by_pairs(labels, probabilities))
    middle = len(thresholds) // 2
    called = probabilities >= thresholds[middle]
    assert tpr[middle] == called[labels == 1].mean()
    assert fpr[middle] == called[labels == 0].mean()


@pytest.mark.parametrize(
    "function", [score, roc, auc, accuracy, partial(threshold_at_sensitivity, sensitivity=0.9)]
)
def test_bad_input_is_named(function):
    labels, probabilities = example()
    with pytest.raises(ValueError, match="NaN"):
        function(labels, np.where(np.arange(labels.size) == 3, np.nan, probabilities))
    with pytest.raises(ValueError, match="infinity"):
        function(labels, np.where(np.arange(labels.size) == 3, -np.inf, probabilities))
    with pytest.raises(ValueError, match="only one class"):
        function(np.ones_like(labels), probabilities)
    with pytest.raises(ValueError, match="0 or 1"):
        function(labels + 1, probabilities)
